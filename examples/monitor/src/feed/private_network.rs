//! A private Tor network on this machine, with a tor that is launched again when it ends.

use std::sync::Arc;

use crossbeam_channel::Sender;
use torcon::supervisor::SupervisorOptions;
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Launcher, Result, Supervisor};

use super::Message;
use super::subscriptions::note;
use super::traffic::Traffic;
use crate::model::{Bootstrap, Update};
use crate::text::printable;

/// The network, and the traffic that its tor makes.
pub(super) struct MonitoredNetwork {
    traffic: Option<Traffic>,
    /// Dropped after the traffic, whose threads use it.
    _network: PrivateNetwork,
}

impl MonitoredNetwork {
    /// Starts the network, and the supervisor of a tor in it.
    pub(super) fn start(
        options: SupervisorOptions,
        messages: &Sender<Message>,
        cancel: &CancelToken,
    ) -> Result<(Self, Arc<Supervisor>)> {
        let progress = progress_sender(messages);
        let network = PrivateNetwork::builder()
            .cancel_token(cancel)
            .on_progress(move |now| progress(now.percent, format!("private network: {}", now.step)))
            .launch()?;
        let relays = network.relays().len();
        let _ =
            messages.send(Message::Update(note(&format!("a private network of {relays} tors"))));
        let progress = progress_sender(messages);
        let launcher = Launcher::new()
            .network(&network)
            .option("SocksPort", "auto")
            .on_progress(move |now| progress(now.percent, now.summary.clone()));
        let supervisor = Arc::new(options.launch(launcher)?);
        // Without traffic the monitor is of use all the same.
        let traffic = Traffic::start(&supervisor)
            .inspect_err(|error| {
                let _ = messages.send(Message::Update(note(&format!("no traffic: {error}"))));
            })
            .ok();
        Ok((Self { traffic, _network: network }, supervisor))
    }

    /// Asks the threads that make traffic to end.
    pub(super) fn stop_traffic(&self) {
        if let Some(traffic) = &self.traffic {
            traffic.stop();
        }
    }
}

fn progress_sender(messages: &Sender<Message>) -> impl Fn(u8, String) + Send + use<> {
    let messages = messages.clone();
    move |percent, summary| {
        let progress = Bootstrap { percent, summary: printable(summary), warning: None };
        let _ = messages.send(Message::Update(Update::Progress(progress)));
    }
}
