use std::collections::BTreeMap;
use std::ops::Range;
use std::time::SystemTime;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::{Texts, event, shown};
use crate::state::change::{Change, CircuitChange, StreamChange};
use crate::state::tracker::Tracker;

/// A model of the contents of tor: the last words about each circuit, stream, guard and mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// State, number of relays, purpose.
    circuits: BTreeMap<String, (String, usize, String)>,
    /// State, circuit, target.
    streams: BTreeMap<String, (String, String, String)>,
    guards: BTreeMap<String, String>,
    addresses: BTreeMap<String, String>,
}

/// A simulated tor that makes random changes.
#[derive(Clone, Debug, Default)]
struct Script {
    model: Model,
    last_id: u32,
    /// The streams that have failed and are not closed yet.
    failed: Vec<String>,
}

fn relay(number: usize) -> String {
    format!("$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206{number:02X}~r{number}")
}

fn path(length: usize) -> String {
    (0..length).map(relay).collect::<Vec<_>>().join(",")
}

fn pick<T: Clone>(map: &BTreeMap<String, T>, choice: u8) -> Option<(String, T)> {
    let position = usize::from(choice).checked_rem(map.len())?;
    map.iter().nth(position).map(|(key, value)| (key.clone(), value.clone()))
}

impl Script {
    fn fresh(&mut self) -> String {
        self.last_id += 1;
        self.last_id.to_string()
    }

    /// Makes a change, and returns tor's event of it.
    fn step(&mut self, (what, which, how): (u8, u8, u8)) -> String {
        match what % 12 {
            0 | 1 => {
                let id = self.fresh();
                self.model.circuits.insert(id.clone(), ("LAUNCHED".into(), 0, "GENERAL".into()));
                format!("CIRC {id} LAUNCHED PURPOSE=GENERAL")
            }
            2..=5 => self.circuit(which, how),
            6 => {
                let id = self.fresh();
                let target = format!("host{id}.example:80");
                let new = ("NEW".to_owned(), "0".to_owned(), target.clone());
                self.model.streams.insert(id.clone(), new);
                format!("STREAM {id} NEW 0 {target} SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER")
            }
            7..=9 => self.stream(which, how),
            10 => {
                let relay = relay(usize::from(which % 4));
                let (word, listed) = [("NEW", "never-connected"), ("UP", "up"), ("DOWN", "down")]
                    [usize::from(how % 3)];
                if how % 5 == 0 {
                    self.model.guards.remove(&relay);
                    return format!("GUARD ENTRY {relay} DROPPED");
                }
                match self.model.guards.get_mut(&relay) {
                    Some(_) if word == "NEW" => {}
                    Some(status) => *status = listed.into(),
                    None => drop(self.model.guards.insert(relay.clone(), listed.into())),
                }
                format!("GUARD ENTRY {relay} {word}")
            }
            _ => {
                let name = format!("n{}.example", which % 4);
                if how % 3 == 0 {
                    self.model.addresses.remove(&name);
                    return format!("ADDRMAP {name}  NEVER CACHED=\"YES\"");
                }
                let to = format!("10.0.0.{how}");
                self.model.addresses.insert(name.clone(), to.clone());
                format!("ADDRMAP {name} {to} NEVER CACHED=\"YES\"")
            }
        }
    }

    fn circuit(&mut self, which: u8, how: u8) -> String {
        let Some((id, (status, mut length, mut purpose))) = pick(&self.model.circuits, which)
        else {
            return "CIRC 999999 CLOSED PURPOSE=GENERAL REASON=FINISHED".into();
        };
        let word = match how % 6 {
            0 | 1 => "EXTENDED",
            2 | 3 => "BUILT",
            4 => "PURPOSE_CHANGED",
            _ if status == "BUILT" => "CLOSED",
            _ => "FAILED",
        };
        if matches!(word, "CLOSED" | "FAILED") {
            self.model.circuits.remove(&id);
            return format!("CIRC {id} {word} {} PURPOSE={purpose} REASON=X", path(length));
        }
        let (event, now) = match word {
            "PURPOSE_CHANGED" => {
                purpose = ["GENERAL", "CONTROLLER", "HS_VANGUARDS"][usize::from(which % 3)].into();
                ("CIRC_MINOR", status)
            }
            _ => ("CIRC", word.to_owned()),
        };
        length += usize::from(word == "EXTENDED");
        self.model.circuits.insert(id.clone(), (now, length, purpose.clone()));
        let path = path(length);
        format!("{event} {id} {word} {path}{}PURPOSE={purpose}", if length > 0 { " " } else { "" })
    }

