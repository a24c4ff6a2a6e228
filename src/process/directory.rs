use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::AT_FDCWD;

use super::tor_user::TorUser;
use crate::error::LaunchProblem;
use crate::private_files;
use crate::temporary::{self, TemporaryDirectory};

/// The longest path of a unix socket, without the NUL at its end.
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// A short path that every user can search.
const COMMON_ROOT: &str = "/tmp";

/// Which data directory a tor has.
#[derive(Clone, Debug)]
pub(super) enum DataDirectory {
    /// One that the program has given, and that is never deleted.
    Given(PathBuf),
    /// One that several tors have, one after the other; made by [`create_kept`].
    Kept(Arc<TemporaryDirectory>),
    /// One of this tor only.
    Temporary,
    /// The given one, or a missing one; nothing is created or changed.
    Unchanged(Option<PathBuf>),
}

/// The directories and files of one tor process.
///
/// A temporary directory with mode 0700 contains `torrc`, an empty `defaults-torrc` and the files
/// that tor writes for torcon; with [`DataDirectory::Temporary`], it contains the data directory too.
///
/// The control socket is never in a given data directory: tor replaces an existing socket, even
/// that of another running tor, before it finds the directory locked.
#[derive(Debug)]
pub(super) struct Directories {
    data: PathBuf,
    private: PathBuf,
    control_socket: PathBuf,
    /// The user that tor changes to, if it is not that of this program.
    user: Option<TorUser>,
    /// The private directory, and one in `/tmp` if the path of the socket would be too long.
    temporary: Vec<TemporaryDirectory>,
    /// That of [`DataDirectory::Kept`].
    kept: Option<Arc<TemporaryDirectory>>,
}

impl Directories {
    pub(super) fn prepare(
        data: DataDirectory,
        temporary_root: &Path,
        user: Option<TorUser>,
    ) -> Result<Self, LaunchProblem> {
        let directory = create_temporary(root_for(temporary_root, user))?;
        let private = directory.path().to_owned();
        let mut temporary = vec![directory];
        let mut control_socket = private.join("control");
        let mut kept = None;
        let data = match data {
            DataDirectory::Given(data) => {
                let data = path::absolute(&data).map_err(|error| problem(&data, error))?;
                create_directory(&data)?;
                data
            }
            DataDirectory::Kept(directory) => kept.insert(directory).path().join("data"),
            DataDirectory::Unchanged(Some(data)) => {
                path::absolute(&data).map_err(|error| problem(&data, error))?
            }
            DataDirectory::Unchanged(None) => private.join("data"),
            DataDirectory::Temporary => {
                let data = private.join("data");
                create_directory(&data)?;
                control_socket = data.join("control");
                data
            }
        };
        if control_socket.as_os_str().as_bytes().len() > SOCKET_PATH_LIMIT {
            let common = create_temporary(Path::new(COMMON_ROOT))?;
            control_socket = common.path().join("control");
            temporary.push(common);
        }
        Ok(Self { data, private, control_socket, user, temporary, kept })
    }

