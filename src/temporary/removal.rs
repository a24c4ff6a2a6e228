//! Removal of a directory by descriptors, so that a user who can write in it cannot redirect the
//! removal.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::LOCK;
use crate::clock;
use crate::private_files::open_directory;

/// How deep directories are removed; tor needs three levels.
const DEPTH: usize = 32;

/// Removes the directory `name` of `parent`. A missing directory is not an error.
pub(super) fn remove(parent: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match open_directory(parent, name) {
        Ok(directory) => remove_opened(parent, name, &directory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the directory `name` of `parent`, which is open as `directory`.
///
/// The lock file is removed last, so that the next sweep continues an interrupted removal. A
/// pluggable transport that is ending may still write to the directory, so the removal is retried.
pub(super) fn remove_opened(
    parent: BorrowedFd<'_>,
    name: &Path,
    directory: &OwnedFd,
) -> io::Result<()> {
    let mut pauses = [10, 50, 200].map(Duration::from_millis).into_iter();
    let found = fstat(directory)?;
    loop {
        let removed = remove_contents(directory, &found, Some(LOCK), DEPTH)
            .and_then(|()| remove_emptied(parent, name, directory, &found));
        match (removed, pauses.next()) {
            (Ok(()), _) => return Ok(()),
            (Err(_), Some(pause)) => clock::sleep(pause),
            (Err(errno), None) => return Err(errno.into()),
        }
    }
}

/// Removes the lock file and the directory. If the directory is not empty, the lock file is created
/// again: no sweep removes a directory with content and without a lock file.
fn remove_emptied(
    parent: BorrowedFd<'_>,
    name: &Path,
    directory: &OwnedFd,
    found: &FileStat,
) -> Result<(), Errno> {
    ignore_missing(unlinkat(directory, LOCK, UnlinkatFlags::NoRemoveDir))?;
    let removed = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(now) if is_same(&now, found) => {
            ignore_missing(unlinkat(parent, name, UnlinkatFlags::RemoveDir))
        }
        // Moved away, or removed by another sweep.
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    };
    if removed.is_err() {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let _lock = openat(directory, LOCK, flags, Mode::S_IRUSR | Mode::S_IWUSR);
    }
    removed
}

/// Removes the content of a directory except `kept` and mounted file systems.
fn remove_contents(
    directory: &OwnedFd,
    root: &FileStat,
    kept: Option<&str>,
    depth: usize,
) -> Result<(), Errno> {
    let Some(depth) = depth.checked_sub(1) else { return Err(Errno::ELOOP) };
    // Opened again: a copy of the descriptor shares its position.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let names = Dir::openat(directory, ".", flags, Mode::empty())?
        .into_iter()
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .collect::<Result<Vec<CString>, Errno>>()?;
    for name in names {
        if matches!(name.as_bytes(), b"." | b"..")
            || Some(name.as_bytes()) == kept.map(str::as_bytes)
        {
            continue;
        }
        // For a directory, Linux returns EISDIR and other systems EPERM.
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;

    use nix::errno::Errno;
    use nix::sys::stat::fstat;

    use super::{DEPTH, LOCK, remove_contents, remove_emptied};

    #[test]
    fn a_file_written_during_a_removal_is_removed_by_the_next_attempt() {
        let root = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(File::open(root.path()).unwrap());
        let found = fstat(&directory).unwrap();
        for name in ["first", "second", "third"] {
            fs::write(root.path().join(name), "x").unwrap();
            remove_contents(&directory, &found, None, DEPTH).unwrap();
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_removed_keeps_a_lock_file_for_the_next_sweep() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("directory");
        fs::create_dir(&path).unwrap();
        for name in [LOCK, "late"] {
            fs::write(path.join(name), "x").unwrap();
        }
        let parent = File::open(root.path()).unwrap();
        let directory = OwnedFd::from(File::open(&path).unwrap());
        let found = fstat(&directory).unwrap();
        let remove = || remove_emptied(parent.as_fd(), Path::new("directory"), &directory, &found);
        assert_eq!(remove(), Err(Errno::ENOTEMPTY));
        assert!(path.join(LOCK).exists());
        fs::remove_file(path.join("late")).unwrap();
        assert_eq!(remove(), Ok(()));
        assert!(!path.exists());
    }
}
