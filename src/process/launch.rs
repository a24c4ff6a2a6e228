use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::control::Route;
use super::progress::Progress;
use crate::controller::Controller;
use crate::error::{Error, LaunchError, LaunchProblem, Result, Timeout, Wait};
use crate::link::Endpoint;

/// What those who wait for a launch look at.
#[derive(Debug, Default)]
pub(super) struct Launch {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    controller: OnceLock<Controller>,
    endpoint: OnceLock<Endpoint>,
    /// There will be no control connection.
    without_control: bool,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    ready: bool,
    bootstrapped: bool,
    /// The launch is over, for this reason.
    failure: Option<Error>,
}

impl Launch {
    pub(super) fn new(route: Option<&Route>) -> Self {
        let launch = Self { without_control: route.is_none(), ..Self::default() };
        if let Some(Route::Fixed(endpoint)) = route {
            launch.set_endpoint(endpoint.clone());
        }
        launch
    }

    pub(super) fn progress(&self) -> Progress {
        self.state.lock().progress.clone()
    }

    pub(super) fn controller(&self) -> Option<&Controller> {
        self.controller.get()
    }

    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.get()
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.state.lock().failure.clone()
    }

    /// Whether neither success nor failure is known yet.
    pub(super) fn is_under_way(&self) -> bool {
        let state = self.state.lock();
        !state.ready && state.failure.is_none()
    }

    pub(super) fn wait_ready(&self) -> Result<()> {
        self.wait(None, Wait::Bootstrap, |state| state.ready)
    }

    pub(super) fn wait_bootstrapped(&self, limit: Duration) -> Result<()> {
        self.wait(Some(limit), Wait::Bootstrap, |state| state.bootstrapped)
    }

    pub(super) fn wait_controller(&self, limit: Duration) -> Result<&Controller> {
        let done = |_: &State| self.without_control || self.controller.get().is_some();
        self.wait(Some(limit), Wait::Connect, done)?;
        self.controller.get().ok_or_else(|| LaunchError::new(LaunchProblem::NotConnected).into())
    }

    fn wait(
        &self,
        limit: Option<Duration>,
        wait: Wait,
        done: impl Fn(&State) -> bool,
    ) -> Result<()> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.state.lock();
        loop {
            if done(&state) {
                return Ok(());
            }
            if let Some(error) = &state.failure {
                return Err(error.clone());
            }
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    let timed_out = self.changed.wait_until(&mut state, deadline).timed_out();
                    if timed_out && !done(&state) && state.failure.is_none() {
                        return Err(Timeout::new(wait, limit.unwrap_or_default()).into());
                    }
                }
            }
        }
    }

    pub(super) fn is_bootstrapped(&self) -> bool {
        self.state.lock().bootstrapped
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        self.change(|state| state.progress = progress);
    }

    pub(super) fn set_ready(&self) {
        self.change(|state| state.ready = true);
    }

    pub(super) fn set_bootstrapped(&self) {
        self.change(|state| {
            state.ready = true;
            state.bootstrapped = true;
        });
    }

    pub(super) fn set_endpoint(&self, endpoint: Endpoint) {
        let _ = self.endpoint.set(endpoint);
    }

    pub(super) fn set_controller(&self, controller: Controller) {
        // Under the lock, so that whoever has looked and not found it is told.
        self.change(|_| {
            let _ = self.controller.set(controller);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    /// The first failure counts.
    pub(super) fn fail(&self, error: impl Into<Error>) {
        self.change(|state| {
            state.failure.get_or_insert(error.into());
        });
    }
}
