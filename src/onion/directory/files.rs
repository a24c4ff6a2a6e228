//! Files of a service's directory, reached by the directory's descriptor.
//!
//! The directory belongs to tor's user, who may put anything there. So no link is followed,
//! nothing but regular files is read, reading is bounded and never waits for a pipe, and only what
//! was just created gets another owner.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, dup, fchown, unlinkat};
use zeroize::Zeroizing;

/// The longest file that is read: a key has 96 bytes, a client's line some eighty.
const LONGEST: u64 = 1024;

fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits)
}

/// Opens a directory in which another one is to be opened or made; it may not be readable.
pub(super) fn open_parent(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let access = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let access = OFlag::O_RDONLY;
    let flags = access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Opens a directory that is in `parent`, or the one at an absolute path.
pub(super) fn open_directory(parent: impl AsFd, name: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::empty())?))
}

/// Makes a directory with mode 0700 and opens it. Returns `None` if there is something already.
pub(super) fn create_directory(
    parent: impl AsFd,
    name: &Path,
    owner: Option<Uid>,
) -> io::Result<Option<File>> {
    match mkdirat(&parent, name, mode(0o700)) {
        Ok(()) => {}
        Err(Errno::EEXIST) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let prepared = open_directory(&parent, name).and_then(|directory| {
        give(&directory, owner)?;
        Ok(directory)
    });
    if prepared.is_err() {
        let _ = unlinkat(&parent, name, UnlinkatFlags::RemoveDir);
    }
    prepared.map(Some)
}

/// Writes a new file with mode 0600.
pub(super) fn create_file(
    directory: impl AsFd,
    name: &str,
    bytes: &[u8],
    owner: Option<Uid>,
) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(&directory, name, flags, mode(0o600))?);
    let written = give(&file, owner).and_then(|()| file.write_all(bytes));
    if written.is_err() {
        let _ = unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir);
    }
    written
}

/// Gives to tor's user what was just created.
fn give(file: &File, owner: Option<Uid>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    if fstat(file)?.st_uid == owner.as_raw() {
        return Ok(());
    }
    Ok(fchown(file, Some(owner), None)?)
}

/// Returns whether there is a file of that name; fails if it is not a regular one.
pub(super) fn is_file(directory: impl AsFd, name: &str) -> io::Result<bool> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) if is_regular(&found) => Ok(true),
        Ok(_) => Err(not_regular()),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a regular file. Returns `None` if there is nothing of that name.
pub(super) fn open_file(directory: impl AsFd, name: &str) -> io::Result<Option<File>> {
    // Opening a device is not without effect, so its kind is checked first.
    if !is_file(&directory, name)? {
        return Ok(None);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&directory, name, flags | OFlag::O_NOCTTY, Mode::empty()) {
        // It may have been replaced in between.
        Ok(file) if is_regular(&fstat(&file)?) => Ok(Some(File::from(file))),
        Ok(_) | Err(Errno::ELOOP) => Err(not_regular()),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Reads a small regular file. Returns `None` if there is nothing of that name.
pub(super) fn read_file(
    directory: impl AsFd,
    name: &str,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(file) = open_file(directory, name)? else { return Ok(None) };
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= LONGEST => Ok(Some(bytes)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too long")),
    }
}

/// Returns whether there is something of that name.
pub(super) fn exists(directory: impl AsFd, name: &str) -> bool {
    fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// Removes a file. One that is missing is no error.
pub(super) fn remove_file(directory: impl AsFd, name: &str) -> io::Result<()> {
    ignore_missing(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir))
}

/// Removes an empty directory. One that is missing is no error.
pub(super) fn remove_directory(parent: impl AsFd, name: &Path) -> io::Result<()> {
    ignore_missing(unlinkat(parent, name, UnlinkatFlags::RemoveDir))
}

/// Returns the names of everything in a directory.
pub(super) fn names(directory: &File) -> io::Result<Vec<String>> {
    let entries = Dir::from_fd(dup(directory)?)?.into_iter();
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names: Result<Vec<CString>, Errno> = names.collect();
    // tor makes nothing of a name that is not ASCII.
    Ok(names?.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

fn is_regular(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn ignore_missing(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
