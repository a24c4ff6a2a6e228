//! What is put right in tor before this program closes the connection, and what the users of one
//! connection share.

use std::any::Any;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::Controller;

/// How long each answer is waited for at the end: whoever closes a connection wants to be gone.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

type Farewell = Box<dyn FnOnce(&Controller) + Send>;

/// What will be said to tor before the connection is closed.
#[derive(Default)]
pub(super) struct Farewells {
    next: u64,
    waiting: Vec<(u64, Farewell)>,
}

/// The name of a farewell, for taking it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FarewellId(u64);

impl Controller {
    /// Calls a closure before this program closes the connection or quits, on the thread that
    /// does, with a controller that waits a second for each answer. It is not called if the
    /// connection ends in another way. It may keep nobody alive who keeps the connection open.
    pub(crate) fn before_close(
        &self,
        farewell: impl FnOnce(&Controller) + Send + 'static,
    ) -> FarewellId {
        let mut farewells = self.inner.farewells.lock();
        let id = farewells.next;
        farewells.next += 1;
        farewells.waiting.push((id, Box::new(farewell)));
        FarewellId(id)
    }

    /// Takes a closure back. Returns whether it had not been called yet.
    pub(crate) fn cancel_farewell(&self, id: FarewellId) -> bool {
        let mut farewells = self.inner.farewells.lock();
        let place = farewells.waiting.iter().position(|(other, _)| *other == id.0);
        let farewell = place.map(|place| farewells.waiting.swap_remove(place));
        drop(farewells);
        farewell.is_some()
    }

    /// Says what is to be said before the end.
    pub(super) fn say_farewell(&self) {
        let waiting = mem::take(&mut self.inner.farewells.lock().waiting);
        if waiting.is_empty() || !self.is_alive() {
            return;
        }
        let hurried = self.with_timeout(self.timeout().min(ANSWER_LIMIT));
        for (_, farewell) in waiting {
            farewell(&hurried);
        }
    }

    /// Returns what everybody of a row above who uses this connection shares: one value of each
    /// type, made when it is first asked for.
    pub(crate) fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut shared = self.inner.shared.lock();
        for value in shared.iter() {
            let value: Arc<dyn Any + Send + Sync> = Arc::clone(value);
            if let Ok(value) = value.downcast() {
                return value;
            }
        }
        let value = Arc::new(T::default());
        let any: Arc<dyn Any + Send + Sync> = value.clone();
        shared.push(any);
        value
    }
}
