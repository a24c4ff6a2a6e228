//! A proxy in front of a real tor that records both directions.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::proxy::Proxy;
use super::socket::{Address, DEADLINE, QUIET, Socket};

/// A [`Proxy`] that forwards and records everything.
#[derive(Debug)]
pub(crate) struct RecordingProxy {
    proxy: Proxy,
    sent: Arc<Mutex<Vec<u8>>>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl RecordingProxy {
    /// Listens in front of the control port at `tor`.
    pub(crate) fn before(tor: Address) -> Self {
        let (sent, received) = (Arc::default(), Arc::default());
        let (commands, replies) = (Arc::clone(&sent), Arc::clone(&received));
        let proxy = Proxy::before(
            tor,
            move |client, tor| relay(client, tor, &commands),
            move |tor, client| relay(tor, client, &replies),
        );
        Self { proxy, sent, received }
    }

    /// Returns the address for the client, as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.proxy.endpoint()
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

/// Copies and records until either side ends.
fn relay(from: &mut Socket, to: &mut Socket, record: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read_some(&mut buffer, Instant::now() + QUIET) {
        record.lock().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count], Instant::now() + DEADLINE).is_err() {
            break;
        }
    }
}

#[test]
fn a_recording_proxy_passes_everything_on_and_records_it() {
    use super::raw_control::RawControl;

    let recorded = RecordingProxy::before(super::real_tor::shared().address());
    let mut raw = RawControl::connect(recorded.proxy.address());
    raw.authenticate_by_cookie(&super::real_tor::shared().cookie_path());
    let version = raw.get_info("version");
    assert_eq!(raw.ask("QUIT"), ["250 closing connection"]);
    raw.expect_end(DEADLINE);
    assert!(recorded.sent()[0].starts_with("AUTHENTICATE "));
    assert_eq!(recorded.sent()[1..], ["GETINFO version", "QUIT"]);
    let answer = format!("250-version={version}");
    assert_eq!(recorded.received(), ["250 OK", &answer, "250 OK", "250 closing connection"]);
}