    fn stream(&mut self, which: u8, how: u8) -> String {
        if let (0, Some(id)) = (how % 8, self.failed.pop()) {
            return format!("STREAM {id} CLOSED 0 x:0");
        }
        let Some((id, (_, circuit, target))) = pick(&self.model.streams, which) else {
            return "STREAM 999999 CLOSED 0 :0 REASON=SOCKS_PROTOCOL".into();
        };
        let on = (which % 3 + 1).to_string();
        let (word, on, target, listed) = match how % 8 {
            1 | 2 => ("SENTCONNECT", on, target, Some("SENTCONNECT")),
            3 => ("SUCCEEDED", on, target, Some("SUCCEEDED")),
            4 => ("DETACHED", circuit, target, Some("NEW")),
            5 => ("XOFF_SENT", circuit, target, None),
            6 => ("FAILED", circuit, target, Some("FAILED")),
            7 => ("CLOSED", circuit, target, Some("CLOSED")),
            _ => ("CONTROLLER_WAIT", "0".to_owned(), target, Some("NEW")),
        };
        match listed {
            Some("CLOSED" | "FAILED") => {
                self.model.streams.remove(&id);
                if word == "FAILED" {
                    self.failed.push(id.clone());
                }
            }
            _ => {
                if let Some(known) = self.model.streams.get_mut(&id) {
                    known.0 = listed.map_or(known.0.clone(), str::to_owned);
                    known.1 = if word == "DETACHED" { "0".to_owned() } else { on.clone() };
                }
            }
        }
        format!("STREAM {id} {word} {on} {target} CLIENT_PROTOCOL=SOCKS5")
    }

    /// Returns tor's answers to `GETINFO` at this moment.
    fn answers(&self) -> Texts {
        let mut texts = Texts::default();
        for (id, (status, length, purpose)) in &self.model.circuits {
            let gap = if *length > 0 { " " } else { "" };
            texts.circuits += &format!("{id} {status} {}{gap}PURPOSE={purpose}\n", path(*length));
        }
        for (id, (status, circuit, target)) in &self.model.streams {
            texts.streams += &format!("{id} {status} {circuit} {target}\n");
        }
        for (relay, status) in &self.model.guards {
            texts.guards += &format!("{relay} {status}\n");
        }
        for (name, to) in &self.model.addresses {
            texts.addresses += &format!("{name} {to} NEVER\n");
        }
        texts
    }
}

/// Returns the contents of a tracker as a model.
fn known(tracker: &Tracker) -> Model {
    let mut model = Model::default();
    for cell in tracker.circuits() {
        let info = cell.info();
        let purpose = info.purpose().map(|purpose| purpose.to_string()).unwrap_or_default();
        let value = (info.status().to_string(), info.path().len(), purpose);
        model.circuits.insert(info.id().to_string(), value);
    }
    for cell in tracker.streams() {
        let info = cell.info();
        // tor lists every stream that waits as a new one.
        let status = info.status();
        let status = match status.as_str() {
            "DETACHED" | "CONTROLLER_WAIT" => "NEW",
            other => other,
        };
        let circuit = info.circuit().map_or("0".to_owned(), |id| id.to_string());
        let value = (status.to_owned(), circuit, info.target().to_string());
        model.streams.insert(info.id().to_string(), value);
    }
    for guard in tracker.guards() {
        model.guards.insert(guard.relay.to_string(), guard.status.to_string());
    }
    for mapping in tracker.address_map(SystemTime::UNIX_EPOCH) {
        model.addresses.insert(mapping.address, mapping.new_address);
    }
    model
}

