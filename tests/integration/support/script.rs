//! The steps of a fake tor that only these tests need.

pub(crate) use torcon::testkit::Script;

use super::signal::Signal;
use super::socket::DEADLINE;

/// Steps of these tests.
pub(crate) trait Steps {
    /// Waits for the signal of the test.
    fn wait_for(&mut self, signal: &Signal) -> &mut Self;

    /// Sends each byte on its own, so that the client reads in the smallest pieces.
    fn send_in_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self;
}

impl Steps for Script {
    fn wait_for(&mut self, signal: &Signal) -> &mut Self {
        self.note("waiting for the test");
        if let Err(problem) = signal.wait_timeout(DEADLINE) {
            self.fail(&problem);
        }
        self.note("the test said to go on")
    }

    fn send_in_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }
}
