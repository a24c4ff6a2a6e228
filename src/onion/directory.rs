//! The directory of a filesystem service: checked, created and filled before tor uses it.

mod checks;
mod clients;

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::fstat;
use nix::unistd::{Gid, Uid, geteuid};
use zeroize::Zeroizing;

use self::checks::{check, check_kind, foreign};
use super::keys::read_key;
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{OnionAddress, OnionKey};
use crate::private_files as files;
use crate::temporary::{self, TemporaryDirectory};

const SECRET_KEY: &str = "hs_ed25519_secret_key";
const PUBLIC_KEY: &str = "hs_ed25519_public_key";
const HOSTNAME: &str = "hostname";
const CLIENTS: &str = "authorized_clients";
/// The files that tor creates in the directory of a service, besides the directory of its clients.
const FILES: [&str; 4] = [HOSTNAME, PUBLIC_KEY, SECRET_KEY, "onion_service_non_anonymous"];
/// The prefix of the names of temporary directories, and the part of it that this module chooses.
const TEMPORARY_START: &str = "torcon-onion-";
const PURPOSE: &str = "onion-";

/// The location of a service's directory.
#[derive(Clone, Debug)]
pub(super) enum DirectoryPlace {
    /// A new directory below the directory for temporary files.
    Temporary,
    Given(PathBuf),
}

impl DirectoryPlace {
    /// Returns the directory, or the prefix of the temporary one.
    pub(super) fn path(&self) -> Result<PathBuf> {
        let path = match self {
            Self::Temporary => temporary::root().join(TEMPORARY_START),
            Self::Given(path) => path.clone(),
        };
        Ok(path::absolute(&path).map_err(|error| OnionError::file(&path, error))?)
    }
}

/// The open directory of a service.
///
/// It is opened once, and all files in it are accessed by that descriptor. It stays locked while this
/// value lives, so that no other program that uses torcon takes it. Until [`keep`](Self::keep) is
/// called, dropping the value undoes every change. A temporary directory is removed on drop, except
/// after [`abandon`](Self::abandon).
#[derive(Debug)]
pub(super) struct ServiceDirectory {
    path: PathBuf,
    directory: Option<Directory>,
    /// The user that tor runs as, who must own the files.
    owner: Option<Uid>,
    /// The steps that undo the changes, in the order of the changes.
    undo: Vec<Undo>,
    clients: Option<File>,
    temporary: Option<TemporaryDirectory>,
}

/// An open directory, locked if its file system supports locks.
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
enum Undo {
    /// The service directory itself, in its parent.
    RemoveDirectory(File, PathBuf),
    RemoveClients,
    RemoveFile(String),
    RemoveClient(String),
    RestoreClient(String, Zeroizing<Vec<u8>>),
}

