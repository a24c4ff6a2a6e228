//! The right to rewrite a part of one tor's configuration, which all threads of this program share:
//! between reading a list, or all onion services, and saying all of it again nobody else may.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::link::lock_within;

/// What tor tells of itself, as a process.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Equal for all connections to one tor.
    key: String,
    /// The user that tor runs as, if it tells.
    pub(crate) user: Option<u32>,
}

impl Identity {
    /// Asks tor. A filter in front of the control port may keep the answer back.
    pub(crate) fn ask(controller: &Controller) -> Result<Self> {
        let answer = match controller.get_info(["process/pid", "process/uid"]) {
            Ok(answer) => answer,
            Err(Error::Rejected(_)) => {
                return Ok(Self { key: controller.endpoint().to_string(), user: None });
            }
            Err(error) => return Err(error),
        };
        let value = |key| answer.get(key).map(|value| value.trim().to_owned());
        let key = value("process/pid").filter(|pid| !pid.is_empty());
        let key = key.unwrap_or_else(|| controller.endpoint().to_string());
        Ok(Self { key, user: value("process/uid").and_then(|uid| uid.parse().ok()) })
    }
}

/// The lock of each tor whose configuration is being rewritten.
static LOCKS: Mutex<Option<HashMap<String, Weak<Mutex<()>>>>> = Mutex::new(None);

/// The lock of one tor.
#[derive(Debug)]
pub(crate) struct RewriteLock(Arc<Mutex<()>>);

impl RewriteLock {
    pub(crate) fn of(identity: &Identity) -> Self {
        let mut locks = LOCKS.lock();
        let locks = locks.get_or_insert_default();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&identity.key).and_then(Weak::upgrade) {
            return Self(lock);
        }
        let lock = Arc::default();
        locks.insert(identity.key.clone(), Arc::downgrade(&lock));
        Self(lock)
    }

    /// Takes the lock, within the time limit of the controller.
    pub(crate) fn lock(&self, controller: &Controller) -> Result<MutexGuard<'_, ()>> {
        Ok(lock_within(&self.0, "SETCONF", controller.timeout())?)
    }
}
