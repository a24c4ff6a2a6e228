//! Files and directories that only their owner can access, reached by the descriptor of the
//! directory that contains them.
//!
//! The directory may belong to tor's user, who can put anything into it. So no symbolic link is
//! followed, only regular files are read, a read has a size limit and never waits for a pipe, and
//! only a file or directory that was just created gets another owner.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use data_encoding::HEXLOWER;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, dup, fchown, linkat, unlinkat};
use zeroize::Zeroizing;

/// The longest file that is read: a key has 96 bytes, the line of a client about 80.
const LONGEST: u64 = 1024;

fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits)
}

/// Opens a directory as parent of another one. It need not be readable.
pub(crate) fn open_parent(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let access = OFlag::O_PATH;
    #[cfg(not(target_os = "linux"))]
    let access = OFlag::O_RDONLY;
    let flags = access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Opens the directory `name` of `parent`; an absolute path ignores `parent`.
pub(crate) fn open_directory(parent: impl AsFd, name: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::empty())?))
}

/// Creates a directory with mode 0700 and opens it. Returns `None` if the name exists.
pub(crate) fn create_directory(
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

/// Creates a file with mode 0600.
pub(crate) fn create_file(
    directory: impl AsFd,
    name: impl AsRef<Path>,
    bytes: &[u8],
    owner: Option<Uid>,
) -> io::Result<()> {
    write_new(directory, name.as_ref(), bytes, owner).map(drop)
}

fn write_new(
    directory: impl AsFd,
    name: &Path,
    bytes: &[u8],
    owner: Option<Uid>,
) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(&directory, name, flags, mode(0o600))?);
    let written = give(&file, owner).and_then(|()| file.write_all(bytes));
    if let Err(error) = written {
        let _ = unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir);
        return Err(error);
    }
    Ok(file)
}

/// Creates a file with mode 0600 whose name appears only when its contents are on the disk. Returns
/// `false` if the name exists: of several callers at once, one gets `true`.
pub(crate) fn publish_file(
    directory: impl AsFd,
    name: impl AsRef<Path>,
    bytes: &[u8],
) -> io::Result<bool> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let unpublished = format!(".torcon-{}.tmp", HEXLOWER.encode(&random));
    let unpublished = Path::new(&unpublished);
    let file = write_new(&directory, unpublished, bytes, None)?;
    let linked = file.sync_all().and_then(|()| {
        let name = name.as_ref();
        Ok(linkat(&directory, unpublished, &directory, name, AtFlags::empty())?)
    });
    let _ = unlinkat(&directory, unpublished, UnlinkatFlags::NoRemoveDir);
    match linked {
        Ok(()) => {
            // The descriptor of the directory may be one that cannot be synchronized.
            let _ = open_directory(&directory, Path::new(".")).and_then(|it| it.sync_all());
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes tor's user the owner of a file or directory that was just created.
fn give(file: &File, owner: Option<Uid>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    if fstat(file)?.st_uid == owner.as_raw() {
        return Ok(());
    }
    Ok(fchown(file, Some(owner), None)?)
}

/// Returns whether a regular file has this name. Anything else is an error.
pub(crate) fn is_file(directory: impl AsFd, name: impl AsRef<Path>) -> io::Result<bool> {
    match fstatat(directory, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) if is_regular(&found) => Ok(true),
        Ok(_) => Err(not_regular()),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a regular file. Returns `None` if it does not exist; fails with `InvalidInput` if the name
/// is that of a link, a directory, a pipe or a device.
pub(crate) fn open_file(directory: impl AsFd, name: impl AsRef<Path>) -> io::Result<Option<File>> {
    let name = name.as_ref();
    // Opening a device can have an effect, so the type is checked first.
    if !is_file(&directory, name)? {
        return Ok(None);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&directory, name, flags | OFlag::O_NOCTTY, Mode::empty()) {
        // The file may have been replaced in between.
        Ok(file) if is_regular(&fstat(&file)?) => Ok(Some(File::from(file))),
        Ok(_) | Err(Errno::ELOOP) => Err(not_regular()),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Reads a small regular file. Returns `None` if it does not exist.
pub(crate) fn read_file(
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

/// Returns whether the name exists.
pub(crate) fn exists(directory: impl AsFd, name: &str) -> bool {
    fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// Removes a file. A missing file is not an error.
pub(crate) fn remove_file(directory: impl AsFd, name: &str) -> io::Result<()> {
    ignore_missing(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir))
}

/// Removes an empty directory. A missing directory is not an error.
pub(crate) fn remove_directory(parent: impl AsFd, name: &Path) -> io::Result<()> {
    ignore_missing(unlinkat(parent, name, UnlinkatFlags::RemoveDir))
}

/// Returns the names in a directory.
pub(crate) fn names(directory: &File) -> io::Result<Vec<String>> {
    let entries = Dir::from_fd(dup(directory)?)?.into_iter();
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let names: Result<Vec<CString>, Errno> = names.collect();
    // tor ignores names that are not ASCII, and this program makes none.
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
