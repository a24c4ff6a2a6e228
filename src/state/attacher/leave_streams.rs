//! The option `__LeaveStreamsUnattached`, by which tor leaves streams to controllers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::deadline_after;
use crate::command::{GetConf, SetConf};
use crate::controller::{Controller, HookEvent, HookGuard, if_allowed};
use crate::error::{Error, ProtocolError, Result};
use crate::event::{ConfChange, ConfChangedEvent, Event, EventKind};
use crate::link::Notifier;
use crate::sync::atomic::{AtomicBool, Ordering};

const OPTION: &str = "__LeaveStreamsUnattached";

/// The longest wait for the `CONF_CHANGED` of a change that tor has confirmed.
const EVENT_LIMIT: Duration = Duration::from_secs(1);

/// The option, while this program has it switched on.
pub(super) struct LeaveStreams {
    /// The value in the last `CONF_CHANGED`; `None` while that of a change is pending.
    reported: Arc<Notifier<Option<bool>>>,
    /// Whether the option was on before: another controller attaches streams too.
    was_on: bool,
    is_restored: AtomicBool,
    /// Whether the option may be on although no restoration follows on this connection: its end or
    /// the time limit of a command prevented one.
    is_left_on: AtomicBool,
}

impl LeaveStreams {
    /// Switches the option on, or takes it over if this program left it on when an earlier
    /// connection ended. The returned hook follows its changes; `None` if a filter in front of tor
    /// refuses the event. `is_left_on` is whether this program left it on; it becomes true before
    /// the option is switched on, and false if tor refuses that.
    ///
    /// Sends `SETEVENTS`, `GETCONF` and `SETCONF`.
    pub(super) fn switch_on(
        controller: &Controller,
        is_left_on: &AtomicBool,
        deadline: Instant,
    ) -> Result<(Self, Option<HookGuard>)> {
        let reported = Arc::new(Notifier::default());
        let for_reader = Arc::clone(&reported);
        let see = move |seen: HookEvent<'_>| match seen {
            HookEvent::Event(Event::ConfChanged(event)) => {
                if let Some(is_on) = value_in(event) {
                    for_reader.update(|value| *value = Some(is_on));
                }
            }
            HookEvent::Event(_) => {}
            HookEvent::Ended(reason) => for_reader.end(reason),
        };
        let hook = controller.watch_events_before(&[EventKind::ConfChanged], see, deadline);
        let hook = if_allowed(hook)?;
        let is_on = read(controller, deadline)?;
        let option = Self {
            reported,
            was_on: is_on && !is_left_on.load(Ordering::Acquire),
            is_restored: AtomicBool::new(false),
            is_left_on: AtomicBool::new(false),
        };
        if is_on {
            option.reported.update(|value| *value = Some(true));
            return Ok((option, hook));
        }
        // A close that does not wait for the reply switches the option off.
        is_left_on.store(true, Ordering::Release);
        if let Err(error) = option.set(controller, deadline) {
            if error.is_timeout() {
                switch_off_later(controller);
            }
            is_left_on.store(option.hand_over(), Ordering::Release);
            return Err(error);
        }
        Ok((option, hook))
    }

    /// Switches the option on again if another controller has switched it off.
    pub(super) fn keep_on(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        if self.is_on() { Ok(()) } else { self.set(controller, deadline) }
    }

    fn set(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        self.reported.update(|value| *value = None);
        let set = controller.execute_before(&SetConf::new([(OPTION, "1")]), deadline);
        // tor may execute a command whose reply is not read.
        let is_unknown = |error: &Error| error.is_closed() || error.is_timeout();
        if set.as_ref().is_err_and(is_unknown) {
            self.is_left_on.store(true, Ordering::Release);
        }
        set?;
        self.wait_reported(true, deadline);
        // A tor that sends no `CONF_CHANGED` has confirmed the command as well.
        self.reported.update(|value| *value.get_or_insert(true));
        Ok(())
    }

    /// Waits until tor has reported a value. All stream events that tor sent before the change have
    /// been applied then.
    fn wait_reported(&self, wanted: bool, deadline: Instant) {
        let deadline = deadline.min(deadline_after(EVENT_LIMIT));
        let is_it = |value: &mut Option<bool>| (*value == Some(wanted)).then_some(());
        // Without the event, some streams are handled later.
        let _ = self.reported.wait(deadline, is_it);
    }

    /// Returns whether the option is on, by tor's last report.
    pub(super) fn is_on(&self) -> bool {
        let is_on = self.reported.read(|value| *value == Some(true));
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
        let restored = controller.execute_before(&SetConf::new([(OPTION, "0")]), deadline);
        self.is_left_on.store(restored.is_err(), Ordering::Release);
        restored?;
        self.wait_reported(false, deadline);
        Ok(())
    }

    /// Leaves the option to the next connection after the end of this one. Returns whether it must
    /// be restored there.
    pub(super) fn hand_over(&self) -> bool {
        if self.is_on() && !self.was_on {
            self.is_left_on.store(true, Ordering::Release);
        }
        self.is_restored.store(true, Ordering::Release);
        self.is_left_on.load(Ordering::Acquire)
    }
}

/// Switches the option off behind a command that tor may still execute, without waiting.
pub(super) fn switch_off_later(controller: &Controller) {
    let undo = format!("SETCONF {OPTION}=0");
    let _ = controller.with_timeout(EVENT_LIMIT).queue_command(&undo);
}

/// Returns the value of the option in an event; `None` if the event is about other options.
fn value_in(event: &ConfChangedEvent) -> Option<bool> {
    let is_it = |change: &ConfChange| change.name.to_str_lossy().eq_ignore_ascii_case(OPTION);
    let change = event.changes().filter(is_it).last()?;
    Some(change.value.as_ref().is_some_and(|value| value.as_bytes() == b"1"))
}

fn read(controller: &Controller, deadline: Instant) -> Result<bool> {
    let (conf, _) = controller.execute_before(&GetConf::new([OPTION]), deadline)?;
    match conf.get(OPTION).map(|value| value.first()) {
        // A missing value is the default, 0.
        Some(None | Some("0")) => Ok(false),
        Some(Some("1")) => Ok(true),
        found => {
            let found = found.flatten().unwrap_or_default();
            let error = ProtocolError::new("the answer to GETCONF", "0 or 1", found.as_bytes());
            Err(Error::Protocol(error))
        }
    }
}
