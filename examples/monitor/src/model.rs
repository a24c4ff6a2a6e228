//! The model of everything that the monitor shows: changed by updates of the feed and by keys, drawn
//! by the view.

mod bandwidth;
mod descriptors;
mod log;
mod tor;

use std::time::SystemTime;

use torcon::names::Severity;

pub(crate) use self::bandwidth::{Bandwidth, Direction};
pub(crate) use self::descriptors::{DescriptorEvent, Descriptors, Outcomes};
pub(crate) use self::log::{Entry, Log};
pub(crate) use self::tor::{
    Bootstrap, Circuit, Connection, FLAGS, Live, OrConnection, Process, Relay, Service, Stream,
    flag_letters,
};

/// A change of the model.
#[derive(Clone, Debug)]
pub(crate) enum Update {
    /// Progress of the private network, or of a launch of tor in it.
    Progress(Bootstrap),
    Connection(Connection),
    Process(Process),
    /// Bytes read and written since tor's start.
    Totals(u64, u64),
    /// Bytes read and written in the last second.
    Bandwidth(u64, u64),
    /// The seconds between two connections, of which the bandwidth is unknown.
    Gap(usize),
    Live(Live),
    Services(Vec<Service>),
    Log(Entry),
    Descriptor(DescriptorEvent),
}

/// A page of the monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Overview,
    Circuits,
    Connections,
    Onion,
    Log,
}

impl Tab {
    pub(crate) const ALL: [Self; 5] =
        [Self::Overview, Self::Circuits, Self::Connections, Self::Onion, Self::Log];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Circuits => "Circuits",
            Self::Connections => "Connections",
            Self::Onion => "Onion services",
            Self::Log => "Log",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    /// Returns the tab that is some places further, around the end.
    pub(crate) fn moved(self, by: usize) -> Self {
        Self::ALL.iter().copied().cycle().nth(self.index() + by).unwrap_or_default()
    }
}

/// The lines by which each page is scrolled. Those of the log count from its end, so that it
/// follows the newest message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scroll([usize; Tab::ALL.len()]);

impl Scroll {
    pub(crate) fn of(self, tab: Tab) -> usize {
        self.0.get(tab.index()).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, tab: Tab, lines: usize) {
        if let Some(scroll) = self.0.get_mut(tab.index()) {
            *scroll = lines;
        }
    }
}

/// The seconds of one column of the bandwidth graph.
pub(crate) const INTERVALS: [usize; 4] = [1, 5, 15, 60];

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: SystemTime,
    pub(crate) connection: Connection,
    /// Progress of a launch, until there is a connection.
    pub(crate) progress: Option<Bootstrap>,
    pub(crate) process: Option<Process>,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) live: Live,
    pub(crate) services: Vec<Service>,
    pub(crate) descriptors: Descriptors,
    pub(crate) log: Log,
    pub(crate) tab: Tab,
    pub(crate) shows_help: bool,
    pub(crate) scroll: Scroll,
    /// The seconds of one column of the bandwidth graph.
    pub(crate) interval: usize,
}

impl Model {
    pub(crate) fn new(now: SystemTime) -> Self {
        Self {
            now,
            connection: Connection::default(),
            progress: None,
            process: None,
            bandwidth: Bandwidth::default(),
            live: Live::default(),
            services: Vec::new(),
            descriptors: Descriptors::default(),
            log: Log::default(),
            tab: Tab::default(),
            shows_help: false,
            scroll: Scroll::default(),
            interval: 1,
        }
    }

    pub(crate) fn apply(&mut self, update: Update) {
        match update {
            Update::Progress(progress) => self.progress = Some(progress),
            Update::Connection(connection) => self.connect(connection),
            Update::Process(process) => self.process = Some(process),
            Update::Totals(read, written) => self.bandwidth.set_totals(read, written),
            Update::Bandwidth(read, written) => self.bandwidth.push(read, written),
            Update::Gap(seconds) => self.bandwidth.skip(seconds),
            Update::Live(live) => self.live = live,
            Update::Services(services) => self.services = services,
            Update::Log(entry) => self.log.push(entry),
            Update::Descriptor(event) => self.descriptors.push(event),
        }
    }

    /// Changes the state of the connection. Without one, the rows of the former tor are not true
    /// any more; its messages and its bandwidth stay.
    fn connect(&mut self, connection: Connection) {
        match &connection {
            Connection::Up { .. } => self.progress = None,
            Connection::Restoring => {}
            Connection::Starting | Connection::Connecting { .. } | Connection::GivenUp(_) => {
                self.live = Live::default();
                self.services.clear();
                self.process = None;
            }
        }
        let message = match (&self.connection, &connection) {
            (_, Connection::Up { number: 1, .. }) => Some("connected to tor".to_owned()),
            (_, Connection::Up { number, .. }) => {
                Some(format!("connected to tor again, connection {number}"))
            }
            (
                Connection::Up { .. } | Connection::Restoring,
                Connection::Connecting { reason, .. },
            ) => {
                let reason = reason.as_deref().unwrap_or("no reason is known");
                Some(format!("the connection to tor has ended: {reason}"))
            }
            (_, Connection::GivenUp(reason)) => Some(format!("gave up: {reason}")),
            _ => None,
        };
        if let Some(message) = message.filter(|_| self.connection != connection) {
            self.log.push(Entry { time: self.now, severity: None, message });
        }
        self.connection = connection;
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.connection, Connection::Up { .. })
    }

    /// Returns the bootstrap progress: tor's, or that of the launch.
    pub(crate) fn bootstrap(&self) -> Option<&Bootstrap> {
        self.live.bootstrap.as_ref().or(self.progress.as_ref())
    }

    /// Returns the new level if it has changed.
    pub(crate) fn change_log_level(&mut self, more: bool) -> Option<Severity> {
        self.log.change_level(more)
    }

    /// Sets the next length of the intervals of the graph.
    pub(crate) fn next_interval(&mut self) {
        let longer = INTERVALS.into_iter().find(|interval| *interval > self.interval);
        self.interval = longer.unwrap_or(1);
    }
}

#[cfg(test)]
pub(crate) mod tests;
