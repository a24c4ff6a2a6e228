//! A proxy in front of a real tor's control port.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::named_thread::named;
use super::socket::{Address, DEADLINE, Socket};

/// A unix socket in front of a control port; one client can connect.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: Address,
    _directory: TempDir,
}

impl Proxy {
    /// Listens in front of the control port at `tor`.
    ///
    /// `commands` forwards the bytes of the client, and `replies` those of tor. Each runs on its
    /// own thread and gets the socket to read and the socket to write, which are shut down when it
    /// returns.
    pub(crate) fn before(
        tor: Address,
        commands: impl FnOnce(&mut Socket, &mut Socket) + Send + 'static,
        replies: impl FnOnce(&mut Socket, &mut Socket) + Send + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).expect("a socket can be bound");
        named("proxy-accept", move || {
            let Ok((client, _)) = listener.accept() else { return };
            let client = Socket::Unix(client);
            let tor = tor.connect(DEADLINE).expect("the real tor accepts connections");
            let copies = (client.try_clone().unwrap(), tor.try_clone().unwrap());
            named("proxy-commands", move || pass(client, tor, commands));
            named("proxy-replies", move || pass(copies.1, copies.0, replies));
        });
        Self { address: Address::Unix(path), _directory: directory }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the address for the client, as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }
}

fn pass(mut from: Socket, mut to: Socket, work: impl FnOnce(&mut Socket, &mut Socket)) {
    work(&mut from, &mut to);
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
