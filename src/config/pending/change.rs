use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{Action, ListEdit};
use crate::config::service_lines::ServiceEdit;

/// A change of the configuration that has not been saved.
///
/// Returned by [`Config::pending`](crate::config::Config::pending).
#[derive(Clone, PartialEq, Eq)]
pub struct PendingChange {
    option: Arc<str>,
    action: Action,
}

/// The kind of a [`PendingChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PendingKind {
    /// The option is set to a value.
    Set,
    /// The option is set to nothing.
    Clear,
    /// The option goes back to its default.
    Reset,
    /// An entry is added to the list.
    Push,
    /// An entry is removed from the list.
    Remove,
    /// An entry of the list is replaced.
    Replace,
    /// An onion service is added.
    AddService,
    /// An onion service is changed.
    EditService,
    /// An onion service is removed.
    RemoveService,
}

impl PendingChange {
    pub(super) fn new(option: &Arc<str>, action: Action) -> Self {
        Self { option: Arc::clone(option), action }
    }

    /// Returns the name of the option; for an onion service, `HiddenServiceOptions`.
    #[must_use]
    pub fn option(&self) -> &str {
        &self.option
    }

    /// Returns the kind of the change.
    #[must_use]
    pub fn kind(&self) -> PendingKind {
        match &self.action {
            Action::Set(values) if values.iter().all(Vec::is_empty) => PendingKind::Clear,
            Action::Set(_) => PendingKind::Set,
            Action::Reset => PendingKind::Reset,
            Action::List(ListEdit::Push(_)) => PendingKind::Push,
            Action::List(ListEdit::Remove(_)) => PendingKind::Remove,
            Action::List(ListEdit::Replace(..)) => PendingKind::Replace,
            Action::Service(ServiceEdit::Add(_)) => PendingKind::AddService,
            Action::Service(ServiceEdit::Edit { .. }) => PendingKind::EditService,
            Action::Service(ServiceEdit::Remove(_)) => PendingKind::RemoveService,
        }
    }

    /// Returns the new values or the entry of the list. For a replacement these are the old entry
    /// and the new one, for an onion service its directory. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn values(&self) -> Vec<Cow<'_, str>> {
        let path = Path::to_string_lossy;
        match &self.action {
            Action::Set(values) => {
                let values = values.iter().filter(|value| !value.is_empty());
                values.map(|value| String::from_utf8_lossy(value)).collect()
            }
            Action::Reset => Vec::new(),
            Action::List(ListEdit::Push(entry) | ListEdit::Remove(entry)) => {
                vec![String::from_utf8_lossy(entry)]
            }
            Action::List(ListEdit::Replace(old, new)) => {
                vec![String::from_utf8_lossy(old), String::from_utf8_lossy(new)]
            }
            Action::Service(ServiceEdit::Add(service)) => vec![path(service.directory())],
            Action::Service(ServiceEdit::Edit { after, .. }) => {
                vec![path(after.directory())]
            }
            Action::Service(ServiceEdit::Remove(directory)) => vec![path(directory)],
        }
    }
}

impl fmt::Debug for PendingChange {
    /// Leaves the values out: they can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingChange")
            .field("option", &self.option)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
