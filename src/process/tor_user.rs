//! The user that tor changes to with the option `User`.
//!
//! tor refuses a directory that does not belong to its user. So as root this program changes the
//! owner of the directories that it creates for tor, and of an existing empty directory of root. A
//! directory with content keeps its owner: the path may be a mistake.

use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, User, dup, fchown, geteuid};

use crate::private_files::open_directory;

/// Whether tor with this `User` creates unix sockets late: if it is root and the name is not `root`,
/// it skips them at the start, and creates them at its next check of listeners, which it never makes
/// with `DisableNetwork 1`.
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
    /// Returns the user with this name. `None` if this program is not root, so that tor does not
    /// change its user, or if the user does not exist, which tor reports.
    pub(super) fn find(name: &OsStr) -> Option<Self> {
        let name = name.to_str().filter(|_| geteuid().is_root())?;
        let user = User::from_name(name.trim()).ok().flatten()?;
        (!user.uid.is_root()).then_some(Self { user: user.uid, group: user.gid })
    }

    pub(super) fn uid(&self) -> Uid {
        self.user
    }

    /// Makes the user the owner of a file or directory. Follows no symbolic link.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        self.give_opened(&open(path, flags, Mode::empty())?)
    }

    fn give_opened(&self, file: &OwnedFd) -> io::Result<()> {
        Ok(fchown(file, Some(self.user), Some(self.group))?)
    }

    /// Makes the user the owner of an empty directory of root. Leaves anything else, which tor
    /// refuses with the reason.
    pub(super) fn give_empty(&self, path: &Path) -> io::Result<()> {
        empty_directory(path)?.map_or(Ok(()), |directory| self.give_opened(&directory))
    }

    /// Whether [`give_empty`](Self::give_empty) would change the owner.
    pub(super) fn would_be_given(&self, path: &Path) -> bool {
        empty_directory(path).is_ok_and(|directory| directory.is_some())
    }

    /// Whether the user can search a directory: `TMPDIR` of root often is private.
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

/// Opens a directory if it is empty and belongs to this program's user.
fn empty_directory(path: &Path) -> io::Result<Option<OwnedFd>> {
    let Ok(directory) = open_directory(AT_FDCWD, path) else { return Ok(None) };
    if fstat(&directory)?.st_uid != geteuid().as_raw() {
        return Ok(None);
    }
    let mut entries = Dir::from_fd(dup(&directory)?)?;
    let is_dot = |name: &CStr| matches!(name.to_bytes(), b"." | b"..");
    let is_empty = entries.iter().flatten().all(|entry| is_dot(entry.file_name()));
    Ok(is_empty.then(|| directory.into()))
}
