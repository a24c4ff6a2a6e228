//! Private temporary directories that are removed even if their program is killed.
//!
//! A [`TemporaryDirectory`] is removed when it is dropped. A program that ends by `exit`, `abort`
//! or a signal drops nothing, so each directory contains a lock file, `torcon.lock`, that its
//! program keeps locked. The kernel releases the lock when the program and every process that
//! inherited the descriptor have ended. [`sweep`] removes the directories whose lock is free.
//!
//! **Invariant**: [`sweep`] removes nothing that it has not locked, that another user could have
//! created, or that a running process is recorded for. It works on descriptors and follows no
//! symbolic link below the given directory.

mod recorded_process;
mod removal;

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, chown, geteuid, unlinkat};

use crate::clock;
use crate::private_files::{names, open_directory};

const PREFIX: &str = "torcon-";
const SUFFIX: &str = ".tmp";
const LOCK: &str = "torcon.lock";
const PRIVATE: u32 = 0o700;
/// How often a directory is created again because a sweep removed it before it was locked.
const ATTEMPTS: usize = 8;
/// How much of a lock file is read.
const LOCK_LIMIT: u64 = 1 << 16;
/// How long one sweep may take before it begins with another directory.
const SWEEP_LIMIT: Duration = Duration::from_secs(2);
/// The age at which an empty directory without a lock file is removed: before that, its program may
/// be about to lock it.
const UNLOCKED_LIMIT: Duration = Duration::from_secs(3600);

/// A directory with mode 0700. It is removed when this value is dropped, or by a [`sweep`] after this
/// program has ended.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    path: PathBuf,
    /// `None` if the file system has no locks; such a directory is never swept.
    lock: Option<Flock<File>>,
}

impl TemporaryDirectory {
    /// Creates a directory in `parent`. Its name is `torcon-`, `purpose` and a random part.
    pub(crate) fn create_in(parent: &Path, purpose: &str) -> io::Result<Self> {
        let parent = path::absolute(parent)?;
        for _ in 0..ATTEMPTS {
            let created = tempfile::Builder::new()
                .prefix(&format!("{PREFIX}{purpose}"))
                .suffix(SUFFIX)
                .permissions(Permissions::from_mode(PRIVATE))
                .tempdir_in(&parent)?;
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(created.path().join(LOCK))?;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                // A sweep was faster, and removes it.
                Err((_, Errno::EWOULDBLOCK)) => continue,
                Err((_, errno)) => {
                    log::debug!("{:?} cannot be locked: {errno}", created.path());
                    // A sweep that can lock the file would remove the directory.
                    fs::remove_file(created.path().join(LOCK))?;
                    return Ok(Self { path: created.keep(), lock: None });
                }
            };
            // A sweep may have locked, removed and unlocked it in between.
            if lock.metadata()?.nlink() == 1 {
                return Ok(Self { path: created.keep(), lock: Some(lock) });
            }
        }
        Err(io::Error::other("every new temporary directory was removed at once"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the lock file as standard input of a child, which reads it as empty. The directory is
    /// then not swept while this program or the child runs.
    pub(crate) fn lock_for_child(&self) -> io::Result<Option<File>> {
        self.lock.as_ref().map(|lock| lock.try_clone()).transpose()
    }

    /// Records a process of this PID namespace that uses the directory without the lock: the
    /// directory is not swept while the process runs.
    pub(crate) fn record_process(&self, pid: u32) -> io::Result<()> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let line = format!("{}\n", recorded_process::describe(pid));
        // In append mode one write is one line, even if threads write at once.
        (&**lock).write_all(line.as_bytes())
    }

    /// Changes the owner of the directory, not of its content. Only root can do this.
    pub(crate) fn give_to(&self, user: Uid, group: Gid) -> io::Result<()> {
        Ok(chown(&self.path, Some(user), Some(group))?)
    }

    /// Removes the directory with its content.
    fn remove(&self) -> io::Result<()> {
        let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let parent = File::open(parent)?;
        removal::remove(parent.as_fd(), name.as_ref())
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!("the temporary directory {:?} cannot be removed: {error}", self.path);
        }
    }
}

/// Returns the directory for temporary files: `TMPDIR`, or `/tmp` if it is unset or empty.
pub(crate) fn root() -> PathBuf {
    let root = env::temp_dir();
    // `std` returns an empty variable as a path.
    if root.as_os_str().is_empty() { PathBuf::from("/tmp") } else { root }
}

/// Removes the temporary directories of ended programs from `parent`. A failure is logged and left
/// to the next sweep.
pub(crate) fn sweep(parent: &Path) {
    let deadline = clock::now() + SWEEP_LIMIT;
    let Ok(directory) = File::open(parent) else { return };
    let Ok(names) = names(&directory) else { return };
    for name in names.iter().filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
        if clock::has_passed(deadline) {
            return;
        }
        match sweep_one(&directory, Path::new(name)) {
            Ok(true) => {
                log::info!("removed {:?} of a program that has ended", parent.join(name));
            }
            Ok(false) => {}
            Err(error) => log::debug!("{:?} cannot be removed: {error}", parent.join(name)),
        }
    }
}

/// Returns whether the directory was removed.
fn sweep_one(parent: &File, name: &Path) -> io::Result<bool> {
    let directory = OwnedFd::from(open_directory(parent, name)?);
    let found = fstat(&directory)?;
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(&directory, LOCK, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => {
            let modified = Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or(u64::MAX));
            let now =
                clock::system_now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let is_old = now.saturating_sub(modified) >= UNLOCKED_LIMIT;
            if found.st_uid != geteuid().as_raw() || !is_old {
                return Ok(false);
            }
            // Fails if it is not empty.
            unlinkat(parent, name, UnlinkatFlags::RemoveDir)?;
            return Ok(true);
        }
        Err(errno) => return Err(errno.into()),
    };
    // Root may have given the directory to tor's user, but the lock file belongs to this user. Another
    // user can only create a hard link to a file of this user.
    let metadata = file.metadata()?;
    let is_own = metadata.uid() == geteuid().as_raw() && metadata.nlink() == 1;
    if !metadata.is_file() || !is_own || found.st_mode & 0o077 != 0 {
        return Ok(false);
    }
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(false),
        Err((_, errno)) => return Err(errno.into()),
    };
    let mut text = String::new();
    (&*lock).take(LOCK_LIMIT).read_to_string(&mut text)?;
    if text.lines().any(recorded_process::may_live) {
        return Ok(false);
    }
    removal::remove_opened(parent.as_fd(), name, &directory)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
