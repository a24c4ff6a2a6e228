//! The directory of a service: checked, made and filled before tor sees it.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{SFlag, fstat, fstatat};
use nix::unistd::{Gid, Uid, geteuid};
use zeroize::Zeroizing;

use super::client_auth::AuthorizedClient;
use super::keys::read_key;
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{ClientAuthPublicKey, OnionAddress, OnionKey};
use crate::private_files as files;
use crate::temporary::{self, TemporaryDirectory};

const SECRET_KEY: &str = "hs_ed25519_secret_key";
const PUBLIC_KEY: &str = "hs_ed25519_public_key";
const HOSTNAME: &str = "hostname";
const CLIENTS: &str = "authorized_clients";
/// What tor makes in the directory of a service, beside the directory of its clients.
const FILES: [&str; 4] = [HOSTNAME, PUBLIC_KEY, SECRET_KEY, "onion_service_non_anonymous"];
/// What the names of temporary directories begin with, and what of that is chosen here.
const TEMPORARY_START: &str = "torcon-onion-";
const PURPOSE: &str = "onion-";
const CLIENT_ENDING: &str = ".auth";

/// Where the directory of a service is to be.
#[derive(Clone, Debug)]
pub(super) enum DirectoryPlace {
    /// A new one below the directory for temporary files.
    Temporary,
    Given(PathBuf),
}

impl DirectoryPlace {
    /// Returns the directory, or the one that it will be made in.
    pub(super) fn path(&self) -> Result<PathBuf> {
        let path = match self {
            Self::Temporary => temporary::root().join(TEMPORARY_START),
            Self::Given(path) => path.clone(),
        };
        Ok(path::absolute(&path).map_err(|error| OnionError::file(&path, error))?)
    }
}

/// The directory of a service that is being made.
///
/// It is opened once, and everything in it is reached by that descriptor. While this value lives,
/// the directory is locked, so that no other program of this kind uses it. Until
/// [`keep`](Self::keep) is called, dropping the value takes back every change that was made here.
/// A temporary directory is removed in any case but [`abandon`](Self::abandon).
#[derive(Debug)]
pub(super) struct ServiceDirectory {
    path: PathBuf,
    directory: Option<Directory>,
    /// The user that the files must belong to: the one that tor runs as.
    owner: Option<Uid>,
    /// The changes to take back, in the order in which they were made.
    changes: Vec<Change>,
    clients: Option<File>,
    temporary: Option<TemporaryDirectory>,
}

/// An open directory, which is locked if its file system has locks.
#[derive(Debug)]
enum Directory {
    Locked(Flock<File>),
    Open(File),
}

impl Directory {
    fn file(&self) -> &File {
        match self {
            Self::Locked(file) => file,
            Self::Open(file) => file,
        }
    }
}

#[derive(Debug)]
enum Change {
    /// The directory itself was made, in this one.
    MadeDirectory(File, PathBuf),
    MadeClients,
    MadeFile(String),
    MadeClient(String),
    RemovedClient(String, Zeroizing<Vec<u8>>),
}

impl ServiceDirectory {
    /// Makes a temporary directory, or checks the given one and makes it if it is missing.
    /// `tor_user` is the user that tor runs as, if tor tells.
    pub(super) fn prepare(place: &DirectoryPlace, tor_user: Option<u32>) -> Result<Self> {
        let owner = tor_user.map(Uid::from_raw);
        match place {
            DirectoryPlace::Given(path) => Self::given(path, owner),
            DirectoryPlace::Temporary => Self::temporary(owner),
        }
    }

    fn temporary(owner: Option<Uid>) -> Result<Self> {
        let root = path::absolute(temporary::root());
        let root = root.map_err(|error| OnionError::file(Path::new("TMPDIR"), error))?;
        let failed = |error| OnionError::file(&root, error);
        temporary::sweep(&root);
        let made = TemporaryDirectory::create_in(&root, PURPOSE).map_err(failed)?;
        let directory = open_at(made.path())?;
        let found = fstat(&directory).map_err(|errno| failed(errno.into()))?;
        if let Some(owner) = owner.filter(|owner| owner.as_raw() != found.st_uid) {
            let given = made.give_to(owner, Gid::from_raw(found.st_gid));
            given.map_err(|_| foreign(made.path(), found.st_uid, owner))?;
        }
        Ok(Self {
            path: made.path().to_owned(),
            directory: Some(Directory::Open(directory)),
            owner,
            changes: Vec::new(),
            clients: None,
            temporary: Some(made),
        })
    }

