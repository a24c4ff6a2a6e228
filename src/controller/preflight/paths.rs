//! Paths that make tor exit, depending on the file there.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::controller::{Controller, PathView};
use crate::error::{InvalidInput, Result};

/// How tor uses a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FatalPath {
    /// Creates a directory unless it exists, and exits if it cannot.
    Directory,
    /// Writes a temporary file beside the path and renames it, and exits if it cannot.
    File,
    /// Reads a file, and exits if it exists and cannot be read.
    Readable,
    /// Opens a file, and waits forever if it is a FIFO or an endless device.
    Open,
}

impl Controller {
    /// Refuses a path on which tor would exit, if that is certain.
    pub(super) fn refuse_path(
        &self,
        option: &'static str,
        fatal: FatalPath,
        path: &[u8],
    ) -> Result<()> {
        let path = Path::new(OsStr::from_bytes(path));
        if !path.is_absolute() {
            return Ok(());
        }
        // Queried only if permissions matter.
        let user = || self.get_info_one("process/uid").ok()?.trim().parse().ok();
        let Some(problem) = problem(fatal, path, user) else { return Ok(()) };
        match self.path_view(path.parent().unwrap_or(path)) {
            PathView::Same => Err(InvalidInput::new(option, problem).into()),
            PathView::Different => Ok(()),
            PathView::Unknown(reason) => {
                log::warn!("cannot check {path:?} for {option}, which here {problem}: {reason}");
                Ok(())
            }
        }
    }
}

/// Returns why tor would exit. `user` returns the uid of tor, if it is known.
fn problem(
    fatal: FatalPath,
    path: &Path,
    user: impl FnOnce() -> Option<u32>,
) -> Option<&'static str> {
    const READ: u32 = 0o4;
    const WRITE_AND_SEARCH: u32 = 0o3;
    let found = path.metadata().ok();
    let is_directory = found.as_ref().is_some_and(Metadata::is_dir);
    let is_fifo = found.as_ref().is_some_and(|found| found.file_type().is_fifo());
    if is_fifo && fatal != FatalPath::File {
        return Some("names a FIFO, and tor would wait forever");
    }
    match fatal {
        FatalPath::Open => {
            return found
                .is_some_and(|found| is_endless(&found))
                .then_some("names a device, and tor would read it forever");
        }
        FatalPath::Readable if is_directory => {
            return Some("names a directory, and tor would exit");
        }
        FatalPath::Readable => {
            let is_open = is_open_to(&found?, user, READ)?;
            return (!is_open).then_some("names a file that tor cannot read, and tor would exit");
        }
        FatalPath::Directory | FatalPath::File => {}
    }
    let parent = path.parent()?;
    if is_missing(parent) {
        return Some("is in a directory that does not exist, and tor would exit");
    }
    // tor refuses anything else that exists there.
    if fatal == FatalPath::Directory && path.symlink_metadata().is_ok() {
        return None;
    }
    if fatal == FatalPath::File {
        let name = path.as_os_str().as_bytes();
        // tor replaces a symbolic link, whatever its target.
        let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if is_directory || name.ends_with(b"/") {
            return Some("names a directory, and tor would exit");
        }
        // The name of the temporary file ends in `.tmp`.
        if path.file_name().is_some_and(|name| name.len() > LONGEST_NAME - ".tmp".len()) {
            return Some("has a name that is too long, and tor would exit");
        }
    }
    let is_open = is_open_to(&parent.metadata().ok()?, user, WRITE_AND_SEARCH)?;
    (!is_open).then_some("is in a directory that tor's user cannot write to, and tor would exit")
}

/// Returns whether a file is an endless device such as `/dev/zero`; `/dev/null` is empty.
fn is_endless(file: &Metadata) -> bool {
    let is_null = || Path::new("/dev/null").metadata().is_ok_and(|null| null.rdev() == file.rdev());
    file.file_type().is_char_device() && !is_null()
}

/// The maximum length of a file name on Linux and macOS, in bytes.
const LONGEST_NAME: usize = 255;

/// Returns whether tor's user has certain permissions; `None` if that depends on an unknown uid.
///
/// Its groups are unknown, so the permissions of any group count.
fn is_open_to(file: &Metadata, user: impl FnOnce() -> Option<u32>, rights: u32) -> Option<bool> {
    let is_open = |shift: u32| (file.mode() >> shift) & rights == rights;
    let (to_owner, to_others) = (is_open(6), is_open(3) || is_open(0));
    if to_owner && to_others {
        return Some(true);
    }
    Some(match user()? {
        0 => true,
        user if user == file.uid() => to_owner,
        _ => to_others,
    })
}

/// Returns whether a directory certainly does not exist. tor may see one that this program may not.
fn is_missing(directory: &Path) -> bool {
    match directory.metadata() {
        Ok(found) => !found.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::{FatalPath, problem};

    #[test]
    fn a_path_is_refused_only_where_tor_certainly_exits() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("dir")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink("dir", root.join("to-dir")).unwrap();
        symlink("missing", root.join("dangling")).unwrap();
        fs::create_dir(root.join("closed")).unwrap();
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o500)).unwrap();
        fs::write(root.join("secret"), "").unwrap();
        fs::set_permissions(root.join("secret"), Permissions::from_mode(0o200)).unwrap();
        let fifo = root.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let long = "n".repeat(252);
        // Permissions do not apply to root.
        let is_closed = root.metadata().unwrap().uid() != 0;
        use FatalPath::{Directory, File, Open, Readable};
        for (fatal, path, is_refused) in [
            (Directory, "new", false),
            (Directory, "dir", false),
            (Directory, "to-dir", false),
            (Directory, "file", false),
            (Directory, "file/x", true),
            (Directory, "missing/x", true),
            (Directory, "closed/x", is_closed),
            (Directory, "fifo", true),
            (File, "new", false),
            (File, "file", false),
            (File, "dir", true),
            (File, "missing/", true),
            (File, "to-dir", false),
            (File, "dangling", false),
            (File, "fifo", false),
            (File, "missing/x", true),
            (File, "file/x", true),
            (File, "closed/x", is_closed),
            (File, &long, true),
            (Readable, "dir", true),
            (Readable, "to-dir", true),
            (Readable, "file", false),
            (Readable, "secret", is_closed),
            (Readable, "missing/x", false),
            (Open, "fifo", true),
            (Open, "dir", false),
            (Open, "/dev/zero", true),
            (Open, "/dev/full", cfg!(target_os = "linux")),
            (Open, "/dev/null", false),
        ] {
            let user = || Some(root.metadata().unwrap().uid());
            let found = problem(fatal, &root.join(path), user);
            assert_eq!(found.is_some(), is_refused, "{fatal:?} {path}: {found:?}");
        }
    }
}
