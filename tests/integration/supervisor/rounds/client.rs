use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use torcon::Launcher;
use torcon::Tor;
use torcon::names::OnionAddress;
use torcon::onion::OnionListener;
use torcon::socks::Isolation;

use crate::testnet::shared_network;

/// How long one attempt to reach a service may take: tor itself holds on to a circuit that leads
/// nowhere for two minutes.
const ATTEMPT: Duration = Duration::from_secs(8);

/// A tor of the private network that reaches services.
pub(super) struct Client(Tor);

impl Client {
    pub(super) fn join() -> Self {
        let launcher = Launcher::new()
            .network(shared_network())
            .option("SocksPort", "127.0.0.1:auto ExtendedErrors")
            .timeout(Duration::from_secs(90));
        Self(Tor::launch(launcher).expect("a tor can join the network"))
    }

    /// Reaches a service and requires that its server sends `mark`, within `limit`. Returns the errors
    /// of the attempts that failed.
    #[track_caller]
    pub(super) fn reach(&self, address: &OnionAddress, mark: u8, limit: Duration) -> Vec<String> {
        let end = Instant::now() + limit;
        let mut failures = Vec::new();
        loop {
            match self.attempt(address) {
                Ok(found) if found == mark => return failures,
                Ok(found) => panic!("{address} is service {found}, not {mark}"),
                Err(error) => {
                    failures.push(error.to_string());
                    self.0.controller().signal(torcon::Signal::Newnym).unwrap();
                }
            }
            assert!(Instant::now() < end, "{address} was not reached: {failures:#?}");
        }
    }

    /// Reaches all services at the same time; their marks are `a`, `b` and so on. Returns the number of
    /// attempts that failed for each.
    #[track_caller]
    pub(super) fn reach_all(&self, addresses: &[OnionAddress], limit: Duration) -> Vec<usize> {
        thread::scope(|scope| {
            let reached: Vec<_> = (b'a'..)
                .zip(addresses)
                .map(|(mark, address)| scope.spawn(move || self.reach(address, mark, limit)))
                .collect();
            reached.into_iter().map(|thread| thread.join().unwrap().len()).collect()
        })
    }

    fn attempt(&self, address: &OnionAddress) -> io::Result<u8> {
        // A circuit to a rendezvous point that the service gave up would be used again.
        let proxy = self.0.socks_proxy().map_err(io::Error::other)?.isolation(Isolation::fresh());
        let stream = proxy.timeout(ATTEMPT).connect((*address, 80)).map_err(io::Error::other)?;
        stream.set_read_timeout(Some(ATTEMPT))?;
        let mut mark = [0];
        (&stream).read_exact(&mut mark)?;
        stream.shutdown(Shutdown::Both)?;
        let [mark] = mark;
        Ok(mark)
    }
}

/// Sends `mark` to each client, until the listener is closed.
pub(super) fn serve(listener: &OnionListener, mark: u8) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        // A client that has gone is no failure.
        let _ = stream.write_all(&[mark]).and_then(|()| stream.shutdown(Shutdown::Write));
    }
}
