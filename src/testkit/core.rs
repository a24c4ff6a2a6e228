use std::fmt;
use std::time::Duration;

use super::dialogue::{Dialogue, Who};
use super::door::Door;
use super::playbook::Playbook;
use crate::sync::Mutex;
use std::sync::Arc;

pub(super) type Check = Box<dyn Fn(usize, &[u8]) -> Result<(), String> + Send + Sync>;

/// The part of a fake tor that its threads and the test share.
pub(super) struct Core {
    pub(super) door: Door,
    pub(super) dialogue: Dialogue,
    pub(super) playbook: Arc<Playbook>,
    pub(super) timeout: Duration,
    check: Option<Check>,
    // A leaf lock.
    failures: Mutex<Vec<String>>,
}

impl Core {
    pub(super) fn new(
        door: Door,
        playbook: Playbook,
        timeout: Duration,
        check: Option<Check>,
    ) -> Self {
        let (dialogue, failures) = (Dialogue::default(), Mutex::default());
        Self { door, dialogue, playbook: Arc::new(playbook), timeout, check, failures }
    }

    /// Checks bytes that are sent on a connection.
    pub(super) fn check(&self, connection: usize, bytes: &[u8]) -> Result<(), String> {
        self.check.as_ref().map_or(Ok(()), |check| check(connection, bytes))
    }

    /// Records a failure of the test, which goes on.
    pub(super) fn add_failure(&self, connection: usize, problem: &str) {
        let note = format!("this fails the test: {problem}");
        self.dialogue.record(connection, Who::Note, note.as_bytes());
        self.failures.lock().push(format!("connection {connection}: {problem}"));
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().clone()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("door", &self.door).finish_non_exhaustive()
    }
}
