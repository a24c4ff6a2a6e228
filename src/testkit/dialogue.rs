//! The dialogues of a fake tor, for the message of a failing test.

use std::fmt;

use crate::sync::Mutex;

/// The longest part of one message that is printed.
const SHOWN: usize = 400;
/// The most messages that are printed; the last ones matter.
const ENTRIES: usize = 200;

/// A record of both directions, shared by all connections of one fake tor.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    connection: usize,
    who: Who,
    /// Cut to `SHOWN`, so that a flood does not fill the memory.
    text: Vec<u8>,
    length: usize,
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Server,
    /// An event beside the dialogue, such as a closed connection.
    Note,
}

impl Dialogue {
    pub(super) fn record(&self, connection: usize, who: Who, bytes: &[u8]) {
        self.record_times(connection, who, bytes, 1);
    }

    pub(super) fn record_times(&self, connection: usize, who: Who, bytes: &[u8], times: u64) {
        let text = bytes.get(..SHOWN).unwrap_or(bytes).to_vec();
        let entry = Entry { connection, who, text, length: bytes.len(), times };
        self.entries.lock().push(entry);
    }

    /// Returns every line that the clients sent, without its end.
    pub(super) fn client_lines(&self) -> Vec<String> {
        self.lines(|entry| entry.who == Who::Client)
    }

    /// Returns the same of one connection.
    pub(super) fn client_lines_of(&self, connection: usize) -> Vec<String> {
        self.lines(|entry| entry.who == Who::Client && entry.connection == connection)
    }

    fn lines(&self, is_wanted: impl Fn(&&Entry) -> bool) -> Vec<String> {
        let entries = self.entries.lock();
        let wanted = entries.iter().filter(is_wanted);
        wanted.map(|entry| String::from_utf8_lossy(&entry.text).trim_end().to_owned()).collect()
    }
}

impl fmt::Display for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock();
        let hidden = entries.len().saturating_sub(ENTRIES);
        writeln!(f, "the dialogue so far (C: the client, S: the fake tor):")?;
        if entries.is_empty() {
            writeln!(f, "  (nothing was said)")?;
        }
        if hidden > 0 {
            writeln!(f, "  ({hidden} earlier messages are not shown)")?;
        }
        for entry in entries.iter().skip(hidden) {
            let who = match entry.who {
                Who::Client => "C",
                Who::Server => "S",
                Who::Note => "#",
            };
            write!(f, "  {who}{}: {}", entry.connection, entry.text.escape_ascii())?;
            if entry.length > entry.text.len() {
                write!(f, ".. ({} bytes)", entry.length)?;
            }
            if entry.times != 1 {
                write!(f, " ({} times)", entry.times)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