    /// Returns the directories that are removed when this value is dropped.
    #[cfg(feature = "testnet")]
    pub(super) fn temporary(&self) -> Vec<PathBuf> {
        self.temporary.iter().map(|directory| directory.path().to_owned()).collect()
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn control_socket(&self) -> &Path {
        &self.control_socket
    }

    pub(super) fn torrc(&self) -> PathBuf {
        self.private.join("torrc")
    }

    pub(super) fn defaults_torrc(&self) -> PathBuf {
        self.private.join("defaults-torrc")
    }

    /// Returns the file for `ControlPortWriteToFile`.
    pub(super) fn port_file(&self) -> PathBuf {
        self.private.join("control-port")
    }

    /// Writes the torrc, and the empty defaults, without which tor would read those of the system.
    pub(super) fn write_torrc(&self, text: &[u8]) -> Result<(), LaunchProblem> {
        let write = |path: PathBuf, text: &[u8]| {
            let written = private_files::create_file(AT_FDCWD, &path, text, None);
            written.map_err(|error| problem(&path, error))
        };
        write(self.torrc(), text)?;
        write(self.defaults_torrc(), b"")
    }

    /// Makes tor's user the owner of all directories and files, and creates the directories of
    /// onion services, which that user often cannot. Does nothing if tor does not change its user.
    ///
    /// Must be the last write: in a directory of another user, a symbolic link of that user could
    /// redirect it. A directory whose parent is missing is left to tor, which reports it.
    pub(super) fn give_away(
        &self,
        services: impl Iterator<Item: AsRef<Path>>,
    ) -> Result<(), LaunchProblem> {
        let Some(user) = self.user else { return Ok(()) };
        for service in services {
            let service = service.as_ref();
            let path = path::absolute(service).map_err(|error| problem(service, error))?;
            if path.parent().is_some_and(Path::is_dir) {
                create_directory(&path)?;
                user.give_empty(&path).map_err(|error| problem(&path, error))?;
            }
        }
        // A kept directory belongs to that user already, who could have redirected its path.
        if self.kept.is_none() {
            user.give_empty(&self.data).map_err(|error| problem(&self.data, error))?;
        }
        self.give_private()
    }

    /// Makes tor's user the owner of the temporary directories and of the files in them. Does nothing
    /// if tor does not change its user.
    pub(super) fn give_private(&self) -> Result<(), LaunchProblem> {
        let Some(user) = self.user else { return Ok(()) };
        for file in [self.torrc(), self.defaults_torrc()] {
            user.give(&file).map_err(|error| problem(&file, error))?;
        }
        // The private directory is the last: its owner can replace everything in it.
        for directory in self.temporary.iter().rev() {
            let path = directory.path();
            user.give(path).map_err(|error| problem(path, error))?;
        }
        Ok(())
    }

    /// Returns tor's standard input: the lock file of the private directory, or of a kept data
    /// directory, which is read as empty. tor keeps it locked after this program has ended, so that no
    /// other program removes the directory while tor runs.
    pub(super) fn stdin(&self) -> Result<OwnedFd, LaunchProblem> {
        let lock = match self.kept.as_deref().or(self.temporary.first()) {
            Some(directory) => {
                directory.lock_for_child().map_err(|error| problem(directory.path(), error))?
            }
            None => None,
        };
        let null = Path::new("/dev/null");
        let file = lock.map_or_else(|| File::open(null), Ok);
        Ok(file.map_err(|error| problem(null, error))?.into())
    }

    /// Keeps the other directories from being removed while tor runs, as [`stdin`](Self::stdin) does for
    /// one.
    pub(super) fn record_process(&self, pid: u32) {
        let locked = if self.kept.is_some() { 0 } else { 1 };
        for directory in self.temporary.iter().skip(locked) {
            if let Err(error) = directory.record_process(pid) {
                log::warn!("tor cannot be recorded in {:?}: {error}", directory.path());
            }
        }
    }
}

/// Creates the directory of [`DataDirectory::Kept`], for tors that change to `user`.
pub(super) fn create_kept(
    temporary_root: &Path,
    user: Option<TorUser>,
) -> Result<Arc<TemporaryDirectory>, LaunchProblem> {
    let directory = create_temporary(root_for(temporary_root, user))?;
    let data = directory.path().join("data");
    create_directory(&data)?;
    if let Some(user) = user {
        // The parent is the last: its owner can replace everything in it.
        for path in [data.as_path(), directory.path()] {
            user.give(path).map_err(|error| problem(path, error))?;
        }
    }
    Ok(Arc::new(directory))
}

/// Returns a directory for temporary files that the user can search.
fn root_for(temporary_root: &Path, user: Option<TorUser>) -> &Path {
    let is_open = user.is_none_or(|user| user.can_search(temporary_root));
    if is_open { temporary_root } else { Path::new(COMMON_ROOT) }
}

/// Creates a temporary directory, after removing those of ended programs.
fn create_temporary(parent: &Path) -> Result<TemporaryDirectory, LaunchProblem> {
    temporary::sweep(parent);
    TemporaryDirectory::create_in(parent, "").map_err(|error| problem(parent, error))
}

/// Creates a directory, but not its parents. An existing directory is left as it is.
fn create_directory(path: &Path) -> Result<(), LaunchProblem> {
    let created = private_files::create_directory(AT_FDCWD, path, None);
    created.map(drop).map_err(|error| problem(path, error))
}

fn problem(path: &Path, error: io::Error) -> LaunchProblem {
    LaunchProblem::Directory { path: path.to_owned(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests;
