//! Whether tor is ready for use, and new identities.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Tor;
use crate::clock::{self, deadline_after};
use crate::command::GetInfo;
use crate::controller::{Controller, HookEvent, HookGuard, if_allowed};
use crate::error::{Result, Wait};
use crate::event::{Bootstrap, Event, EventKind};
use crate::link::{Notifier, WaitEnd};

const CIRCUIT_ESTABLISHED: &str = "status/circuit-established";
const BOOTSTRAP_PHASE: &str = "status/bootstrap-phase";

/// How often tor is asked whether it is ready, besides after each event.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Records whether a wanted event arrived since the last [`wait`](Self::wait).
struct EventFlag {
    came: Arc<Notifier<bool>>,
    /// `None` if a filter in front of tor refuses the event.
    _hook: Option<HookGuard>,
}

impl EventFlag {
    /// Subscribes to the events of a kind. The reader thread sets the flag, so that a wait ends
    /// also inside a listener.
    fn new(
        controller: &Controller,
        kind: EventKind,
        is_wanted: fn(&Event) -> bool,
        deadline: Instant,
    ) -> Result<Self> {
        let came = Arc::new(Notifier::default());
        let for_reader = Arc::clone(&came);
        let see = move |seen: HookEvent<'_>| match seen {
            HookEvent::Event(event) if is_wanted(event) => for_reader.update(|came| *came = true),
            HookEvent::Event(_) => {}
            HookEvent::Ended(reason) => for_reader.end(reason),
        };
        let hook = controller.watch_events_before(&[kind], see, deadline)?;
        Ok(Self { came, _hook: Some(hook) })
    }

    /// Returns a flag that is never set.
    fn without_events() -> Self {
        Self { came: Arc::default(), _hook: None }
    }

    /// Waits until a wanted event has arrived, and clears the flag.
    fn wait(&self, deadline: Instant) -> Result<(), WaitEnd> {
        self.came.wait(deadline, |came| std::mem::take(came).then_some(()))
    }
}

impl Tor {
    /// Returns whether tor's bootstrap is at 100 % and tor has circuits now.
    ///
    /// Sends `GETINFO status/circuit-established`, and `GETINFO status/bootstrap-phase` if there
    /// are circuits or if a filter in front of tor refuses the first key. Blocks for at most the time limit of the [controller](Self::controller).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::get_info`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// if !tor.is_ready()? {
    ///     println!("{}", tor.controller().bootstrap_phase()?.summary);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn is_ready(&self) -> Result<bool> {
        let controller = &self.controller;
        is_ready(controller, deadline_after(controller.timeout()))
    }

    /// Waits until tor's bootstrap is at 100 % and tor has circuits. Can be called inside a
    /// listener.
    ///
    /// Sends `SETEVENTS` with `STATUS_CLIENT`, and what [`is_ready`](Self::is_ready) sends, again
    /// after each `STATUS_CLIENT` event and at least once a second: a filter in front of tor may
    /// refuse or suppress the event.
    ///
    /// Blocks the current thread until tor is ready, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed); those of
    /// [`is_ready`](Self::is_ready).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// tor.wait_ready(Duration::from_secs(120))?;
    /// let stream = tor.connect_stream("example.com:80")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("become_ready", "EnableNetwork"))]
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        let deadline = deadline_after(limit);
        let controller = self.controller.with_timeout(limit);
        let flag = EventFlag::new(&controller, EventKind::StatusClient, |_| true, deadline);
        let flag = if_allowed(flag)?.unwrap_or_else(EventFlag::without_events);
        while !is_ready(&controller, deadline)? {
            match flag.wait(deadline.min(deadline_after(POLL_INTERVAL))) {
                Err(WaitEnd::Timeout) if !clock::has_passed(deadline) => {}
                outcome => outcome.map_err(|end| end.into_error(Wait::Bootstrap, limit))?,
            }
        }
        Ok(())
    }

    /// Requests a new identity, as [`Controller::new_identity`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::signal`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// tor.new_identity()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "is_newnym_available")]
    #[doc(alias = "NEWNYM")]
    pub fn new_identity(&self) -> Result<()> {
        self.controller.new_identity()
    }

    /// Requests a new identity, and waits until tor has it, as [`Controller::wait_new_identity`]
    /// does.
    ///
    /// Blocks the current thread until tor reports the signal, for at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::wait_new_identity`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// tor.wait_new_identity(Duration::from_secs(20))?;
    /// let stream = tor.connect_stream("example.com:80")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_newnym_wait")]
    pub fn wait_new_identity(&self, limit: Duration) -> Result<()> {
        self.controller.wait_new_identity(limit)
    }
}

fn is_ready(controller: &Controller, deadline: Instant) -> Result<bool> {
    let ask = |key| controller.execute_before(&GetInfo::new([key]), deadline);
    // If a filter refuses the key, the phase alone decides.
    if let Some((established, _)) = if_allowed(ask(CIRCUIT_ESTABLISHED))? {
        if established.get(CIRCUIT_ESTABLISHED).is_none_or(|value| value.trim() != "1") {
            return Ok(false);
        }
    }
    let (phase, _) = ask(BOOTSTRAP_PHASE)?;
    let phase = Bootstrap::from_bytes(phase.bytes(BOOTSTRAP_PHASE).unwrap_or_default())?;
    Ok(phase.progress >= 100)
}
