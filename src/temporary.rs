//! Private temporary directories that do not outlive their program for long.
//!
//! A [`TemporaryDirectory`] is removed when it is dropped. A program that ends by `exit`, `abort`
//! or a signal drops nothing, so every directory holds a lock file, `torcon.lock`, that its
//! program keeps locked; the kernel releases the lock when the program and every process that
//! inherited the descriptor have ended. [`sweep`] removes the directories whose lock can be taken.
//!
//! **Invariant**: [`sweep`] never removes anything that it has not locked, that another user could
//! have put there, or that a living process was recorded for. It works on descriptors and follows
//! no symbolic link below the directory that it is given.

mod recorded_process;
mod removal;

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, chown, geteuid, unlinkat};

const PREFIX: &str = "torcon-";
const SUFFIX: &str = ".tmp";
const LOCK: &str = "torcon.lock";
const PRIVATE: u32 = 0o700;
/// How often a new directory is made if a sweeper takes it before it is locked.
const ATTEMPTS: usize = 8;
/// How much of a lock file is read.
const LOCK_LIMIT: u64 = 1 << 16;
/// How long one sweep may go on to another directory.
const SWEEP_LIMIT: Duration = Duration::from_secs(2);
/// A program that dies between making a directory and locking it leaves an empty one, which looks
/// like one that is about to be locked. After this time it is removed.
const UNLOCKED_LIMIT: Duration = Duration::from_secs(3600);

/// A directory with mode 0700 that is removed when this value is dropped, or by a [`sweep`] after
/// this program has ended.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    path: PathBuf,
    /// `None` where the file system has no locks; such a directory is never swept.
    lock: Option<Flock<File>>,
}

impl TemporaryDirectory {
    /// Makes a directory in `parent`, named `torcon-`, then `purpose`, then a random part.
    pub(crate) fn create_in(parent: &Path, purpose: &str) -> io::Result<Self> {
        let parent = path::absolute(parent)?;
        for _ in 0..ATTEMPTS {
            let made = tempfile::Builder::new()
                .prefix(&format!("{PREFIX}{purpose}"))
                .suffix(SUFFIX)
                .permissions(Permissions::from_mode(PRIVATE))
                .tempdir_in(&parent)?;
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(made.path().join(LOCK))?;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                // A sweeper was faster, and removes it.
                Err((_, Errno::EWOULDBLOCK)) => continue,
                Err((_, errno)) => {
                    log::debug!("{:?} cannot be locked: {errno}", made.path());
                    // A sweep that can lock it would take this program for dead.
                    fs::remove_file(made.path().join(LOCK))?;
                    return Ok(Self { path: made.keep(), lock: None });
                }
            };
            // A sweeper may have locked, removed and unlocked it in between.
            if lock.metadata()?.nlink() == 1 {
                return Ok(Self { path: made.keep(), lock: Some(lock) });
            }
        }
        Err(io::Error::other("every new temporary directory was removed at once"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the lock as the standard input of a child process: the directory then stays until
    /// this program and the child have both ended. To the child it is an empty file.
    pub(crate) fn lock_for_child(&self) -> io::Result<Option<File>> {
        self.lock.as_ref().map(|lock| lock.try_clone()).transpose()
    }

    /// Records a process of this PID namespace that uses the directory and has not inherited its
    /// lock: the directory is not swept while that process lives.
    pub(crate) fn record_process(&self, pid: u32) -> io::Result<()> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let line = format!("{}\n", recorded_process::describe(pid));
        // In append mode one write is one line, whichever thread it comes from.
        (&**lock).write_all(line.as_bytes())
    }

    /// Gives the directory, not what is in it, to another user. Only root can do that.
    pub(crate) fn give_to(&self, user: Uid, group: Gid) -> io::Result<()> {
        Ok(chown(&self.path, Some(user), Some(group))?)
    }

    /// Removes the directory and everything in it.
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
            log::warn!("the temporary directory {:?} stays: {error}", self.path);
        }
    }
}

/// Returns the directory for temporary files: `TMPDIR`, or `/tmp` where that is unset or empty.
pub(crate) fn root() -> PathBuf {
    let root = env::temp_dir();
    // `std` takes an empty variable for a path.
    if root.as_os_str().is_empty() { PathBuf::from("/tmp") } else { root }
}

/// Removes from `parent` the temporary directories of programs that have ended. Never fails: what
/// cannot be removed stays for the next sweep.
pub(crate) fn sweep(parent: &Path) {
    let deadline = Instant::now().checked_add(SWEEP_LIMIT);
    let Ok(directory) = File::open(parent) else { return };
    let Ok(mut entries) = directory.try_clone().map_err(drop).and_then(|fd| {
        let fd = OwnedFd::from(fd);
        Dir::from_fd(fd).map_err(drop)
    }) else {
        return;
    };
    for entry in entries.iter().flatten() {
        let name = entry.file_name().to_bytes();
        if !(name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())) {
            continue;
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return;
        }
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        match sweep_one(&directory, name) {
            Ok(true) => {
                log::info!("removed {:?}, left by a program that has ended", parent.join(name));
            }
            Ok(false) => {}
            Err(error) => log::debug!("{:?} is not removed: {error}", parent.join(name)),
        }
    }
}

/// Returns whether the directory was removed.
fn sweep_one(parent: &File, name: &Path) -> io::Result<bool> {
    let directory = removal::open_directory(parent.as_fd(), name)?;
    let found = fstat(&directory)?;
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(&directory, LOCK, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => {
            let made = Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or(u64::MAX));
            let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let is_old = age.saturating_sub(made) > UNLOCKED_LIMIT;
            if found.st_uid != geteuid().as_raw() || !is_old {
                return Ok(false);
            }
            // Fails if it is not empty.
            unlinkat(parent, name, UnlinkatFlags::RemoveDir)?;
            return Ok(true);
        }
        Err(errno) => return Err(errno.into()),
    };
    // The directory may belong to tor's user, to whom root gave it; the lock file is ours. Nobody
    // else can make a file of ours there but by a link to another one.
    let metadata = file.metadata()?;
    let is_ours = metadata.uid() == geteuid().as_raw() && metadata.nlink() == 1;
    if !metadata.is_file() || !is_ours || found.st_mode & 0o077 != 0 {
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
