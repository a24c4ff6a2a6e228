//! The option by which tor leaves streams to controllers, switched on while it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Error, ProtocolError, Result};
use crate::event::{Event, EventKind};
use crate::link::{EventHook, RawEvent, deadline_after};

const OPTION: &str = "__LeaveStreamsUnattached";

/// How long it is waited that tor tells of a change that it has confirmed.
const TOLD_LIMIT: Duration = Duration::from_secs(1);

/// What `CONF_CHANGED` has told of the option last.
#[derive(Default)]
struct Told {
    /// A leaf lock.
    value: Mutex<Option<bool>>,
    changed: Condvar,
}

impl EventHook for Told {
    fn event(&self, event: &RawEvent<'_>) {
        let Event::ConfChanged(event) = event.event() else { return };
        for change in &event.changes {
            if change.name.to_str_lossy().eq_ignore_ascii_case(OPTION) {
                let value = change.value.as_ref().is_some_and(|value| value.as_bytes() == b"1");
                *self.value.lock() = Some(value);
                self.changed.notify_all();
            }
        }
    }

    fn ended(&self, _reason: &Disconnect) {
        self.changed.notify_all();
    }
}

impl Told {
    /// Waits until tor has told of this value: every event of a stream that came before the change
    /// is there then.
    fn wait(&self, wanted: bool, limit: Duration) {
        let deadline = deadline_after(limit);
        let mut value = self.value.lock();
        while *value != Some(wanted) {
            if self.changed.wait_until(&mut value, deadline).timed_out() {
                return;
            }
        }
    }
}

/// The option, while streams are left to us.
pub(super) struct LeaveStreams {
    told: Arc<Told>,
    /// Whether it was on before: another controller attaches streams too.
    was_on: bool,
    restored: AtomicBool,
}

impl LeaveStreams {
    /// Switches the option on. Its changes are seen until the watch is dropped.
    ///
    /// Sends `SETEVENTS`, `GETCONF` and `SETCONF`.
    pub(super) fn switch_on(controller: &Controller) -> Result<(Self, HookGuard)> {
        let told = Arc::new(Told::default());
        let watch = controller.hook(&[EventKind::ConfChanged], told.clone())?;
        let was_on = read(controller)?;
        let option = Self { told, was_on, restored: AtomicBool::new(false) };
        if was_on {
            *option.told.value.lock() = Some(true);
        } else if let Err(error) = option.set(controller) {
            if error.is_timeout() {
                // tor may do it yet; what comes behind it undoes it.
                let _ = controller.with_timeout(TOLD_LIMIT).set_conf([(OPTION, "0")]);
            }
            return Err(error);
        }
        Ok((option, watch))
    }

    /// Switches the option on again if somebody has switched it off meanwhile.
    pub(super) fn keep_on(&self, controller: &Controller) -> Result<()> {
        if self.is_on() { Ok(()) } else { self.set(controller) }
    }

    fn set(&self, controller: &Controller) -> Result<()> {
        *self.told.value.lock() = None;
        controller.set_conf([(OPTION, "1")])?;
        self.told.wait(true, TOLD_LIMIT);
        let mut value = self.told.value.lock();
        // A tor that is silent about its options is believed what it answers.
        value.get_or_insert(true);
        Ok(())
    }

    /// Returns whether the option is on, as far as tor has told.
    pub(super) fn is_on(&self) -> bool {
        *self.told.value.lock() == Some(true) && !self.restored.load(Ordering::Acquire)
    }

    /// Returns whether another controller had switched it on before.
    pub(super) fn was_on(&self) -> bool {
        self.was_on
    }

    /// Makes the option what it was, once, unless somebody else has changed it meanwhile. Whatever
    /// stream is left to us after this has been told of.
    pub(super) fn restore(&self, controller: &Controller) -> Result<()> {
        let is_on = self.is_on();
        if self.restored.swap(true, Ordering::AcqRel) || !is_on || self.was_on {
            return Ok(());
        }
        controller.set_conf([(OPTION, "0")])?;
        self.told.wait(false, TOLD_LIMIT.min(controller.timeout()));
        Ok(())
    }
}

fn read(controller: &Controller) -> Result<bool> {
    let conf = controller.get_conf([OPTION])?;
    match conf.get(OPTION).map(|value| value.first()) {
        // At its default, which is 0.
        Some(None | Some("0")) => Ok(false),
        Some(Some("1")) => Ok(true),
        found => {
            let found = found.flatten().unwrap_or_default();
            let error = ProtocolError::new("the answer to GETCONF", "0 or 1", found.as_bytes());
            Err(Error::Protocol(error))
        }
    }
}
