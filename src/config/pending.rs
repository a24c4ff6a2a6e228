//! The pending changes, and the state that they lead to.
//!
//! **Invariant**: nothing here sends a command or waits. A change is kept as it was requested, not
//! as its result: applied to a list that another controller has changed in the meantime, it keeps
//! the entries of that controller.

use super::schema::TorOption;
use super::service_lines::{ConfiguredLine, ServiceEdit, ServiceLines, replace_option};
use super::value::OptionValue;
use crate::wire::fields::split_spaced_list;

/// The value of an option such as `SocksPort` that opens no listener.
const NO_LISTENER: &[u8] = b"0";

/// The changes that have not been saved, in order.
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
    /// The lines that tor uses for the group while none is set.
    implied: Vec<ConfiguredLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Replaces the value. One empty line clears the option.
    Set(Vec<Vec<u8>>),
    Reset,
    List(ListEdit),
    Service(ServiceEdit),
}

/// A change of the entries of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListEdit {
    Push(Vec<u8>),
    Remove(Vec<u8>),
    Replace(Vec<u8>, Vec<u8>),
}

impl Action {
    pub(super) fn clear() -> Self {
        Self::Set(vec![Vec::new()])
    }

    /// Whether the result does not depend on the value before.
    fn is_absolute(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Reset)
    }
}

/// The state of a group of options in tor, or after the pending changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupState {
    /// These lines and no others. A cleared option has one empty line, as tor shows it.
    Lines(Vec<ConfiguredLine>),
    /// At its default, which is not the same as cleared.
    Default,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a change and drops those that it overrides. `implied` are the lines that tor uses for
    /// the group while none is set.
    pub(super) fn push(&mut self, option: TorOption, action: Action, implied: Vec<ConfiguredLine>) {
        if action.is_absolute() {
            self.changes.retain(|change| change.option.name != option.name);
        }
        self.changes.push(OptionChange { number: self.next, option, action, implied });
        self.next += 1;
    }

    /// Returns the number of the next change, for [`remove_before`](Self::remove_before).
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Removes the changes with lower numbers: they are saved.
    pub(super) fn remove_before(&mut self, number: u64) {
        self.changes.retain(|change| change.number >= number);
    }

    pub(super) fn clear(&mut self) {
        self.changes.clear();
    }

    /// Removes the changes of one option; the case of the name does not matter.
    pub(super) fn remove_option(&mut self, name: &str) {
        self.changes.retain(|change| !change.option.name.eq_ignore_ascii_case(name));
    }

    /// Returns one option of each changed group: the last that was changed, in the order of the
    /// first changes.
    pub(super) fn changed_options(&self) -> Vec<TorOption> {
        let mut options: Vec<TorOption> = Vec::new();
        for OptionChange { option, .. } in &self.changes {
            match options.iter_mut().find(|other| other.group == option.group) {
                Some(other) => other.clone_from(option),
                None => options.push(option.clone()),
            }
        }
        options
    }

    /// Whether the state of a group after the changes depends on its lines in tor.
    pub(super) fn needs_lines(&self, group: &str) -> bool {
        let first = self.changes.iter().find(|change| &*change.option.group == group);
        first.is_none_or(|first| first.option.is_grouped() || !first.action.is_absolute())
    }

    /// Returns the state of a group after the changes; `lines` are those that tor has.
    pub(super) fn apply(&self, group: &str, lines: &[ConfiguredLine]) -> GroupState {
        let own = self.changes.iter().filter(|change| &*change.option.group == group);
        own.fold(GroupState::Lines(lines.to_vec()), |state, change| change.apply(state))
    }

    /// Returns the names of the changed options, in the order of their first changes.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for OptionChange { option, .. } in &self.changes {
            if !names.iter().any(|name| *name == *option.name) {
                names.push(option.name.to_string());
            }
        }
        names
    }
}

