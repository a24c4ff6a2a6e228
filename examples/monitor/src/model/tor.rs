//! Rows about tor: its process, its circuits, streams, connections and onion services.

use std::time::SystemTime;

/// The connection to tor, as the header shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The private network starts.
    #[default]
    Starting,
    /// No connection: the number of the attempt, when it begins, and why the last one failed.
    Connecting { attempt: u32, next: SystemTime, reason: Option<String> },
    /// The supervisor restores its subscriptions.
    Restoring,
    /// The number of the connection, counted from 1, and the parts that could not be restored.
    Up { number: u64, unrestored: Vec<String> },
    /// The supervisor has given up for this reason.
    GivenUp(String),
}

/// Tor's version, process and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) version: String,
    pub(crate) pid: Option<u32>,
    /// When tor started.
    pub(crate) started: Option<SystemTime>,
    pub(crate) socks: Vec<String>,
    pub(crate) or: Vec<String>,
    pub(crate) control: Vec<String>,
}

/// Tor's bootstrap progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bootstrap {
    pub(crate) percent: u8,
    pub(crate) summary: String,
    pub(crate) warning: Option<String>,
}

/// A relay of a path or of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relay {
    /// The nickname, or else the beginning of the fingerprint, or the address.
    pub(crate) name: String,
    /// The country code, if tor knows it.
    pub(crate) country: Option<String>,
    /// A letter for each flag of the consensus: see [`flag_letters`].
    pub(crate) flags: String,
}

/// A circuit with its relays and streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Circuit {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) purpose: String,
    /// The state of an onion service circuit, if it has one.
    pub(crate) detail: Option<String>,
    pub(crate) created: Option<SystemTime>,
    pub(crate) path: Vec<Relay>,
    pub(crate) streams: Vec<Stream>,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) target: String,
    pub(crate) purpose: Option<String>,
}

/// An OR connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OrConnection {
    pub(crate) id: Option<String>,
    pub(crate) status: String,
    pub(crate) peer: Relay,
    pub(crate) address: Option<String>,
    /// Whether the peer is one of tor's entry guards.
    pub(crate) is_guard: bool,
}

/// Everything that changes by events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) circuits: Vec<Circuit>,
    /// The streams that are on no circuit.
    pub(crate) waiting: Vec<Stream>,
    pub(crate) connections: Vec<OrConnection>,
    pub(crate) bootstrap: Option<Bootstrap>,
    pub(crate) is_reachable: Option<bool>,
}

impl Live {
    /// Returns the number of streams.
    pub(crate) fn streams(&self) -> usize {
        self.circuits.iter().map(|circuit| circuit.streams.len()).sum::<usize>()
            + self.waiting.len()
    }

    /// Returns the number of built circuits.
    pub(crate) fn built(&self) -> usize {
        self.circuits.iter().filter(|circuit| circuit.status == "BUILT").count()
    }
}

/// An onion service of this tor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// The address without `.onion`; `None` if the monitor cannot read it.
    pub(crate) address: Option<String>,
    /// Where it is configured.
    pub(crate) origin: String,
    pub(crate) ports: Vec<String>,
}

/// The letters of relay flags, in the order in which they are shown.
pub(crate) const FLAGS: [(&str, char); 9] = [
    ("Authority", 'A'),
    ("Guard", 'G'),
    ("Exit", 'E'),
    ("BadExit", 'B'),
    ("Fast", 'F'),
    ("Stable", 'S'),
    ("HSDir", 'H'),
    ("V2Dir", 'V'),
    ("MiddleOnly", 'M'),
];

/// Returns the letters of flags; flags without a letter are left out.
pub(crate) fn flag_letters(flags: &[&str]) -> String {
    let has = |name: &str| flags.contains(&name);
    FLAGS.iter().filter(|(name, _)| has(name)).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::flag_letters;

    #[test]
    fn flags_have_letters_in_one_order() {
        let flags = ["Exit", "Fast", "Guard", "HSDir", "Running", "Stable", "V2Dir", "Valid"];
        assert_eq!(flag_letters(&flags), "GEFSHV");
        assert_eq!(flag_letters(&[]), "");
    }
}
