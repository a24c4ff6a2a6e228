use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use super::tor_user::TorUser;
use crate::error::LaunchProblem;
use crate::temporary::{self, TemporaryDirectory};

/// The longest path of a unix socket, without the NUL at its end.
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
const PRIVATE: u32 = 0o700;
/// Where every user may have temporary files, and paths are short.
const COMMON_ROOT: &str = "/tmp";

/// The directories and files of one tor process.
///
/// One temporary directory, mode 0700, holds what torcon writes for tor: `torrc`, an empty
/// `defaults-torrc`, and the files that tor writes for torcon. If no data directory is given it
/// holds that too.
///
/// The control socket is never put into a given data directory: tor replaces a socket that is
/// there, even that of another living tor, before it finds that the directory is locked.
#[derive(Debug)]
pub(super) struct Directories {
    data: PathBuf,
    private: PathBuf,
    control_socket: PathBuf,
    /// The user that tor changes to, if it is not that of this program.
    user: Option<TorUser>,
    /// The private directory, and one in `/tmp` where the path of the socket would be too long.
    temporary: Vec<TemporaryDirectory>,
}

impl Directories {
    pub(super) fn prepare(
        given: Option<&Path>,
        temporary_root: &Path,
        user: Option<TorUser>,
    ) -> Result<Self, LaunchProblem> {
        let mut temporary = Vec::new();
        let is_open = user.is_none_or(|user| user.can_search(temporary_root));
        let root = if is_open { temporary_root } else { Path::new(COMMON_ROOT) };
        let private = make_temporary(root, &mut temporary)?;
        let (data, mut control_socket) = match given {
            Some(data) => {
                let data = path::absolute(data).map_err(|error| problem(data, error))?;
                make_private(&data)?;
                (data, private.join("control"))
            }
            None => {
                let data = private.join("data");
                make_private(&data)?;
                let control_socket = data.join("control");
                (data, control_socket)
            }
        };
        if control_socket.as_os_str().as_bytes().len() > SOCKET_PATH_LIMIT {
            let common = make_temporary(Path::new(COMMON_ROOT), &mut temporary)?;
            control_socket = common.join("control");
        }
        Ok(Self { data, private, control_socket, user, temporary })
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

    /// Where tor writes the port of its control listener.
    pub(super) fn port_file(&self) -> PathBuf {
        self.private.join("control-port")
    }

    /// Writes the configuration, and the empty defaults without which tor would read the system's.
    pub(super) fn write_torrc(&self, text: &[u8]) -> Result<(), LaunchProblem> {
        write_private(&self.torrc(), text)?;
        write_private(&self.defaults_torrc(), b"")
    }

    /// Gives everything to the user that tor changes to, and creates the directories of onion
    /// services, which that user often cannot. Does nothing if tor stays with this program's user.
    ///
    /// Called after everything is written: in a directory of another user, this program would
    /// write where that user leads it to. A directory whose parent is missing is left to tor, which
    /// says so.
    pub(super) fn give_away(
        &self,
        services: impl Iterator<Item: AsRef<Path>>,
    ) -> Result<(), LaunchProblem> {
        let Some(user) = self.user else { return Ok(()) };
        for service in services {
            let service = service.as_ref();
            let path = path::absolute(service).map_err(|error| problem(service, error))?;
            if path.parent().is_some_and(Path::is_dir) {
                make_private(&path)?;
                user.give_empty(&path).map_err(|error| problem(&path, error))?;
            }
        }
        user.give_empty(&self.data).map_err(|error| problem(&self.data, error))?;
        for file in [self.torrc(), self.defaults_torrc()] {
            user.give(&file).map_err(|error| problem(&file, error))?;
        }
        // The private directory last: below it, that user can replace everything from then on.
        for directory in self.temporary.iter().rev() {
            let path = directory.path();
            user.give(path).map_err(|error| problem(path, error))?;
        }
        Ok(())
    }

    /// Returns tor's standard input, an empty file: the lock of the private directory. tor keeps it
    /// locked after this program has ended, so that no other program removes it while tor lives.
    pub(super) fn stdin(&self) -> Result<OwnedFd, LaunchProblem> {
        let lock = match self.temporary.first() {
            Some(directory) => {
                directory.lock_for_child().map_err(|error| problem(directory.path(), error))?
            }
            None => None,
        };
        let null = Path::new("/dev/null");
        let file = lock.map_or_else(|| File::open(null), Ok);
        Ok(file.map_err(|error| problem(null, error))?.into())
    }

    /// Does for the other directories what [`stdin`](Self::stdin) does for the private one.
    pub(super) fn record_process(&self, pid: u32) {
        for directory in self.temporary.iter().skip(1) {
            if let Err(error) = directory.record_process(pid) {
                log::warn!("tor is not recorded in {:?}: {error}", directory.path());
            }
        }
    }
}

/// Makes a temporary directory, after those of programs that have ended are removed.
fn make_temporary(
    parent: &Path,
    made: &mut Vec<TemporaryDirectory>,
) -> Result<PathBuf, LaunchProblem> {
    temporary::sweep(parent);
    let directory = TemporaryDirectory::create_in(parent, "");
    let directory = directory.map_err(|error| problem(parent, error))?;
    let path = directory.path().to_owned();
    made.push(directory);
    Ok(path)
}

/// Makes a directory, but not its parents. One that exists is left as it is.
fn make_private(path: &Path) -> Result<(), LaunchProblem> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|error| problem(path, error)),
    }
}

fn write_private(path: &Path, text: &[u8]) -> Result<(), LaunchProblem> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text))
        .map_err(|error| problem(path, error))
}

fn problem(path: &Path, error: io::Error) -> LaunchProblem {
    LaunchProblem::Directory { path: path.to_owned(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests;
