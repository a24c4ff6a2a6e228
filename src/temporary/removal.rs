//! Removing a directory by descriptors, so that nobody who can write below it can have something
//! else removed.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, dup, unlinkat};

use super::LOCK;

/// How deep directories are followed; tor needs three.
const DEPTH: usize = 32;

pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Removes the directory `name` of `parent`. Does nothing if it is gone.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match open_directory(parent, name) {
        Ok(directory) => remove_opened(parent, name, &directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the directory `name` of `parent`, which has been opened.
///
/// The lock file is removed last, so that the next sweep continues one that was interrupted. A
/// pluggable transport that is ending may still write there, so the removal is repeated.
pub(super) fn remove_opened(
    parent: BorrowedFd<'_>,
    name: &Path,
    directory: &OwnedFd,
) -> io::Result<()> {
    let mut pauses = [10, 50, 200].map(Duration::from_millis).into_iter();
    let found = fstat(directory)?;
    loop {
        let removed = remove_contents(directory, &found, Some(LOCK), DEPTH).and_then(|()| {
            ignore_missing(unlinkat(directory, LOCK, UnlinkatFlags::NoRemoveDir))?;
            match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(now) if is_same(&now, &found) => {
                    ignore_missing(unlinkat(parent, name, UnlinkatFlags::RemoveDir))
                }
                // Moved away, or removed by another sweeper.
                Ok(_) | Err(Errno::ENOENT) => Ok(()),
                Err(errno) => Err(errno),
            }
        });
        match (removed, pauses.next()) {
            (Ok(()), _) => return Ok(()),
            (Err(_), Some(pause)) => thread::sleep(pause),
            (Err(errno), None) => return Err(errno.into()),
        }
    }
}

/// Removes everything in a directory but `kept`. Other file systems that are mounted there stay.
fn remove_contents(
    directory: &OwnedFd,
    root: &FileStat,
    kept: Option<&str>,
    depth: usize,
) -> Result<(), Errno> {
    let Some(depth) = depth.checked_sub(1) else { return Err(Errno::ELOOP) };
    let names = Dir::from_fd(dup(directory)?)?
        .into_iter()
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .collect::<Result<Vec<CString>, Errno>>()?;
    for name in names {
        if matches!(name.as_bytes(), b"." | b"..")
            || Some(name.as_bytes()) == kept.map(str::as_bytes)
        {
            continue;
        }
        // Linux answers EISDIR, other systems EPERM, to the removal of a directory as a file.
        match unlinkat(directory, &*name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR | Errno::EPERM) => {}
            removed => {
                ignore_missing(removed)?;
                continue;
            }
        }
        let path = Path::new(OsStr::from_bytes(name.as_bytes()));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let child = openat(directory, path, flags, Mode::empty())?;
        if fstat(&child)?.st_dev != root.st_dev {
            return Err(Errno::EXDEV);
        }
        remove_contents(&child, root, None, depth)?;
        ignore_missing(unlinkat(directory, path, UnlinkatFlags::RemoveDir))?;
    }
    Ok(())
}

fn is_same(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn ignore_missing(removed: Result<(), Errno>) -> Result<(), Errno> {
    match removed {
        Err(Errno::ENOENT) => Ok(()),
        removed => removed,
    }
}
