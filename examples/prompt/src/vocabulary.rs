//! The words that tor knows: keys, options, events, signals, features, circuits, streams and relays.
//!
//! Each list is queried when it is first needed, and kept. If tor, or a filter in front of it,
//! refuses the query, a short list takes its place.

use std::sync::OnceLock;
use std::time::Duration;

use torcon::names::{CircuitStatus, ListenerKind};
use torcon::{Controller, EventKind, Signal, State};

/// The time limit of a query, for which the line editor waits.
const QUERY_LIMIT: Duration = Duration::from_secs(3);

/// The keys that every tor has and that filters allow most often.
const COMMON_KEYS: &[&str] = &[
    "circuit-status",
    "config-file",
    "entry-guards",
    "events/names",
    "info/names",
    "net/listeners/socks",
    "ns/id/*",
    "ns/name/*",
    "orconn-status",
    "process/pid",
    "status/bootstrap-phase",
    "status/circuit-established",
    "stream-status",
    "traffic/read",
    "traffic/written",
    "uptime",
    "version",
];

const COMMON_OPTIONS: &[&str] = &[
    "Bridge",
    "ControlPort",
    "DisableNetwork",
    "EntryNodes",
    "ExcludeNodes",
    "ExitNodes",
    "Log",
    "MaxCircuitDirtiness",
    "Nickname",
    "ORPort",
    "SafeLogging",
    "SocksPort",
    "StrictNodes",
    "UseBridges",
];

const COMMON_FEATURES: [&str; 2] = ["EXTENDED_EVENTS", "VERBOSE_NAMES"];

/// A name with a note, such as a circuit's identifier with its status.
pub(crate) type Noted = (String, String);

#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    /// `None` for the short lists only.
    controller: Option<Controller>,
    info_keys: OnceLock<Vec<Noted>>,
    options: OnceLock<Vec<Noted>>,
    features: OnceLock<Vec<String>>,
    state: OnceLock<Option<State>>,
}

impl Vocabulary {
    pub(crate) fn new(controller: &Controller) -> Self {
        let controller = Some(controller.with_timeout(QUERY_LIMIT));
        Self { controller, ..Self::default() }
    }

    /// Returns the vocabulary of a tor that refuses every query.
    #[cfg(test)]
    pub(crate) fn fallback() -> Self {
        Self::default()
    }

    /// Returns the `GETINFO` keys, each with tor's description. A key that needs a parameter ends in
    /// `*`, or has the parameter's name in `<>`.
    pub(crate) fn info_keys(&self) -> &[Noted] {
        self.info_keys.get_or_init(|| self.query(Controller::info_names, COMMON_KEYS))
    }

    /// Returns the options, each with the type of its value.
    pub(crate) fn options(&self) -> &[Noted] {
        self.options.get_or_init(|| self.query(Controller::config_names, COMMON_OPTIONS))
    }

    fn query(
        &self,
        query: impl FnOnce(&Controller) -> torcon::Result<Vec<Noted>>,
        common: &[&str],
    ) -> Vec<Noted> {
        let common = || common.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let reply = self.controller.as_ref().and_then(|controller| query(controller).ok());
        reply.filter(|list| !list.is_empty()).unwrap_or_else(common)
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let valid = self.controller.as_ref().and_then(|controller| controller.valid_events().ok());
        valid.unwrap_or(EventKind::KNOWN).iter().map(|kind| kind.as_str().to_owned()).collect()
    }

    pub(crate) fn signals(&self) -> Vec<String> {
        let valid = self.controller.as_ref().and_then(|controller| controller.valid_signals().ok());
        valid.unwrap_or(Signal::KNOWN).iter().map(|signal| signal.as_str().to_owned()).collect()
    }

    pub(crate) fn features(&self) -> &[String] {
        self.features.get_or_init(|| {
            let valid = self.controller.as_ref().and_then(|known| known.valid_features().ok());
            valid.unwrap_or_else(|| COMMON_FEATURES.map(str::to_owned).into())
        })
    }

    pub(crate) fn listener_kinds(&self) -> Vec<String> {
        ListenerKind::KNOWN.iter().map(|kind| kind.as_str().to_owned()).collect()
    }

    /// Returns the circuits, each with its status and the number of its relays.
    pub(crate) fn circuits(&self) -> Vec<Noted> {
        let note = |circuit: torcon::state::Circuit| {
            let relays = circuit.path().len();
            let status = match circuit.status() {
                CircuitStatus::Built if relays == 1 => "1 relay".to_owned(),
                CircuitStatus::Built => format!("{relays} relays"),
                status => status.to_string(),
            };
            (circuit.id().to_string(), status)
        };
        self.state().into_iter().flat_map(State::circuits).map(note).collect()
    }

    /// Returns the streams, each with its target.
    pub(crate) fn streams(&self) -> Vec<Noted> {
        let streams = self.state().into_iter().flat_map(State::streams);
        streams.map(|stream| (stream.id().to_string(), stream.target().to_string())).collect()
    }

    /// Returns the fingerprints of guards and of relays in circuits, each with the nickname.
    pub(crate) fn relays(&self) -> Vec<Noted> {
        let Some(state) = self.state() else { return Vec::new() };
        let guards = state.guards().into_iter().map(|guard| guard.relay);
        let relays = guards.chain(state.circuits().into_iter().flat_map(|circuit| circuit.path()));
        let named = relays.filter_map(|relay| {
            let nickname = relay.nickname().map(|name| name.to_string()).unwrap_or_default();
            Some((relay.fingerprint()?.to_string(), nickname))
        });
        named.collect()
    }

    /// Returns the addresses of the onion services that `ADD_ONION` has added, without `.onion`.
    pub(crate) fn onion_services(&self) -> Vec<String> {
        let query = |key| {
            let reply = self.controller.as_ref().and_then(|known| known.get_info_one(key).ok());
            let list = reply.unwrap_or_default();
            list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        [query("onions/current"), query("onions/detached")].concat()
    }

    /// Returns tor's state, which is followed from the first call on.
    fn state(&self) -> Option<&State> {
        self.state.get_or_init(|| State::new(self.controller.as_ref()?).ok()).as_ref()
    }
}
