//! The user that tor changes to, with the option `User`.
//!
//! tor refuses a directory that is not its user's. So what this program makes for it as root is
//! given to that user, and so is an empty directory of root's that is there. A directory with
//! content is never given away: it may be one that tor was not meant to have.

use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path};

use nix::dir::Dir;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, User, dup, fchown, geteuid};

/// Whether tor with this `User` creates unix sockets only when its periodic check of listeners
/// runs, which does not happen with `DisableNetwork 1`: at its start it leaves them out until it has
/// changed its user, if it is root and the name is any but `root`.
pub(super) fn defers_unix_sockets(name: &OsStr) -> bool {
    geteuid().is_root() && name.as_bytes().trim_ascii() != b"root"
}

/// The user and the group that tor changes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct TorUser {
    user: Uid,
    group: Gid,
}

impl TorUser {
    /// Returns the user with this name. `None` if this program is not root, so that tor stays what
    /// it is, or if there is no such user, which tor explains itself.
    pub(super) fn find(name: &OsStr) -> Option<Self> {
        let name = name.to_str().filter(|_| geteuid().is_root())?;
        let user = User::from_name(name.trim()).ok().flatten()?;
        (!user.uid.is_root()).then_some(Self { user: user.uid, group: user.gid })
    }

    /// Gives away a file or a directory of this program's. A link is not followed.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        self.give_opened(&open(path, flags, Mode::empty())?)
    }

    fn give_opened(&self, file: &OwnedFd) -> io::Result<()> {
        Ok(fchown(file, Some(self.user), Some(self.group))?)
    }

    /// Gives away an empty directory of root's. Does nothing to anything else: tor refuses it and
    /// says why.
    pub(super) fn give_empty(&self, path: &Path) -> io::Result<()> {
        let Ok(directory) = open_directory(path) else { return Ok(()) };
        if fstat(&directory)?.st_uid != geteuid().as_raw() {
            return Ok(());
        }
        let mut entries = Dir::from_fd(dup(&directory)?)?;
        let is_dot = |name: &CStr| matches!(name.to_bytes(), b"." | b"..");
        if entries.iter().flatten().all(|entry| is_dot(entry.file_name())) {
            self.give_opened(&directory)?;
        }
        Ok(())
    }

    /// Whether the user can reach what is in a directory: `TMPDIR` of root often is closed.
    pub(super) fn can_search(&self, path: &Path) -> bool {
        let Ok(path) = path::absolute(path) else { return false };
        path.ancestors().all(|path| {
            let Ok(found) = fs::metadata(path) else { return false };
            let shift = match () {
                () if found.uid() == self.user.as_raw() => 6,
                () if found.gid() == self.group.as_raw() => 3,
                () => 0,
            };
            (found.mode() >> shift) & 1 == 1
        })
    }
}

/// Opens a directory. A link is not followed: it can lead to any directory of the system.
fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}
