//! The cookie: 32 bytes that tor writes to a file.
//!
//! The peer may have named the path, and need not be a tor. The path could be a secret of the user,
//! a pipe without end, or a device that acts when it is opened. So only a regular file of exactly
//! 32 bytes is read, and its type is checked before it is opened and again on the descriptor.

use std::fmt;
use std::fs::{self, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use zeroize::Zeroize;

use crate::error::AuthProblem;

/// The number of bytes of a cookie.
const SIZE: usize = 32;

/// The content of tor's cookie file. It is overwritten when dropped.
// Boxed, so that a move leaves no copy.
pub(super) struct Cookie(Box<[u8; SIZE]>);

impl Cookie {
    /// Reads the cookie from `path`.
    pub(super) fn read(path: &Path) -> Result<Self, AuthProblem> {
        let unreadable = |source: io::Error| AuthProblem::CookieUnreadable {
            path: path.to_owned(),
            source: Arc::new(source),
        };
        let not_a_file =
            |found: &'static str| AuthProblem::CookieNotAFile { path: path.to_owned(), found };

        // Opening a device can have an effect. A file that replaces this one before it is opened is
        // neither followed nor waited for, and the second check refuses it.
        let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
        if let Some(found) = other_than_file(metadata.file_type()) {
            return Err(not_a_file(found));
        }
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(path)
            .map_err(unreadable)?;
        let opened = file.metadata().map_err(unreadable)?;
        if let Some(found) = other_than_file(opened.file_type()) {
            return Err(not_a_file(found));
        }
        if opened.len() != 32 {
            return Err(AuthProblem::CookieSize { path: path.to_owned(), size: opened.len() });
        }
        let mut cookie = Self(Box::new([0; SIZE]));
        file.read_exact(&mut *cookie.0).map_err(unreadable)?;
        Ok(cookie)
    }

    /// Returns the secret.
    pub(super) fn as_bytes(&self) -> &[u8; SIZE] {
        &self.0
    }
}

#[cfg(test)]
impl From<[u8; SIZE]> for Cookie {
    fn from(bytes: [u8; SIZE]) -> Self {
        Self(Box::new(bytes))
    }
}

/// Returns the type of a file, unless it is a regular file.
fn other_than_file(found: FileType) -> Option<&'static str> {
    if found.is_file() {
        None
    } else if found.is_symlink() {
        Some("a symbolic link")
    } else if found.is_dir() {
        Some("a directory")
    } else if found.is_fifo() {
        Some("a named pipe")
    } else if found.is_socket() {
        Some("a socket")
    } else if found.is_char_device() || found.is_block_device() {
        Some("a device")
    } else {
        Some("something else")
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::Cookie;
    use crate::error::AuthProblem;

    const BYTES: [u8; 32] = *b"0123456789abcdef\0\r\n\xff456789abcdef";

    fn refusal(path: &Path) -> AuthProblem {
        Cookie::read(path).expect_err("this is no cookie")
    }

    #[test]
    fn a_cookie_is_read_from_a_path_of_any_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(OsStr::from_bytes(b"a \"q\" \\x caf\xe9"));
        fs::write(&path, BYTES).unwrap();
        assert_eq!(Cookie::read(&path).unwrap().as_bytes(), &BYTES);
    }

    #[test]
    fn a_directory_of_the_path_may_be_a_symbolic_link() {
        // As /var/run is on most systems.
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("run")).unwrap();
        fs::write(directory.path().join("run/cookie"), BYTES).unwrap();
        symlink("run", directory.path().join("var-run")).unwrap();
        assert!(Cookie::read(&directory.path().join("var-run/cookie")).is_ok());
    }

    #[test]
    fn the_size_must_be_exact() {
        let directory = tempfile::tempdir().unwrap();
        for size in [0, 31, 33, 4096] {
            let path = directory.path().join(size.to_string());
            fs::write(&path, vec![b'x'; size]).unwrap();
            assert_eq!(
                refusal(&path).to_string(),
                format!("the cookie file {path:?} has {size} bytes instead of 32")
            );
        }
    }

    #[test]
    fn nothing_but_a_regular_file_is_read_and_none_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("cookie"), BYTES).unwrap();
        symlink(at("cookie"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        for (path, found) in [
            (at("link"), "a symbolic link"),
            (at("dangling"), "a symbolic link"),
            (at("directory"), "a directory"),
            (at("pipe"), "a named pipe"),
            (at("socket"), "a socket"),
            ("/dev/zero".into(), "a device"),
        ] {
            assert_eq!(
                refusal(&path).to_string(),
                format!("the cookie path {path:?} is {found}, not a regular file")
            );
        }
    }

    #[test]
    fn an_unreadable_file_has_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let problem = refusal(&missing);
        assert_eq!(problem.to_string(), format!("the cookie file {missing:?} cannot be read"));
        assert!(matches!(
            problem,
            AuthProblem::CookieUnreadable { source, .. }
                if source.kind() == std::io::ErrorKind::NotFound
        ));

        // A path cannot contain NUL, but the peer can send one that does.
        let zero = Path::new(OsStr::from_bytes(b"/tmp/a\0b"));
        assert!(matches!(refusal(zero), AuthProblem::CookieUnreadable { .. }));

        // The superuser may read every file.
        if !nix::unistd::geteuid().is_root() {
            let closed = directory.path().join("closed");
            fs::write(&closed, BYTES).unwrap();
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
            assert!(matches!(refusal(&closed), AuthProblem::CookieUnreadable { .. }));
        }
    }

    #[test]
    fn the_cookie_does_not_show_in_debug() {
        assert_eq!(format!("{:?}", Cookie::from(BYTES)), "Cookie(..)");
    }
}
