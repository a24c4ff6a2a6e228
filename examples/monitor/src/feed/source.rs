//! Where the tor to monitor is: at an endpoint, or in a private network.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use torcon::supervisor::SupervisorOptions;
use torcon::{CancelToken, ConnectOptions, Result, Supervisor};

use super::Message;
use super::private_network::MonitoredNetwork;
use crate::arguments::Arguments;

/// The delays between attempts to connect.
const SHORTEST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The supervisor of the monitored tor, and the private network if there is one.
pub(super) struct Source {
    supervisor: Arc<Supervisor>,
    network: Option<MonitoredNetwork>,
}

impl Source {
    /// Starts the supervisor, in a private network after this has started.
    pub(super) fn start(
        arguments: &Arguments,
        messages: &Sender<Message>,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let options = SupervisorOptions::new().backoff(SHORTEST_DELAY, LONGEST_DELAY);
        if arguments.private_network {
            let (network, supervisor) = MonitoredNetwork::start(options, messages, cancel)?;
            return Ok(Self { supervisor, network: Some(network) });
        }
        let connect = ConnectOptions::from_env()?;
        let endpoints = match &arguments.endpoint {
            Some(endpoint) => vec![endpoint.parse()?],
            None => connect.default_endpoints(),
        };
        let supervisor = Arc::new(options.connect(endpoints, connect)?);
        Ok(Self { supervisor, network: None })
    }

    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Closes the connection, and ends what was started.
    pub(super) fn stop(self) {
        if let Some(network) = &self.network {
            network.stop_traffic();
        }
        self.supervisor.stop();
        drop(self.network);
    }
}