/// Requires that each circuit and stream begins once and ends at most once, without a change after
/// that.
fn assert_in_order(changes: &[Change]) {
    let mut lives = BTreeMap::<String, Vec<&'static str>>::new();
    for change in changes {
        let (key, word) = match change {
            Change::Circuit { cell, change, .. } => (
                format!("circuit {}", cell.id()),
                match change {
                    CircuitChange::New => "new",
                    CircuitChange::Closed | CircuitChange::Failed => "end",
                    _ => "-",
                },
            ),
            Change::Stream { cell, change, .. } => (
                format!("stream {}", cell.id()),
                match change {
                    StreamChange::New => "new",
                    StreamChange::Closed => "end",
                    _ => "-",
                },
            ),
            Change::Address { .. } => continue,
        };
        // tor reports an unknown circuit or stream as closed repeatedly.
        if !key.ends_with(" 999999") {
            lives.entry(key).or_default().push(word);
        }
    }
    for (key, words) in lives {
        let news = words.iter().skip(1).filter(|word| **word == "new").count();
        assert_eq!(news, 0, "{key}: {words:?}");
        let ends = words.iter().rev().skip(1).filter(|word| **word == "end").count();
        assert_eq!(ends, 0, "{key}: {words:?}");
    }
}

proptest! {
    /// The snapshot may be anywhere among the events. Four positions vary: the subscription, the
    /// answer on the wire, how many more events it contains, and how many events arrive before it
    /// is applied.
    #[test]
    fn the_state_equals_the_model_for_every_position_of_the_snapshot(
        steps in vec(any::<(u8, u8, u8)>(), 0..120),
        positions in any::<[proptest::sample::Index; 4]>(),
        ahead in 0..4_usize,
    ) {
        let mut script = Script::default();
        let mut texts = Vec::new();
        let mut answers = vec![script.answers()];
        for step in steps {
            texts.push(script.step(step));
            answers.push(script.answers());
        }
        let mut order: Vec<usize> =
            positions.iter().map(|position| position.index(texts.len() + 1)).collect();
        order.sort_unstable();
        let (subscribed, on_wire, looked_at) = (order[0], order[1], order[3]);
        // tor may answer before it has sent the events of the last changes.
        let known_to_answer = (on_wire + ahead).min(texts.len());
        let number = |position: usize| u64::try_from(position - subscribed).unwrap();

        let mut tracker = Tracker::new();
        let mut changes = Vec::new();
        let take = |tracker: &mut Tracker, positions: Range<usize>, changes: &mut Vec<Change>| {
            for position in positions {
                tracker.event(number(position), event(&texts[position]), changes);
            }
        };
        take(&mut tracker, subscribed..looked_at, &mut changes);
        assert!(changes.is_empty(), "nothing is known before the snapshot");
        tracker.join(answers[known_to_answer].read(), number(on_wire), &mut changes);
        take(&mut tracker, looked_at..texts.len(), &mut changes);
        assert_eq!(known(&tracker), script.model, "{texts:#?}");
        let changes_at_once = {
            let (mut tracker, mut changes) = (Tracker::new(), Vec::new());
            tracker.join(answers[known_to_answer].read(), number(on_wire), &mut changes);
            take(&mut tracker, on_wire..texts.len(), &mut changes);
            changes.iter().map(shown).collect::<Vec<_>>()
        };
        let word: Vec<_> = changes.iter().map(shown).collect();
        assert_eq!(word, changes_at_once, "it counts when tor answered, not when we looked");
        if ahead == 0 {
            assert_in_order(&changes);
            assert_eq!(tracker.number(), number(texts.len().max(on_wire)));
        }
    }
}
