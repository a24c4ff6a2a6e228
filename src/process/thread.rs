use std::sync::Arc;

use crate::error::LaunchProblem;
use crate::link::NamedThread;

/// Starts a thread of a launch.
pub(super) fn start_thread(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<NamedThread, LaunchProblem> {
    let thread = NamedThread::start(name, None, body);
    thread.map_err(|error| LaunchProblem::Thread(Arc::new(error)))
}
