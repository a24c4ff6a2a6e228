//! The authorized clients in a service's directory: `authorized_clients`.

use std::fs::File;
use std::path::Path;

use super::checks::check_owner;
use super::{CLIENTS, ServiceDirectory, Undo, files};
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{ClientAuthPublicKey, ClientName};
use crate::onion::client_auth::AuthorizedClient;

/// The suffix of a client's file.
const CLIENT_ENDING: &str = ".auth";

impl ServiceDirectory {
    /// Authorizes exactly these clients, or leaves those of the directory if the list is empty.
    /// Returns the authorized clients.
    ///
    /// A client whose name is in the directory keeps its key, unless the caller gave one.
    pub(in crate::onion) fn authorize_clients(
        &mut self,
        mut clients: Vec<AuthorizedClient>,
    ) -> Result<Vec<AuthorizedClient>> {
        let name = Path::new(CLIENTS);
        let failed = self.failed(CLIENTS);
        if !clients.is_empty() {
            let made = files::create_directory(self.fd()?, name, self.owner).map_err(&failed)?;
            if made.is_some() {
                self.undo.push(Undo::RemoveClients);
            }
        }
        if !files::exists(self.fd()?, CLIENTS) {
            return Ok(clients);
        }
        if clients.is_empty() {
            return self.clients();
        }
        let directory = self.open_clients()?;
        let path = self.path.join(CLIENTS);
        let existing = files::names(&directory).map_err(&failed)?;
        let existing = existing.iter().filter_map(|name| name.strip_suffix(CLIENT_ENDING));
        for name in
            existing.filter(|name| clients.iter().all(|client| client.name.as_str() != *name))
        {
            self.remove_client(&directory, &path.join(format!("{name}{CLIENT_ENDING}")))?;
        }
        for client in &mut clients {
            self.put_client(&directory, &path, client)?;
        }
        Ok(clients)
    }

    /// Returns the clients in the directory, sorted by name.
    pub(in crate::onion) fn clients(&mut self) -> Result<Vec<AuthorizedClient>> {
        if !files::exists(self.fd()?, CLIENTS) {
            return Ok(Vec::new());
        }
        let directory = self.open_clients()?;
        let mut existing = files::names(&directory).map_err(self.failed(CLIENTS))?;
        existing.sort();
        let path = self.path.join(CLIENTS);
        let existing = existing.iter().filter_map(|name| name.strip_suffix(CLIENT_ENDING));
        existing.map(|name| read_client(&directory, &path, name)).collect()
    }

    /// Refuses files of clients that tor would read without end, such as a named pipe.
    pub(super) fn check_client_files(&self) -> Result<()> {
        if !files::exists(self.fd()?, CLIENTS) {
            return Ok(());
        }
        let failed = self.failed(CLIENTS);
        let directory = files::open_directory(self.fd()?, Path::new(CLIENTS)).map_err(&failed)?;
        let path = self.path.join(CLIENTS);
        for name in files::names(&directory).map_err(&failed)? {
            if name.ends_with(CLIENT_ENDING) {
                let is_file = files::is_file(&directory, &name);
                is_file.map_err(|error| OnionError::file(&path.join(&name), error))?;
            }
        }
        Ok(())
    }

    /// Authorizes one more client, which [`undo_to`](Self::undo_to) reverts. A client whose name is
    /// in the directory keeps its key, unless the caller gave one.
    pub(in crate::onion) fn authorize_client(
        &mut self,
        client: &mut AuthorizedClient,
    ) -> Result<()> {
        let made = files::create_directory(self.fd()?, Path::new(CLIENTS), self.owner);
        if made.map_err(self.failed(CLIENTS))?.is_some() {
            self.undo.push(Undo::RemoveClients);
        }
        let directory = self.open_clients()?;
        self.put_client(&directory, &self.path.join(CLIENTS), client)
    }

    /// Removes the file of a client. [`undo_to`](Self::undo_to) restores it.
    pub(in crate::onion) fn revoke_client(&mut self, name: ClientName) -> Result<()> {
        let directory = self.open_clients()?;
        let path = self.path.join(CLIENTS).join(format!("{name}{CLIENT_ENDING}"));
        self.remove_client(&directory, &path)
    }

    fn open_clients(&mut self) -> Result<File> {
        let failed = self.failed(CLIENTS);
        let directory = files::open_directory(self.fd()?, Path::new(CLIENTS)).map_err(&failed)?;
        check_owner(&directory, &self.path.join(CLIENTS), self.owner)?;
        self.clients = Some(directory.try_clone().map_err(&failed)?);
        Ok(directory)
    }

    fn remove_client(&mut self, directory: &File, path: &Path) -> Result<()> {
        let failed = |error| OnionError::file(path, error);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(bytes) = files::read_file(directory, &name).map_err(failed)? {
            files::remove_file(directory, &name).map_err(failed)?;
            self.undo.push(Undo::RestoreClient(name, bytes));
        }
        Ok(())
    }

    fn put_client(
        &mut self,
        directory: &File,
        path: &Path,
        client: &mut AuthorizedClient,
    ) -> Result<()> {
        let name = format!("{}{CLIENT_ENDING}", client.name);
        let path = path.join(&name);
        let failed = |error| OnionError::file(&path, error);
        let Some(bytes) = files::read_file(directory, &name).map_err(failed)? else {
            let line = format!("{}\n", client.public_key.descriptor_line());
            let made = files::create_file(directory, &name, line.as_bytes(), self.owner);
            made.map_err(failed)?;
            self.undo.push(Undo::RemoveClient(name));
            return Ok(());
        };
        let found = parse_client(&bytes, &path)?;
        if found == client.public_key {
            return Ok(());
        }
        if client.key.take().is_none() {
            let name = client.name;
            return Err(OnionError::new(OnionProblem::ClientExists { name }).into());
        }
        client.public_key = found;
        Ok(())
    }
}

fn read_client(directory: &File, path: &Path, name: &str) -> Result<AuthorizedClient> {
    let file = format!("{name}{CLIENT_ENDING}");
    let path = path.join(&file);
    let failed = |error| OnionError::file(&path, error);
    let bytes = files::read_file(directory, &file).map_err(failed)?.unwrap_or_default();
    let public_key = parse_client(&bytes, &path)?;
    Ok(AuthorizedClient { name: name.parse()?, public_key, key: None })
}

fn parse_client(bytes: &[u8], path: &Path) -> Result<ClientAuthPublicKey, OnionError> {
    String::from_utf8_lossy(bytes)
        .trim()
        .parse()
        .map_err(|source| OnionError::new(OnionProblem::Key { path: path.to_owned(), source }))
}