impl OptionChange {
    fn apply(&self, state: GroupState) -> GroupState {
        let name = &*self.option.name;
        let mut lines = match state {
            GroupState::Lines(lines) => lines,
            GroupState::Default => Vec::new(),
        };
        match &self.action {
            Action::Reset if !self.option.kind.is_reset_by_clearing() => {
                return GroupState::Default;
            }
            Action::Reset => replace_option(&mut lines, name, Vec::new()),
            Action::Set(values) => self.set(&mut lines, values.clone()),
            Action::List(edit) => self.edit(&mut lines, edit),
            Action::Service(edit) => {
                let mut services = ServiceLines { lines };
                services.apply(edit);
                return GroupState::Lines(services.lines);
            }
        }
        GroupState::Lines(lines)
    }

    /// Sets the values of the option. One that shares its group has no line when it is cleared.
    fn set(&self, lines: &mut Vec<ConfiguredLine>, mut values: Vec<Vec<u8>>) {
        if self.option.is_grouped() {
            values.retain(|value| !value.is_empty());
        }
        replace_option(lines, &self.option.name, values);
    }

    fn edit(&self, lines: &mut Vec<ConfiguredLine>, edit: &ListEdit) {
        if lines.is_empty() {
            lines.clone_from(&self.implied);
            let name = &*self.option.name;
            // The pushed entry is the default itself, which tor would then have twice.
            if matches!(edit, ListEdit::Push(entry) if lines.iter().any(|(other, value)| other == name && value == entry))
            {
                return;
            }
        }
        let mut entries = self.entries(lines);
        let is_listener = self.option.is_listener();
        match edit {
            // tor accepts 0, which opens no listener, only as the single line.
            ListEdit::Push(entry) if is_listener && entry == NO_LISTENER => {
                entries = vec![entry.clone()];
            }
            ListEdit::Push(entry) => {
                entries.retain(|other| !is_listener || other != NO_LISTENER);
                entries.push(entry.clone());
            }
            ListEdit::Remove(entry) => {
                let count = entries.len();
                entries.retain(|other| other != entry);
                let is_last = entries.is_empty() && count > 0 && lines.len() == count;
                // Without a line, tor would open the listener of its default.
                if is_last && !self.implied.is_empty() && is_listener {
                    entries.push(NO_LISTENER.to_vec());
                }
            }
            ListEdit::Replace(old, new) => {
                for entry in entries.iter_mut().filter(|entry| *entry == old) {
                    entry.clone_from(new);
                }
            }
        }
        // A list without entries is cleared, not at its default.
        let values = match self.option.kind.is_comma_list() || entries.is_empty() {
            true => vec![entries.join(&b',')],
            false => entries,
        };
        self.set(lines, values);
    }

    /// Returns the entries of the list in the lines of its group.
    fn entries(&self, lines: &[ConfiguredLine]) -> Vec<Vec<u8>> {
        let own = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(&self.option.name));
        let values = own.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty());
        match self.option.kind.is_comma_list() {
            true => values.flat_map(split_spaced_list).map(<[u8]>::to_vec).collect(),
            false => values.map(<[u8]>::to_vec).collect(),
        }
    }
}

impl GroupState {
    /// Returns the value of one option of the group.
    pub(super) fn value(&self, option: &TorOption) -> OptionValue {
        let lines = match self {
            Self::Lines(lines) => {
                let own = lines.iter().filter(|line| line.0.eq_ignore_ascii_case(&option.name));
                own.map(|(_, value)| value.clone()).collect()
            }
            Self::Default => Vec::new(),
        };
        // tor shows any other cleared option as not set.
        let shows_cleared = option.kind.is_comma_list() || !option.kind.is_recognized();
        let is_set = match shows_cleared {
            true => !lines.is_empty(),
            false => lines.iter().any(|value: &Vec<u8>| !value.is_empty()),
        };
        OptionValue::new(option, is_set.then_some(lines))
    }

    /// Whether no option of the group has a value.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Lines(lines) if lines.iter().all(|(_, value)| value.is_empty()))
    }
}

#[cfg(test)]
mod tests;
