//! The local listener behind a service.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::geteuid;

use crate::error::{InvalidInput, OnionError, OnionProblem, Result};
use crate::names::PortTarget;
use crate::onion::stream::OnionStream;
use crate::sync::Mutex;

const NO_PATH: &str = "is a unix socket without a path, which tor cannot reach";

/// The longest path of a unix socket, without the NUL at its end.
pub(super) const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A listener that the program opened, for
/// [`OnionEndpoint::bind_with`](super::OnionEndpoint::bind_with).
///
/// # Examples
///
/// ```
/// use std::net::TcpListener;
///
/// use torcon::onion::LocalListener;
///
/// let listener: LocalListener = TcpListener::bind("127.0.0.1:0")?.into();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum LocalListener {
    /// A TCP listener.
    Tcp(TcpListener),
    /// A unix socket listener, which must have a path.
    Unix(UnixListener),
}

impl From<TcpListener> for LocalListener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for LocalListener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl TryFrom<&TcpListener> for PortTarget {
    type Error = io::Error;

    /// Returns the target by which a tor on this machine reaches a listener, as
    /// [`of_listener`](Self::of_listener) does.
    fn try_from(listener: &TcpListener) -> io::Result<Self> {
        Ok(Self::of_listener(listener.local_addr()?))
    }
}

impl TryFrom<&UnixListener> for PortTarget {
    type Error = io::Error;

    /// Returns the target of a listener, which must have a path.
    fn try_from(listener: &UnixListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let nameless = || io::Error::new(io::ErrorKind::InvalidInput, NO_PATH);
        Ok(Self::Unix(path::absolute(address.as_pathname().ok_or_else(nameless)?)?))
    }
}

/// Opens the listener when `listen()` is called.
pub(super) type Bind = Box<dyn FnOnce() -> io::Result<LocalListener> + Send>;

/// The address to listen on.
pub(super) enum BindTarget {
    Tcp(SocketAddr),
    Unix(PathBuf),
    With(Bind),
}

impl fmt::Debug for BindTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::With(_) => f.write_str("With(..)"),
        }
    }
}

/// A non-blocking listener; callers wait by `poll`.
#[derive(Debug)]
pub(super) struct LocalSocket {
    listener: LocalListener,
    address: PortTarget,
    /// The socket file that this listener created and its inode number, until it is removed.
    file: Mutex<Option<(PathBuf, u64)>>,
}

impl LocalSocket {
    pub(super) fn bind(target: BindTarget) -> Result<Self> {
        let name = format!("{target:?}");
        let failed = |error: io::Error| {
            let (address, source) = (name.as_str().into(), Arc::new(error));
            OnionError::new(OnionProblem::Listen { address, source })
        };
        match target {
            BindTarget::Tcp(address) => {
                let listener = TcpListener::bind(address).map_err(failed)?;
                Self::new(LocalListener::Tcp(listener), None, failed)
            }
            BindTarget::Unix(path) => {
                let path = path::absolute(&path).map_err(failed)?;
                check_socket_path("local_unix", &path)?;
                let listener = match UnixListener::bind(&path) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                        remove_stale(&path).and_then(|()| UnixListener::bind(&path))
                    }
                    bound => bound,
                };
                let listener = listener.map_err(failed)?;
                let number = fs::symlink_metadata(&path).map(|found| found.ino());
                let file = number.ok().map(|number| (path, number));
                Self::new(LocalListener::Unix(listener), file, failed)
            }
            BindTarget::With(bind) => {
                let listener = bind().map_err(failed)?;
                Self::new(listener, None, failed)
            }
        }
    }

    fn new(
        listener: LocalListener,
        file: Option<(PathBuf, u64)>,
        failed: impl Fn(io::Error) -> OnionError,
    ) -> Result<Self> {
        let address = match &listener {
            LocalListener::Tcp(listener) => {
                listener.set_nonblocking(true).map_err(&failed)?;
                PortTarget::Tcp(listener.local_addr().map_err(&failed)?)
            }
            LocalListener::Unix(listener) => {
                listener.set_nonblocking(true).map_err(&failed)?;
                if listener.local_addr().map_err(&failed)?.as_pathname().is_none() {
                    return Err(InvalidInput::new("bind_with", NO_PATH).into());
                }
                PortTarget::try_from(listener).map_err(&failed)?
            }
        };
        Ok(Self { listener, address, file: Mutex::new(file) })
    }

    pub(super) fn address(&self) -> &PortTarget {
        &self.address
    }

    /// Returns the target at which tor reaches the listener.
    pub(super) fn target(&self) -> PortTarget {
        match &self.address {
            PortTarget::Tcp(address) => PortTarget::of_listener(*address),
            target => target.clone(),
        }
    }

    /// Returns the next connection; fails with `WouldBlock` if none is waiting.
    pub(super) fn accept(&self) -> io::Result<OnionStream> {
        match &self.listener {
            LocalListener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // On some systems an accepted socket inherits O_NONBLOCK.
                stream.set_nonblocking(false)?;
                if let Err(error) = stream.set_nodelay(true) {
                    log::debug!(
                        "TCP_NODELAY could not be set on a connection of an onion service: {error}"
                    );
                }
                Ok(stream.into())
            }
            LocalListener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(false)?;
                Ok(stream.into())
            }
        }
    }
}

