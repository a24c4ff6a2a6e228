//! What is to be changed: a list of changes in their order, and what comes of them.
//!
//! **Invariant**: nothing here asks tor or waits. Changes are kept as they were asked for and not as
//! what came of them: a list that another controller has changed in the meantime keeps what that
//! one has added.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use super::schema::{OptionType, SERVICES, TorOption};
use super::services::{ConfiguredLine, ConfiguredService, ServiceLines, is_same_directory};
use super::value::{OptionValue, comma_entries};

/// The value of an option such as `SocksPort` that opens no listener.
const NO_LISTENER: &[u8] = b"0";

/// The changes that have not been saved, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    changes: Vec<OptionChange>,
    /// The number of the next change.
    next: u64,
}

#[derive(Clone, Debug)]
struct OptionChange {
    number: u64,
    option: TorOption,
    action: Action,
    /// The lines that stand for the group in tor while no line of it is set.
    implied: Vec<ConfiguredLine>,
}

/// What is to happen to an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Set(Vec<Vec<u8>>),
    Clear,
    Reset,
    Push(Vec<u8>),
    Remove(Vec<u8>),
    Replace(Vec<u8>, Vec<u8>),
    AddService(ConfiguredService),
    EditService { before: ConfiguredService, after: ConfiguredService },
    RemoveService(PathBuf),
}

impl Action {
    /// Whether it makes no difference what the option was before.
    fn is_final(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Clear | Self::Reset)
    }
}

/// What the options of a group are, or are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupState {
    /// These lines, and no others. None at all: the options are not set.
    Lines(Vec<ConfiguredLine>),
    /// Set to nothing.
    Cleared,
    /// At its default, whatever that is.
    Default,
}

/// A group that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// The last of its options that was changed.
    pub(super) option: TorOption,
    /// Whether what comes of the changes depends on what the group was before.
    pub(super) needs_base: bool,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a change, and drops those that it makes meaningless.
    pub(super) fn push(&mut self, option: TorOption, action: Action) {
        self.push_edit(option, action, Vec::new());
    }

    /// Adds a change of the entries of a list. `implied` are the lines that stand for its group in
    /// tor while no line of it is set.
    pub(super) fn push_edit(
        &mut self,
        option: TorOption,
        action: Action,
        implied: Vec<ConfiguredLine>,
    ) {
        if action.is_final() {
            self.changes.retain(|change| change.option.name != option.name);
        }
        self.changes.push(OptionChange { number: self.next, option, action, implied });
        self.next += 1;
    }

    /// Returns what stands for "up to here" in [`saved`](Self::saved).
    pub(super) fn mark(&self) -> u64 {
        self.next
    }

    /// Takes out the changes that were there at the mark.
    pub(super) fn saved(&mut self, mark: u64) {
        self.changes.retain(|change| change.number >= mark);
    }

    /// Takes out all changes.
    pub(super) fn clear(&mut self) {
        self.changes.clear();
    }

    /// Takes out the changes of one option, in whatever case it is written.
    pub(super) fn forget(&mut self, name: &str) {
        self.changes.retain(|change| !change.option.name.eq_ignore_ascii_case(name));
    }

    /// Whether the last thing that is to happen to an option is that it goes back to its default.
    pub(super) fn is_reset(&self, name: &str) -> bool {
        let own = |change: &&OptionChange| &*change.option.name == name;
        self.changes.iter().rev().find(own).is_some_and(|change| change.action == Action::Reset)
    }

    /// Returns the groups that are to be changed, in the order of their first changes.
    pub(super) fn touched(&self) -> Vec<Touched> {
        let mut touched: Vec<Touched> = Vec::new();
        for change in &self.changes {
            let option = &change.option;
            match touched.iter_mut().find(|other| other.option.group == option.group) {
                Some(known) => known.option = option.clone(),
                None => touched.push(Touched {
                    option: option.clone(),
                    needs_base: option.is_grouped() || !change.action.is_final(),
                }),
            }
        }
        touched
    }

    /// Returns whether a group is to be changed.
    pub(super) fn touches(&self, group: &str) -> bool {
        self.changes.iter().any(|change| &*change.option.group == group)
    }

    /// Returns what a group will be: `base` is what it is now.
    pub(super) fn applied(&self, group: &str, base: &[ConfiguredLine]) -> GroupState {
        let own = self.changes.iter().filter(|change| &*change.option.group == group);
        own.fold(GroupState::Lines(base.to_vec()), |state, change| change.applied(state))
    }

    /// Returns the changes for people.
    pub(super) fn list(&self) -> Vec<PendingChange> {
        self.changes.iter().map(PendingChange::new).collect()
    }
}

