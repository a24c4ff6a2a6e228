//! Onion services that outlive connections.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use super::shared::stopped;
use crate::clock::deadline_after;
use crate::link::CancelToken;
use crate::onion::{OnionEndpoint, Register, TorSource};
use crate::sync::atomic::AtomicBool;

/// How long an endpoint waits for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// # Onion services
impl Supervisor {
    /// Returns an endpoint of an onion service on this and every later tor, with the same address.
    ///
    /// If the supervisor launches its tor, the default is a filesystem service with a temporary
    /// directory, otherwise an ephemeral one, as with
    /// [`Controller::onion_endpoint`](crate::Controller::onion_endpoint).
    ///
    /// When a connection ends, the local listener stays open and
    /// [`accept`](crate::OnionListener::accept) waits on. On the next connection the service is added
    /// again, unless tor still has it: with its key, ports and clients, or with its directory. Its
    /// publication is then awaited again: [`wait_published`](crate::OnionListener::wait_published)
    /// waits for it, and the closure of
    /// [`on_progress`](crate::OnionEndpoint::on_progress) gets its steps. A service that cannot be added
    /// again is named in the [status](Self::status), and tried again.
    ///
    /// [`listen`](crate::OnionEndpoint::listen) and [`start`](crate::OnionEndpoint::start) wait for a
    /// connection for at most 60 seconds, and fail with [`Error::Supervisor`](crate::Error::Supervisor)
    /// if there is none. The service ends with its listener or with the supervisor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::{Launcher, Supervisor};
    ///
    /// let supervisor = Supervisor::launch(Launcher::new())?;
    /// let listener = supervisor.onion_endpoint(80).listen()?;
    /// println!("http://{}", listener.onion_address());
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "onion_service")]
    pub fn onion_endpoint(&self, port: u16) -> OnionEndpoint {
        let shared = Arc::downgrade(&self.shared);
        let obtain = move |cancel: Option<&CancelToken>| {
            let shared = shared.upgrade().ok_or_else(stopped)?;
            let deadline = deadline_after(CONNECT_LIMIT);
            let is_canceled = Arc::new(AtomicBool::new(false));
            let _guard = cancel.map(|token| {
                let (shared, is_canceled) = (Arc::downgrade(&shared), Arc::clone(&is_canceled));
                token.on_cancel(move || {
                    if let Some(shared) = shared.upgrade() {
                        shared.cancel_wait(&is_canceled);
                    }
                })
            });
            let (tor, generation) =
                shared.wait_tor_unless(&is_canceled, deadline, CONNECT_LIMIT)?;
            let register: Register =
                Box::new(move |service| shared.add_service(service, generation));
            Ok((tor.controller().clone(), register))
        };
        OnionEndpoint::new(TorSource::Supervised(Box::new(obtain), self.launches), port)
    }
}