impl AsFd for LocalSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.listener {
            LocalListener::Tcp(listener) => listener.as_fd(),
            LocalListener::Unix(listener) => listener.as_fd(),
        }
    }
}

impl LocalSocket {
    /// Returns whether tor's user may need [access](Self::admit) to the socket file.
    pub(super) fn is_file(&self) -> bool {
        geteuid().is_root() && self.file.lock().is_some()
    }

    /// Lets tor's user connect to the socket file, if this program is root and tor is not.
    pub(super) fn admit(&self, user: u32) {
        let file = self.file.lock().clone();
        let Some((path, _)) = file.filter(|_| geteuid().is_root() && user != 0) else { return };
        // If others can replace the file, the wrong file could be given to tor's user.
        let parent = path.parent().and_then(|parent| parent.metadata().ok());
        let is_safe = parent.is_some_and(|parent| {
            let others_write = parent.mode() & 0o022 != 0 && parent.mode() & 0o1000 == 0;
            parent.uid() == 0 && !others_write
        });
        let given = match is_safe {
            true => lchown(&path, Some(user), None),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        };
        if let Err(error) = given {
            log::warn!("tor's user may not be able to connect to {path:?}: {error}");
        }
    }

    /// Stops listening and removes the socket file.
    pub(super) fn close(&self) {
        let fd = self.as_fd().as_raw_fd();
        if let Err(error) = shutdown(fd, Shutdown::Both) {
            log::debug!("a listener stays open until it is dropped: {error}");
        }
        let file = self.file.lock().take();
        let Some((path, number)) = file else { return };
        // Another program may have replaced the file.
        let is_same = |found: &fs::Metadata| found.file_type().is_socket() && found.ino() == number;
        if fs::symlink_metadata(&path).is_ok_and(|found| is_same(&found)) {
            if let Err(error) = fs::remove_file(&path) {
                log::warn!(
                    "the socket file {path:?} of an onion service could not be removed: {error}"
                );
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        self.close();
    }
}

/// Removes a socket file on which no process listens: a killed program left it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = || io::Error::from(Errno::EADDRINUSE);
    let found = fs::symlink_metadata(path)?;
    let me = geteuid();
    if !found.file_type().is_socket() || !(me.is_root() || found.uid() == me.as_raw()) {
        return Err(in_use());
    }
    // A datagram socket never connects to a listening stream socket, and never blocks.
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Err(in_use()),
    }
    if fs::symlink_metadata(path)?.ino() != found.ino() {
        return Err(in_use());
    }
    log::info!("removed the socket file {path:?} that an ended program left");
    fs::remove_file(path)
}

/// Refuses a path that is not valid for a unix socket.
pub(super) fn check_socket_path(argument: &'static str, path: &Path) -> Result<(), InvalidInput> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(InvalidInput::new(argument, "has a path with a line break or NUL"));
    }
    if bytes.len() > SOCKET_PATH_LIMIT {
        let problem = format!(
            "has a path of {} bytes; a unix socket allows {SOCKET_PATH_LIMIT}",
            bytes.len()
        );
        return Err(InvalidInput::new(argument, problem));
    }
    Ok(())
}
