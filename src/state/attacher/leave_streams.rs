//! The option `__LeaveStreamsUnattached`, by which tor leaves streams to controllers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::command::{GetConf, SetConf};
use crate::controller::{Controller, HookGuard, if_allowed};
use crate::error::{Disconnect, Error, ProtocolError, Result};
use crate::event::{Event, EventKind};
use crate::link::{EventHook, Notifier, RawEvent, deadline_after};

const OPTION: &str = "__LeaveStreamsUnattached";

/// The longest wait for the `CONF_CHANGED` of a change that tor has confirmed.
const EVENT_LIMIT: Duration = Duration::from_secs(1);

/// The value that the last `CONF_CHANGED` reported; `None` while that of a change is awaited.
#[derive(Default)]
struct ReportedValue(Notifier<Option<bool>>);

impl EventHook for ReportedValue {
    fn event(&self, event: &RawEvent<'_>) {
        let Event::ConfChanged(event) = event.event() else { return };
        for change in event.changes() {
            if change.name.to_str_lossy().eq_ignore_ascii_case(OPTION) {
                let is_on = change.value.as_ref().is_some_and(|value| value.as_bytes() == b"1");
                self.0.update(|value| *value = Some(is_on));
            }
        }
    }

    fn ended(&self, reason: &Disconnect) {
        self.0.end(reason);
    }
}

/// The option, while this program has it switched on.
pub(super) struct LeaveStreams {
    reported: Arc<ReportedValue>,
    /// The option was on before: another controller attaches streams too.
    was_on: bool,
    is_restored: AtomicBool,
}

impl LeaveStreams {
    /// Switches the option on. Its changes are followed until the hook is dropped; there is none
    /// if a filter in front of tor refuses the event.
    ///
    /// Sends `SETEVENTS`, `GETCONF` and `SETCONF`.
    pub(super) fn switch_on(
        controller: &Controller,
        deadline: Instant,
    ) -> Result<(Self, Option<HookGuard>)> {
        let reported = Arc::new(ReportedValue::default());
        let hook = controller.hook_before(&[EventKind::ConfChanged], reported.clone(), deadline);
        let hook = if_allowed(hook)?;
        let was_on = read(controller, deadline)?;
        let option = Self { reported, was_on, is_restored: AtomicBool::new(false) };
        if was_on {
            option.reported.0.update(|value| *value = Some(true));
        } else if let Err(error) = option.set(controller, deadline) {
            if error.is_timeout() {
                // tor may still carry it out, and carries out this one behind it.
                let undo = format!("SETCONF {OPTION}=0");
                let _ = controller.with_timeout(EVENT_LIMIT).queue_command(&undo);
            }
            return Err(error);
        }
        Ok((option, hook))
    }

    /// Switches the option on again if another controller has switched it off.
    pub(super) fn keep_on(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        if self.is_on() { Ok(()) } else { self.set(controller, deadline) }
    }

    fn set(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        self.reported.0.update(|value| *value = None);
        controller.execute_before(&SetConf::new([(OPTION, "1")]), deadline)?;
        self.wait_reported(true, deadline);
        // A tor that reports no changes of options has confirmed the command all the same.
        self.reported.0.update(|value| *value.get_or_insert(true));
        Ok(())
    }

    /// Waits until tor has reported a value. Every event of a stream that tor sent before the
    /// change has been seen then.
    fn wait_reported(&self, wanted: bool, deadline: Instant) {
        let deadline = deadline.min(deadline_after(EVENT_LIMIT));
        let is_it = |value: &mut Option<bool>| (*value == Some(wanted)).then_some(());
        // Without the event, some streams are handled later.
        let _ = self.reported.0.wait(deadline, is_it);
    }

    /// Returns whether the option is on, by tor's last report.
    pub(super) fn is_on(&self) -> bool {
        let is_on = self.reported.0.read(|value| *value == Some(true));
        is_on && !self.is_restored.load(Ordering::Acquire)
    }

    /// Returns whether the option was on before this program needed it.
    pub(super) fn was_on(&self) -> bool {
        self.was_on
    }

    /// Restores the option, once, unless another controller has changed it meanwhile. Every stream
    /// that tor has left to controllers until then has been reported when this returns.
    pub(super) fn restore(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        let is_on = self.is_on();
        if self.is_restored.swap(true, Ordering::AcqRel) || !is_on || self.was_on {
            return Ok(());
        }
        controller.execute_before(&SetConf::new([(OPTION, "0")]), deadline)?;
        self.wait_reported(false, deadline);
        Ok(())
    }
}

fn read(controller: &Controller, deadline: Instant) -> Result<bool> {
    let (conf, _) = controller.execute_before(&GetConf::new([OPTION]), deadline)?;
    match conf.get(OPTION).map(|value| value.first()) {
        // No value stands for the default, which is 0.
        Some(None | Some("0")) => Ok(false),
        Some(Some("1")) => Ok(true),
        found => {
            let found = found.flatten().unwrap_or_default();
            let error = ProtocolError::new("the answer to GETCONF", "0 or 1", found.as_bytes());
            Err(Error::Protocol(error))
        }
    }
}
