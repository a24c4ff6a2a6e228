//! Refuses directories that tor would refuse; tor exits for some of them.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::Uid;

use crate::error::{OnionError, Result};

/// Refuses anything but a directory.
pub(super) fn check_kind(parent: impl AsFd, name: &Path, path: &Path) -> Result<()> {
    let found = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| OnionError::file(path, errno.into()))?;
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFLNK {
        let detail = "is a symbolic link, which tor does not follow";
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    if kind != SFlag::S_IFDIR {
        return Err(OnionError::unsafe_path(path, "is not a directory").into());
    }
    Ok(())
}

/// Refuses a directory that tor would refuse for its mode or owner.
pub(super) fn check(directory: &File, path: &Path, owner: Option<Uid>) -> Result<()> {
    let found = directory.metadata().map_err(|error| OnionError::file(path, error))?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let detail = format!("has mode {mode:04o}, and tor requires a private directory (0700)");
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    check_owner(directory, path, owner)
}

pub(super) fn check_owner(directory: &File, path: &Path, owner: Option<Uid>) -> Result<()> {
    let found = directory.metadata().map_err(|error| OnionError::file(path, error))?;
    match owner {
        Some(owner) if found.uid() != owner.as_raw() => {
            let detail = format!("belongs to user {}, and tor runs as user {owner}", found.uid());
            Err(OnionError::unsafe_path(path, detail).into())
        }
        _ => Ok(()),
    }
}

/// Returns the error that this program cannot create files for tor's user.
pub(super) fn foreign(path: &Path, user: u32, owner: Uid) -> OnionError {
    let detail = format!(
        "belongs to user {user}, and tor runs as user {owner}: only an ephemeral service can be \
         added"
    );
    OnionError::unsafe_path(path, detail)
}
