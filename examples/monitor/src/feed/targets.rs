//! The targets that applications have asked for.
//!
//! tor remaps the target of a stream when the exit has resolved its name, and reports only the
//! address from then on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use torcon::names::StreamId;
use torcon::state::{StreamChange, StreamInfo, StreamUpdate};

use crate::text::printable;

/// The first target of each stream. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets(Arc<Mutex<HashMap<StreamId, String>>>);

impl Targets {
    /// Applies a change of a stream.
    pub(super) fn apply(&self, update: &StreamUpdate) {
        let info = &update.info;
        if info.is_over() || update.change == StreamChange::Lost {
            self.0.lock().remove(&info.id());
        } else {
            let target = printable(info.target().as_str());
            self.0.lock().entry(info.id()).or_insert(target);
        }
    }

    /// Returns the target of a stream, and the address behind it if tor has remapped it.
    pub(super) fn describe(&self, info: &StreamInfo) -> String {
        let now = info.target();
        let first = self.0.lock().get(&info.id()).cloned();
        match first {
            Some(first) if first != now.as_str() => format!("{first} ({})", printable(now.host())),
            _ => printable(now.as_str()),
        }
    }
}
