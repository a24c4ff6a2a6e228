//! A relay between a client and a real tor that writes down what both say.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::socket::{Address, DEADLINE, Socket};

/// A unix socket behind which a tor answers; one client can connect.
#[derive(Debug)]
pub(crate) struct RecordingProxy {
    address: Address,
    sent: Arc<Mutex<Vec<u8>>>,
    received: Arc<Mutex<Vec<u8>>>,
    _directory: TempDir,
}

impl RecordingProxy {
    /// Listens before the control port at `tor`.
    pub(crate) fn before(tor: Address) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path: PathBuf = directory.path().join("control");
        let listener = UnixListener::bind(&path).expect("a socket can be bound");
        let sent = Arc::new(Mutex::default());
        let received = Arc::new(Mutex::default());
        let records = (Arc::clone(&sent), Arc::clone(&received));
        start("tap-accept", move || {
            let Ok((client, _)) = listener.accept() else { return };
            let client = Socket::Unix(client);
            let server = tor.connect(DEADLINE).expect("the real tor accepts connections");
            let (client_copy, server_copy) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            start("tap-to-tor", move || relay(client, server, &records.0));
            start("tap-from-tor", move || relay(server_copy, client_copy, &records.1));
        });
        Self { address: Address::Unix(path), sent, received, _directory: directory }
    }

    /// Returns the address for the client, as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Returns the lines that the client has sent up to now.
    pub(crate) fn sent(&self) -> Vec<String> {
        lines(&self.sent.lock())
    }

    /// Returns the lines that tor has sent up to now.
    pub(crate) fn received(&self) -> Vec<String> {
        lines(&self.received.lock())
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started");
}

/// Copies until either side ends, then ends both.
fn relay(mut from: Socket, mut to: Socket, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        // A test may leave the connection quiet for long, and ends both sockets at its end.
        match from.read_some(&mut buffer, Instant::now() + Duration::from_secs(600)) {
            Ok(0) => break,
            Ok(count) => {
                record.lock().extend_from_slice(&buffer[..count]);
                if to.write_all(&buffer[..count], Instant::now() + DEADLINE).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

#[test]
fn a_wiretap_passes_everything_on_and_writes_it_down() {
    use super::raw_control::RawControl;

    let tap = RecordingProxy::before(super::real_tor::shared().address());
    let path = tap.endpoint().strip_prefix("unix:").map(PathBuf::from).unwrap();
    let mut raw = RawControl::connect(&Address::Unix(path));
    raw.authenticate_by_cookie(&super::real_tor::shared().cookie_path());
    let version = raw.get_info("version");
    assert_eq!(raw.ask("QUIT"), ["250 closing connection"]);
    raw.expect_end(DEADLINE);
    assert!(tap.sent()[0].starts_with("AUTHENTICATE "));
    assert_eq!(tap.sent()[1..], ["GETINFO version", "QUIT"]);
    let answer = format!("250-version={version}");
    assert_eq!(tap.received(), ["250 OK", &answer, "250 OK", "250 closing connection"]);
}