impl OptionChange {
    fn applied(&self, state: GroupState) -> GroupState {
        let name = &*self.option.name;
        let is_cleared = state == GroupState::Cleared;
        let lines = match state {
            GroupState::Lines(lines) => lines,
            GroupState::Cleared | GroupState::Default => Vec::new(),
        };
        let lines = match &self.action {
            Action::Clear if !self.option.is_grouped() => return GroupState::Cleared,
            Action::Reset if !self.option.is_grouped() => return GroupState::Default,
            Action::Clear | Action::Reset => replaced(lines, name, &[]),
            Action::Set(values) => replaced(lines, name, values),
            Action::Push(_) | Action::Remove(_) | Action::Replace(..) => {
                match lines.is_empty() && !is_cleared {
                    // The default itself, which tor would take for a second one.
                    true if self.pushes_implied() => self.implied.clone(),
                    true => self.edited(self.implied.clone()),
                    false => self.edited(lines),
                }
            }
            // tor has it already if it took the command and the reply was lost.
            Action::AddService(service)
                if ServiceLines { lines: lines.clone() }.services().contains(service) =>
            {
                lines
            }
            Action::AddService(service) => {
                let own = service.lines().map(|(name, value)| (name.to_owned(), value.to_vec()));
                lines.into_iter().chain(own).collect()
            }
            Action::EditService { before, after } => {
                let mut services = ServiceLines { lines }.services();
                for other in &mut services {
                    if is_same_directory(other.directory(), after.directory()) {
                        other.apply_edit(before, after);
                    }
                }
                ServiceLines::of_services(&services).lines
            }
            Action::RemoveService(directory) => {
                let is_meant = |other: &std::path::Path| is_same_directory(other, directory);
                ServiceLines { lines }.without(is_meant).1.lines
            }
        };
        match lines.is_empty() {
            // A list that has lost its last entry is empty, and not at its default.
            true if !self.option.is_grouped() => GroupState::Cleared,
            _ => GroupState::Lines(lines),
        }
    }

    fn pushes_implied(&self) -> bool {
        let Action::Push(entry) = &self.action else { return false };
        self.implied.iter().any(|(name, value)| **name == *self.option.name && value == entry)
    }

    /// Edits the entries of a list.
    fn edited(&self, lines: Vec<ConfiguredLine>) -> Vec<ConfiguredLine> {
        let name = &*self.option.name;
        let own = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(name);
        let values = lines.iter().filter(own).map(|(_, value)| value.as_slice());
        let is_comma_list = self.option.kind.is_comma_list();
        let mut entries: Vec<Vec<u8>> = match is_comma_list {
            true => values.flat_map(comma_entries).map(<[u8]>::to_vec).collect(),
            false => values.map(<[u8]>::to_vec).collect(),
        };
        let is_listener = self.option.is_listener();
        match &self.action {
            // tor takes 0, which means no listener, only alone.
            Action::Push(entry) if is_listener && entry == NO_LISTENER => {
                entries = vec![entry.clone()];
            }
            Action::Push(entry) => {
                entries.retain(|other| !is_listener || other != NO_LISTENER);
                entries.push(entry.clone());
            }
            Action::Remove(entry) => {
                let count = entries.len();
                entries.retain(|other| other != entry);
                let is_last = entries.is_empty() && count > 0 && lines.len() == count;
                // Without a line, tor would open the listener of its default.
                if is_last && !self.implied.is_empty() && is_listener {
                    entries.push(NO_LISTENER.to_vec());
                }
            }
            Action::Replace(old, new) => {
                for entry in entries.iter_mut().filter(|entry| *entry == old) {
                    entry.clone_from(new);
                }
            }
            _ => {}
        }
        match is_comma_list && !entries.is_empty() {
            true => replaced(lines, name, &[entries.join(&b',')]),
            false => replaced(lines, name, &entries),
        }
    }
}