    fn given(path: &Path, owner: Option<Uid>) -> Result<Self> {
        let path = path::absolute(path).map_err(|error| OnionError::file(path, error))?;
        let failed = |error| OnionError::file(&path, error);
        let (Some(parent_path), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(OnionError::unsafe_path(&path, "cannot be that of a service").into());
        };
        let name = PathBuf::from(name);
        let parent = files::open_parent(parent_path).map_err(failed)?;
        let mut changes = Vec::new();
        // tor would make a missing directory, but exit if it cannot.
        let created = match files::create_directory(&parent, &name, owner) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let me = geteuid();
                let error = match owner.filter(|owner| *owner != me) {
                    Some(owner) => foreign(&path, me.as_raw(), owner),
                    None => failed(error),
                };
                return Err(error.into());
            }
            created => created.map_err(failed)?,
        };
        let directory = match created {
            Some(directory) => {
                changes.push(Change::MadeDirectory(parent, name));
                directory
            }
            None => {
                check_kind(&parent, &name, &path)?;
                let directory = files::open_directory(&parent, &name).map_err(failed)?;
                check(&directory, &path, owner)?;
                directory
            }
        };
        let mut prepared = Self {
            path: path.clone(),
            directory: None,
            owner,
            changes,
            clients: None,
            temporary: None,
        };
        prepared.directory = Some(match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => Directory::Locked(locked),
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
            }
            // The file system has no locks.
            Err((directory, _)) => Directory::Open(directory),
        });
        Ok(prepared)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn fd(&self) -> Result<&File> {
        let closed = || OnionError::new(OnionProblem::Closed).into();
        self.directory.as_ref().map(Directory::file).ok_or_else(closed)
    }

    /// Names the file that an error is about.
    fn failed(&self, name: &str) -> impl Fn(io::Error) -> OnionError + use<> {
        let path = self.path.join(name);
        move |error| OnionError::file(&path, error)
    }

    /// Returns the address of the service that the directory has been used for, if there is one,
    /// after a look at the key.
    pub(super) fn existing_address(&self) -> Result<Option<OnionAddress>> {
        Ok(self.existing_key()?.map(|key| key.address()))
    }

    fn existing_key(&self) -> Result<Option<OnionKey>> {
        let found = files::open_file(self.fd()?, SECRET_KEY).map_err(self.failed(SECRET_KEY))?;
        found.map(|file| read_key(file, &self.path.join(SECRET_KEY))).transpose()
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
        self.put(SECRET_KEY, &*Zeroizing::new(key.reveal_file_bytes()))
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let made = files::create_file(self.fd()?, name, bytes, self.owner);
        made.map_err(self.failed(name))?;
        self.changes.push(Change::MadeFile(name.to_owned()));
        Ok(())
    }

    /// Lets in these clients and no others, or whom the directory lets in if there is none.
    /// Returns the clients of the service.
    ///
    /// A client of a name that is there already keeps its key, if one was to be made for it.
    pub(super) fn put_clients(
        &mut self,
        mut clients: Vec<AuthorizedClient>,
    ) -> Result<Vec<AuthorizedClient>> {
        let name = Path::new(CLIENTS);
        let failed = self.failed(CLIENTS);
        if !clients.is_empty() {
            let made = files::create_directory(self.fd()?, name, self.owner).map_err(&failed)?;
            if made.is_some() {
                self.changes.push(Change::MadeClients);
            }
        }
        let directory = match files::open_directory(self.fd()?, name) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(clients),
            Err(error) => return Err(failed(error).into()),
        };
        let path = self.path.join(CLIENTS);
        check_owner(&directory, &path, self.owner)?;
        self.clients = Some(directory.try_clone().map_err(&failed)?);
        let there = files::names(&directory).map_err(&failed)?;
        let there = there.iter().filter_map(|name| name.strip_suffix(CLIENT_ENDING));
        if clients.is_empty() {
            return there.map(|name| read_client(&directory, &path, name)).collect();
        }
        for name in there.filter(|name| clients.iter().all(|client| client.name.as_str() != *name))
        {
            self.remove_client(&directory, &path.join(format!("{name}{CLIENT_ENDING}")))?;
        }
        for client in &mut clients {
            self.put_client(&directory, &path, client)?;
        }
        Ok(clients)
    }

    fn remove_client(&mut self, directory: &File, path: &Path) -> Result<()> {
        let failed = |error| OnionError::file(path, error);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(bytes) = files::read_file(directory, &name).map_err(failed)? {
            files::remove_file(directory, &name).map_err(failed)?;
            self.changes.push(Change::RemovedClient(name, bytes));
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
            self.changes.push(Change::MadeClient(name));
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

    /// Refuses the directory if it is no longer the one that was opened, or is one that tor would
    /// refuse, or has lost the key.
    pub(super) fn check_again(&self, address: OnionAddress) -> Result<()> {
        let path = &self.path;
        let failed = |error| OnionError::file(path, error);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(io::ErrorKind::NotFound.into()).into());
        };
        let parent = files::open_parent(parent).map_err(failed)?;
        check_kind(&parent, Path::new(name), path)?;
        let directory = files::open_directory(&parent, Path::new(name)).map_err(failed)?;
        let [now, before] =
            [&directory, self.fd()?].map(|file| file.metadata().map(|it| (it.dev(), it.ino())));
        if now.map_err(failed)? != before.map_err(failed)? {
            return Err(OnionError::unsafe_path(path, "has been replaced by another").into());
        }
        check(&directory, path, self.owner)?;
        self.check_files()?;
        match self.existing_address()? {
            Some(found) if found == address => Ok(()),
            Some(_) => Err(OnionError::unsafe_path(path, "has another key than before").into()),
            None => Err(self.failed(SECRET_KEY)(io::ErrorKind::NotFound.into()).into()),
        }
    }

    /// Refuses a file that tor would read without end, such as a named pipe.
    fn check_files(&self) -> Result<()> {
        for name in FILES.into_iter().chain(["ob_config"]) {
            files::is_file(self.fd()?, name).map_err(self.failed(name))?;
        }
        Ok(())
    }

    /// Counts the files that are missing, and that tor will make, as changes.
    pub(super) fn expect_files(&mut self) -> Result<()> {
        self.check_files()?;
        for name in FILES {
            if !files::exists(self.fd()?, name) {
                self.changes.push(Change::MadeFile(name.to_owned()));
            }
        }
        let is_made = |change: &Change| matches!(change, Change::MadeClients);
        if !files::exists(self.fd()?, CLIENTS) && !self.changes.iter().any(is_made) {
            self.changes.push(Change::MadeClients);
        }
        Ok(())
    }

    /// Returns the address that tor has written down.
    pub(super) fn read_address(&self) -> Result<OnionAddress> {
        let found = files::read_file(self.fd()?, HOSTNAME).map_err(self.failed(HOSTNAME))?;
        let missing = || self.failed(HOSTNAME)(io::ErrorKind::NotFound.into());
        let bytes = found.ok_or_else(missing)?;
        let address = String::from_utf8_lossy(&bytes).trim().parse();
        let path = self.path.join(HOSTNAME);
        Ok(address.map_err(|source| OnionError::new(OnionProblem::Key { path, source }))?)
    }

    /// Returns the key that tor has written down, if this program may read it.
    pub(super) fn read_key(&self) -> Option<OnionKey> {
        self.existing_key().ok().flatten()
    }

    /// Lets everything stay as it is, but for a temporary directory.
    pub(super) fn keep(&mut self) {
        self.changes.clear();
    }

    /// Lets everything stay, a temporary directory too: tor may be using it. A temporary one is
    /// removed by a later program, after this one has ended.
    pub(super) fn abandon(&mut self) {
        self.changes.clear();
        if let Some(temporary) = self.temporary.take() {
            log::warn!("the directory {:?} of an onion service stays", self.path);
            let _kept = ManuallyDrop::new(temporary);
        }
    }

    fn take_back(&self, change: &Change) -> io::Result<()> {
        let closed = || io::Error::from(io::ErrorKind::NotFound);
        let clients = || self.clients.as_ref().ok_or_else(closed);
        let directory = || self.directory.as_ref().map(Directory::file).ok_or_else(closed);
        match change {
            Change::MadeDirectory(parent, name) => {
                if let Ok(directory) = directory() {
                    for name in FILES {
                        files::remove_file(directory, name)?;
                    }
                    files::remove_directory(directory, Path::new(CLIENTS))?;
                }
                files::remove_directory(parent, name)
            }
            Change::MadeClients => files::remove_directory(directory()?, Path::new(CLIENTS)),
            Change::MadeFile(name) => files::remove_file(directory()?, name),
            Change::MadeClient(name) => files::remove_file(clients()?, name),
            Change::RemovedClient(name, bytes) => {
                files::create_file(clients()?, name, bytes, self.owner)
            }
        }
    }
}

