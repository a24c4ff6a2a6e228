use std::sync::OnceLock;
use std::time::Duration;

use super::control::Route;
use super::progress::Progress;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::{Canceled, Error, LaunchError, LaunchProblem, Result, Timeout, Wait};
use crate::link::Endpoint;
use crate::sync::{Condvar, Mutex};

/// The state of tor that [`Launcher::launch`](super::Launcher::launch) waits for.
///
/// # Examples
///
/// ```no_run
/// use torcon::Launcher;
/// use torcon::process::Ready;
///
/// // A tor without network, to try its configuration or to hash a password.
/// let tor = Launcher::new().option("DisableNetwork", "1").wait_for(Ready::Controller).launch()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ready {
    /// tor has bootstrapped to 100 % and can build circuits. With `DisableNetwork 1` it never
    /// does.
    #[default]
    Bootstrapped,
    /// The control connection is authenticated, whether tor can reach its network or not.
    Controller,
}

impl Ready {
    /// Returns the condition that a launch waits for.
    pub(super) fn wait(self) -> Wait {
        match self {
            Self::Bootstrapped => Wait::Bootstrap,
            Self::Controller => Wait::Connect,
        }
    }
}

/// The progress and the result of a launch, for the threads that wait for it.
#[derive(Debug, Default)]
pub(super) struct LaunchState {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    controller: OnceLock<Controller>,
    endpoint: OnceLock<Endpoint>,
    /// The launch makes no control connection.
    without_control: bool,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    is_ready: bool,
    is_bootstrapped: bool,
    failure: Option<Error>,
}

impl LaunchState {
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

    /// Whether the launch has neither succeeded nor failed.
    pub(super) fn is_under_way(&self) -> bool {
        let state = self.state.lock();
        !state.is_ready && state.failure.is_none()
    }

    /// Returns whether tor is ready, after at most `limit`.
    pub(super) fn wait_ready(&self, limit: Duration) -> Result<bool> {
        self.wait(limit, |state| state.is_ready)
    }

    pub(super) fn wait_bootstrapped(&self, limit: Duration) -> Result<()> {
        match self.wait(limit, |state| state.is_bootstrapped)? {
            true => Ok(()),
            false => Err(Timeout::new(Wait::Bootstrap, limit).into()),
        }
    }

    pub(super) fn wait_controller(&self, limit: Duration) -> Result<&Controller> {
        let is_done = |_: &State| self.without_control || self.controller.get().is_some();
        if !self.wait(limit, is_done)? {
            return Err(Timeout::new(Wait::Connect, limit).into());
        }
        self.controller.get().ok_or_else(|| LaunchError::new(LaunchProblem::NotConnected).into())
    }

    /// Returns whether the launch is done, after at most `limit`. [`Duration::MAX`] is no limit.
    fn wait(&self, limit: Duration, is_done: impl Fn(&State) -> bool) -> Result<bool> {
        let is_pending = |state: &mut State| !is_done(state) && state.failure.is_none();
        let mut state = self.state.lock();
        clock::wait_while_until(&self.changed, &mut state, is_pending, deadline_after(limit));
        match &state.failure {
            _ if is_done(&state) => Ok(true),
            Some(error) => Err(error.clone()),
            None => Ok(false),
        }
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        self.change(|state| state.progress = progress);
    }

    pub(super) fn set_ready(&self) {
        self.change(|state| state.is_ready = true);
    }

    pub(super) fn set_bootstrapped(&self) {
        self.change(|state| {
            state.is_ready = true;
            state.is_bootstrapped = true;
        });
    }

    pub(super) fn set_endpoint(&self, endpoint: Endpoint) {
        let _ = self.endpoint.set(endpoint);
    }

    pub(super) fn set_controller(&self, controller: Controller) {
        // Under the lock, so that a thread between its check and its wait is woken.
        self.change(|_| {
            let _ = self.controller.set(controller);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    /// Ends the launch with an error, unless it has failed before.
    pub(super) fn fail(&self, error: impl Into<Error>) {
        self.change(|state| {
            state.failure.get_or_insert(error.into());
        });
    }

    /// Ends a launch whose thread is gone, unless tor has bootstrapped.
    pub(super) fn cancel(&self) {
        if !self.state.lock().is_bootstrapped {
            self.fail(Canceled::new(Wait::Bootstrap));
        }
    }
}
