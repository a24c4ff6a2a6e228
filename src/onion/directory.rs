//! The directory of a service: checked, made and filled before tor sees it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{self, Path, PathBuf};

use super::client_auth::AuthorizedClient;
use super::keys::write_new;
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{ClientAuthPublicKey, OnionAddress, OnionKey};

const PRIVATE: u32 = 0o700;
const SECRET_KEY: &str = "hs_ed25519_secret_key";
const PUBLIC_KEY: &str = "hs_ed25519_public_key";
const HOSTNAME: &str = "hostname";
const CLIENTS: &str = "authorized_clients";

/// The directory of a service that is being made.
///
/// Until [`keep`](Self::keep) is called, dropping it takes back everything that was made here, and
/// nothing else. A temporary directory goes in any case.
#[derive(Debug)]
pub(super) struct ServiceDirectory {
    path: PathBuf,
    /// Whom it must belong to: the user that tor runs as.
    owner: Option<u32>,
    temporary: bool,
    /// What was made here, in this order; not what is in a directory that was made here.
    made: Vec<PathBuf>,
}

impl ServiceDirectory {
    /// Makes a temporary directory, or checks the given one and makes it if it is missing.
    /// `tor_user` is the user that tor runs as, if tor tells.
    pub(super) fn prepare(given: Option<&Path>, tor_user: Option<u32>) -> Result<Self> {
        match given {
            Some(path) => Self::given(path, tor_user),
            None => Self::temporary(tor_user),
        }
    }

    fn temporary(tor_user: Option<u32>) -> Result<Self> {
        let root = std::env::temp_dir();
        let root = path::absolute(&root).map_err(|error| OnionError::file(&root, error))?;
        let made = tempfile::Builder::new()
            .prefix("torcon-onion-")
            .permissions(Permissions::from_mode(PRIVATE))
            .tempdir_in(&root)
            .map_err(|error| OnionError::file(&root, error))?;
        let path = made.keep();
        let directory = Self { path: path.clone(), owner: None, temporary: true, made: vec![path] };
        directory.give_to(tor_user)
    }

    fn given(path: &Path, tor_user: Option<u32>) -> Result<Self> {
        let path = path::absolute(path).map_err(|error| OnionError::file(path, error))?;
        let mut directory = Self { path, owner: None, temporary: false, made: Vec::new() };
        let path = directory.path.as_path();
        // tor would make a missing directory, but exit if it cannot.
        match DirBuilder::new().mode(PRIVATE).create(path) {
            Ok(()) => {
                directory.made.push(path.to_owned());
                directory.give_to(tor_user)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                check(path, tor_user)?;
                directory.owner = tor_user;
                Ok(directory)
            }
            Err(error) => Err(OnionError::file(path, error).into()),
        }
    }

    /// Lets a directory that was just made belong to tor's user.
    fn give_to(mut self, tor_user: Option<u32>) -> Result<Self> {
        self.owner = tor_user;
        self.own(&self.path)?;
        Ok(self)
    }