impl Drop for ServiceDirectory {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            return;
        }
        for change in std::mem::take(&mut self.changes).iter().rev() {
            if let Err(error) = self.take_back(change) {
                log::warn!("{:?} of an onion service is not as before: {error}", self.path);
            }
        }
    }
}

/// Returns the address in the file `hostname` of another service's directory.
pub(super) fn address_in(directory: &Path) -> Option<OnionAddress> {
    let directory = open_at(directory).ok()?;
    let bytes = files::read_file(&directory, HOSTNAME).ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// Whether a directory was a temporary one of a program that has ended.
pub(super) fn is_swept(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let is_temporary = name.starts_with(TEMPORARY_START) && name.ends_with(".tmp");
    let found = directory.symlink_metadata();
    is_temporary && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn open_at(path: &Path) -> Result<File, OnionError> {
    let failed = |error| OnionError::file(path, error);
    // An absolute path does not begin at the descriptor.
    let root = files::open_parent(Path::new("/")).map_err(failed)?;
    files::open_directory(&root, path).map_err(failed)
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

/// Refuses what is not a directory by the name of what it is.
fn check_kind(parent: impl AsFd, name: &Path, path: &Path) -> Result<()> {
    let found = fstatat(parent, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| OnionError::file(path, errno.into()))?;
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFLNK {
        let detail = "is a symbolic link, which tor does not follow";
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    if kind != SFlag::S_IFDIR {
        return Err(OnionError::unsafe_path(path, "is no directory").into());
    }
    Ok(())
}

/// Refuses a directory that tor would refuse.
fn check(directory: &File, path: &Path, owner: Option<Uid>) -> Result<()> {
    let found = directory.metadata().map_err(|error| OnionError::file(path, error))?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let detail = format!("has mode {mode:04o}, and tor wants one that is private (0700)");
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    check_owner(directory, path, owner)
}

fn check_owner(directory: &File, path: &Path, owner: Option<Uid>) -> Result<()> {
    let found = directory.metadata().map_err(|error| OnionError::file(path, error))?;
    match owner {
        Some(owner) if found.uid() != owner.as_raw() => {
            let detail = format!("belongs to user {}, and tor runs as user {owner}", found.uid());
            Err(OnionError::unsafe_path(path, detail).into())
        }
        _ => Ok(()),
    }
}

/// This program may not make a directory for the user that tor runs as.
fn foreign(path: &Path, user: u32, owner: Uid) -> OnionError {
    let detail = format!(
        "belongs to user {user}, and tor runs as user {owner}: only an ephemeral service can be \
         added"
    );
    OnionError::unsafe_path(path, detail)
}

#[cfg(test)]
mod tests;