/// Puts values where the first line of an option stood, or at the end.
fn replaced(mut lines: Vec<ConfiguredLine>, name: &str, values: &[Vec<u8>]) -> Vec<ConfiguredLine> {
    let is_meant = |line: &ConfiguredLine| line.0.eq_ignore_ascii_case(name);
    let place = lines.iter().position(is_meant).unwrap_or(lines.len());
    lines.retain(|line| !is_meant(line));
    let place = place.min(lines.len());
    lines.splice(place..place, values.iter().map(|value| (name.to_owned(), value.clone())));
    lines
}

impl GroupState {
    /// Returns the value of one option of the group.
    pub(super) fn value(&self, option: &TorOption) -> OptionValue {
        let kind = option.kind.clone();
        let lines = match self {
            Self::Lines(lines) => {
                let own = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(&option.name);
                let own = lines.iter().filter(own).map(|(_, value)| value.clone());
                Some(own.collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
            }
            // tor does not tell any other option that was cleared from one that is not set.
            Self::Cleared if kind.is_comma_list() || !kind.is_recognized() => {
                Some(vec![Vec::new()])
            }
            Self::Cleared | Self::Default => None,
        };
        OptionValue::new(kind, lines)
    }

    /// Whether the group is set to nothing where tor's default may be something.
    pub(super) fn is_cleared(&self, kind: &OptionType) -> bool {
        match self {
            Self::Lines(lines) => {
                !kind.is_reset_by_clearing() && lines.iter().all(|(_, value)| value.is_empty())
            }
            Self::Cleared => !kind.is_reset_by_clearing(),
            Self::Default => false,
        }
    }
}

/// What is to happen to an option when the configuration is saved.
///
/// Got from [`Config::pending`](crate::config::Config::pending).
#[derive(Clone, PartialEq, Eq)]
pub struct PendingChange {
    option: Box<str>,
    kind: PendingKind,
    values: Vec<Vec<u8>>,
}

/// The kind of a change that has not been saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PendingKind {
    /// It gets a value.
    Set,
    /// It is set to nothing.
    Clear,
    /// It goes back to its default.
    Reset,
    /// It gets one entry more.
    Push,
    /// It loses an entry.
    Remove,
    /// An entry gives way to another.
    Replace,
    /// An onion service is added.
    AddService,
    /// An onion service is changed.
    EditService,
    /// An onion service is removed.
    RemoveService,
}

impl PendingChange {
    fn new(change: &OptionChange) -> Self {
        let directory = |service: &ConfiguredService| {
            let lines = service.lines().take(1).map(|(_, value)| value.to_vec());
            lines.collect::<Vec<_>>()
        };
        let (kind, values) = match &change.action {
            Action::Set(values) => (PendingKind::Set, values.clone()),
            Action::Clear => (PendingKind::Clear, Vec::new()),
            Action::Reset => (PendingKind::Reset, Vec::new()),
            Action::Push(entry) => (PendingKind::Push, vec![entry.clone()]),
            Action::Remove(entry) => (PendingKind::Remove, vec![entry.clone()]),
            Action::Replace(old, new) => (PendingKind::Replace, vec![old.clone(), new.clone()]),
            Action::AddService(service) => (PendingKind::AddService, directory(service)),
            Action::EditService { after, .. } => (PendingKind::EditService, directory(after)),
            Action::RemoveService(path) => {
                (PendingKind::RemoveService, directory(&ConfiguredService::new(path)))
            }
        };
        Self { option: (&*change.option.name).into(), kind, values }
    }

    /// Returns the name of the option; for an onion service, `HiddenServiceOptions`.
    #[must_use]
    pub fn option(&self) -> &str {
        &self.option
    }

    /// Returns what kind of change it is.
    #[must_use]
    pub fn kind(&self) -> PendingKind {
        self.kind
    }

    /// Returns what the change is made of: the new values, or the entry; of a replacement the old
    /// entry and the new one; of an onion service the directory. Bytes that are not UTF-8 are
    /// replaced.
    #[must_use]
    pub fn values(&self) -> Vec<Cow<'_, str>> {
        self.values.iter().map(|value| String::from_utf8_lossy(value)).collect()
    }
}

impl fmt::Debug for PendingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be a secret.
        f.debug_struct("PendingChange")
            .field("option", &self.option)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The option that stands for all services in a change.
pub(super) fn services_option() -> TorOption {
    TorOption { name: SERVICES.into(), kind: OptionType::Virtual, group: SERVICES.into() }
}

#[cfg(test)]
mod tests;