    fn own(&self, path: &Path) -> Result<()> {
        let Some(owner) = self.owner else { return Ok(()) };
        let found = fs::metadata(path).map_err(|error| OnionError::file(path, error))?;
        if found.uid() == owner {
            return Ok(());
        }
        chown(path, Some(owner), None).map_err(|_| {
            let detail = format!(
                "belongs to user {}, and tor runs as user {owner}: only an ephemeral service can \
                 be added",
                found.uid()
            );
            OnionError::unsafe_path(path, detail).into()
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the address of the service that the directory has been used for, if there is one,
    /// after a look at the key.
    pub(super) fn existing_address(&self) -> Result<Option<OnionAddress>> {
        let path = self.path.join(SECRET_KEY);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(Some(OnionKey::read_file(&path)?.address())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OnionError::file(&path, error).into()),
        }
    }

    /// Puts the key of the service there, unless it is there already.
    pub(super) fn put_key(&mut self, key: &OnionKey) -> Result<()> {
        if let Some(found) = self.existing_address()? {
            if found == key.address() {
                return Ok(());
            }
            let (path, given) = (self.path.clone(), key.address());
            return Err(OnionError::new(OnionProblem::OtherKey { path, found, given }).into());
        }
        // A public key or a name without its secret would only contradict the new ones.
        self.put(PUBLIC_KEY, &key.public_file_bytes())?;
        let path = self.path.join(SECRET_KEY);
        key.write_file(&path)?;
        self.made.push(path.clone());
        self.own(&path)?;
        // tor makes this one.
        self.note_missing(HOSTNAME);
        Ok(())
    }

    /// Puts the keys of clients there. One of a name that is there already is left as it is: if a
    /// key was to be made for it, it keeps the one it has.
    pub(super) fn put_clients(&mut self, clients: &mut [AuthorizedClient]) -> Result<()> {
        if clients.is_empty() {
            return Ok(());
        }
        let directory = self.path.join(CLIENTS);
        match DirBuilder::new().mode(PRIVATE).create(&directory) {
            Ok(()) => self.made.push(directory.clone()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(OnionError::file(&directory, error).into()),
        }
        self.own(&directory)?;
        for client in clients {
            let file = format!("{CLIENTS}/{}.auth", client.name);
            let path = self.path.join(&file);
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let found = text.trim().parse::<ClientAuthPublicKey>();
                    let found = found.map_err(|source| {
                        OnionError::new(OnionProblem::Key { path: path.clone(), source })
                    })?;
                    if found == client.public_key {
                        continue;
                    }
                    if client.key.take().is_none() {
                        let name = client.name;
                        return Err(OnionError::new(OnionProblem::ClientExists { name }).into());
                    }
                    client.public_key = found;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let line = format!("{}\n", client.public_key.descriptor_line());
                    self.put(&file, line.as_bytes())?;
                }
                Err(error) => return Err(OnionError::file(&path, error).into()),
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        write_new(&path, bytes)?;
        self.made.push(path.clone());
        self.own(&path)
    }

    /// Counts a file that tor will make as one of ours, if it is not there yet.
    fn note_missing(&mut self, name: &str) {
        let path = self.path.join(name);
        if !path.exists() {
            self.made.push(path);
        }
    }

    /// Counts what tor will make in a directory that is there as ours.
    pub(super) fn expect_files(&mut self) {
        for name in [HOSTNAME, PUBLIC_KEY, SECRET_KEY, CLIENTS] {
            self.note_missing(name);
        }
    }

    /// Returns the address that tor has written down.
    pub(super) fn read_address(&self) -> Result<OnionAddress> {
        let path = self.path.join(HOSTNAME);
        let text = fs::read_to_string(&path).map_err(|error| OnionError::file(&path, error))?;
        let address = text.trim().parse();
        Ok(address.map_err(|source| OnionError::new(OnionProblem::Key { path, source }))?)
    }

    /// Returns the key that tor has written down.
    pub(super) fn read_key(&self) -> Result<OnionKey> {
        OnionKey::read_file(self.path.join(SECRET_KEY))
    }

    /// Lets everything stay as it is, but for a temporary directory.
    pub(super) fn keep(&mut self) {
        if !self.temporary {
            self.made.clear();
        }
    }
}

impl Drop for ServiceDirectory {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            let removed = match fs::symlink_metadata(path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    log::warn!("{path:?} of an onion service stays: {error}");
                }
                _ => {}
            }
        }
    }
}

/// Returns the address in the file `hostname` of another service's directory.
pub(super) fn address_in(directory: &Path) -> Option<OnionAddress> {
    fs::read_to_string(directory.join(HOSTNAME)).ok()?.trim().parse().ok()
}

/// Refuses a directory that tor would refuse.
fn check(path: &Path, tor_user: Option<u32>) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(|error| OnionError::file(path, error))?;
    let refuse = |detail: String| Err(OnionError::unsafe_path(path, detail).into());
    if found.is_symlink() {
        return refuse("is a symbolic link, which tor does not follow".to_owned());
    }
    if !found.is_dir() {
        return refuse("is no directory".to_owned());
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return refuse(format!("has mode {mode:04o}, and tor wants one that is private (0700)"));
    }
    match tor_user {
        Some(user) if found.uid() != user => {
            refuse(format!("belongs to user {}, and tor runs as user {user}", found.uid()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