impl ServiceDirectory {
    /// Creates a temporary directory, or checks the given one and creates it if it is missing.
    /// `tor_user` is the user that tor runs as, if tor reports it.
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
            undo: Vec::new(),
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
        let mut undo = Vec::new();
        // tor creates a missing directory itself, but exits if it cannot.
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
                undo.push(Undo::RemoveDirectory(parent, name));
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
            undo,
            clients: None,
            temporary: None,
        };
        prepared.directory = Some(match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => Directory::Locked(locked),
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
            }
            // The file system does not support locks.
            Err((directory, _)) => Directory::Open(directory),
        });
        Ok(prepared)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the user that the tor of a new connection runs as, if tor reports it.
    pub(super) fn set_owner(&mut self, tor_user: Option<u32>) {
        self.owner = tor_user.map(Uid::from_raw);
    }

    fn fd(&self) -> Result<&File> {
        let closed = || OnionError::new(OnionProblem::Closed).into();
        self.directory.as_ref().map(Directory::file).ok_or_else(closed)
    }

    /// Returns a function that adds the file's path to an error.
    fn failed(&self, name: &str) -> impl Fn(io::Error) -> OnionError + use<> {
        let path = self.path.join(name);
        move |error| OnionError::file(&path, error)
    }

    /// Returns the address of the key in the directory, if it has one.
    pub(super) fn existing_address(&self) -> Result<Option<OnionAddress>> {
        Ok(self.existing_key()?.map(|key| key.address()))
    }

    fn existing_key(&self) -> Result<Option<OnionKey>> {
        let found = files::open_file(self.fd()?, SECRET_KEY).map_err(self.failed(SECRET_KEY))?;
        found.map(|file| read_key(file, &self.path.join(SECRET_KEY))).transpose()
    }

    /// Writes the key of the service, unless the directory has it already.
    pub(super) fn install_key(&mut self, key: &OnionKey) -> Result<()> {
        if let Some(found) = self.existing_address()? {
            if found == key.address() {
                return Ok(());
            }
            let (path, given) = (self.path.clone(), key.address());
            return Err(OnionError::new(OnionProblem::OtherKey { path, found, given }).into());
        }
        // The public key is written first: tor refuses a secret key that does not match it.
        self.put(PUBLIC_KEY, &key.public_file_bytes())?;
        self.put(SECRET_KEY, &*Zeroizing::new(key.reveal_file_bytes()))
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let made = files::create_file(self.fd()?, name, bytes, self.owner);
        made.map_err(self.failed(name))?;
        self.undo.push(Undo::RemoveFile(name.to_owned()));
        Ok(())
    }

    /// Checks that the path still names this directory, that tor would accept it, and that it still
    /// has the key.
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

    /// Refuses files that tor would read without end, such as a named pipe.
    fn check_files(&self) -> Result<()> {
        for name in FILES.into_iter().chain(["ob_config"]) {
            files::is_file(self.fd()?, name).map_err(self.failed(name))?;
        }
        self.check_client_files()
    }

    /// Records the files that tor will create, so that an undo removes them.
    pub(super) fn expect_files(&mut self) -> Result<()> {
        self.check_files()?;
        for name in FILES {
            if !files::exists(self.fd()?, name) {
                self.undo.push(Undo::RemoveFile(name.to_owned()));
            }
        }
        let is_made = |step: &Undo| matches!(step, Undo::RemoveClients);
        if !files::exists(self.fd()?, CLIENTS) && !self.undo.iter().any(is_made) {
            self.undo.push(Undo::RemoveClients);
        }
        Ok(())
    }

    /// Reads the address from the file `hostname`.
    pub(super) fn read_address(&self) -> Result<OnionAddress> {
        let found = files::read_file(self.fd()?, HOSTNAME).map_err(self.failed(HOSTNAME))?;
        let missing = || self.failed(HOSTNAME)(io::ErrorKind::NotFound.into());
        let bytes = found.ok_or_else(missing)?;
        let address = String::from_utf8_lossy(&bytes).trim().parse();
        let path = self.path.join(HOSTNAME);
        Ok(address.map_err(|source| OnionError::new(OnionProblem::Key { path, source }))?)
    }

    /// Returns the key in the directory; `None` if this program cannot read it.
    pub(super) fn read_key(&self) -> Option<OnionKey> {
        self.existing_key().ok().flatten()
    }

    /// Makes all changes permanent. A temporary directory is still removed on drop.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Returns the number of changes that can be undone.
    pub(super) fn changes(&self) -> usize {
        self.undo.len()
    }

    /// Undoes the changes after the first `count`, and returns the errors of those that it could
    /// not undo. Logs nothing, since the caller may hold a lock.
    pub(super) fn undo_to(&mut self, count: usize) -> Vec<io::Error> {
        let steps = self.undo.split_off(count.min(self.undo.len()));
        steps.iter().rev().filter_map(|step| self.undo_step(step).err()).collect()
    }

    /// Makes the changes after the first `count` permanent.
    pub(super) fn keep_from(&mut self, count: usize) {
        self.undo.truncate(count);
    }

    /// Makes all changes permanent, and keeps a temporary directory, since tor may be using it. A
    /// later program that uses torcon removes that directory after this one has ended.
    pub(super) fn abandon(&mut self) {
        self.undo.clear();
        if let Some(temporary) = self.temporary.take() {
            log::warn!(
                "the directory {:?} of an onion service was not removed: tor may be using it",
                self.path
            );
            let _kept = ManuallyDrop::new(temporary);
        }
    }

    fn undo_step(&self, step: &Undo) -> io::Result<()> {
        let closed = || io::Error::from(io::ErrorKind::NotFound);
        let clients = || self.clients.as_ref().ok_or_else(closed);
        let directory = || self.directory.as_ref().map(Directory::file).ok_or_else(closed);
        match step {
            Undo::RemoveDirectory(parent, name) => {
                if let Ok(directory) = directory() {
                    for name in FILES {
                        files::remove_file(directory, name)?;
                    }
                    files::remove_directory(directory, Path::new(CLIENTS))?;
                }
                files::remove_directory(parent, name)
            }
            Undo::RemoveClients => files::remove_directory(directory()?, Path::new(CLIENTS)),
            Undo::RemoveFile(name) => files::remove_file(directory()?, name),
            Undo::RemoveClient(name) => files::remove_file(clients()?, name),
            Undo::RestoreClient(name, bytes) => {
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
        for error in self.undo_to(0) {
            log::warn!(
                "a change of the directory {:?} of an onion service could not be undone: {error}",
                self.path
            );
        }
    }
}

/// Reads the address of another service from the file `hostname` in its directory.
pub(super) fn address_in(directory: &Path) -> Option<OnionAddress> {
    let directory = open_at(directory).ok()?;
    let bytes = files::read_file(&directory, HOSTNAME).ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// Returns whether a path names a temporary directory of an ended program that was removed.
pub(super) fn is_swept(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let is_temporary = name.starts_with(TEMPORARY_START) && name.ends_with(".tmp");
    let found = directory.symlink_metadata();
    is_temporary && found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn open_at(path: &Path) -> Result<File, OnionError> {
    let failed = |error| OnionError::file(path, error);
    // `openat` ignores the descriptor for an absolute path.
    let root = files::open_parent(Path::new("/")).map_err(failed)?;
    files::open_directory(&root, path).map_err(failed)
}

#[cfg(test)]
mod tests;
