//! Progress of an onion service that is being added, and the closure that receives it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::error::HsDirUpload;
use crate::names::OnionAddress;
use crate::process::Progress;
use crate::sync::Mutex;

/// A step of adding an onion service.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
/// use torcon::onion::OnionProgress;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let endpoint = tor.onion_endpoint(80).on_progress(|progress| match progress {
///     OnionProgress::Added(address) => println!("it will be http://{address}"),
///     other => println!("{other}"),
/// });
/// let listener = endpoint.listen()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnionProgress {
    /// Bootstrap progress of the tor that is launched for the service.
    Launching(Progress),
    /// tor added the service and starts to publish it.
    Added(OnionAddress),
    /// An upload of a descriptor started, succeeded, failed or timed out.
    Upload(HsDirUpload),
    /// The service is published as [`publication`](super::OnionEndpoint::publication) requested: for
    /// the first time, or by the tor of a new connection of a supervisor.
    Published(OnionAddress),
    /// A supervisor has a new connection, whose tor has the service now and starts to publish it.
    Restored(OnionAddress),
}

impl fmt::Display for OnionProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launching(progress) => write!(f, "tor: {progress}"),
            Self::Added(address) => write!(f, "added {address}"),
            Self::Upload(upload) => write!(f, "{upload}"),
            Self::Published(address) => write!(f, "published {address}"),
            Self::Restored(address) => write!(f, "restored {address}"),
        }
    }
}

type Closure = Box<dyn FnMut(&OnionProgress) + Send>;

/// The progress closure of an endpoint. Clones share it.
///
/// The thread that launches tor and the thread that adds the service both report here. One of them
/// at a time calls the closure, in the order of the reports, without a lock: a thread that finds the
/// closure running leaves its report in the queue for the other.
#[derive(Clone)]
pub(in crate::onion) struct ProgressListener(Arc<Mutex<State>>);

struct State {
    /// `None` while it runs, and after it has panicked.
    closure: Option<Closure>,
    queue: VecDeque<OnionProgress>,
}

impl ProgressListener {
    pub(super) fn new(closure: Closure) -> Self {
        let (closure, queue) = (Some(closure), VecDeque::new());
        Self(Arc::new(Mutex::new(State { closure, queue })))
    }

    /// Never waits for another thread.
    pub(in crate::onion) fn report(&self, progress: OnionProgress) {
        self.0.lock().queue.push_back(progress);
        while let Some((mut closure, next)) = self.take_next() {
            closure(&next);
            self.0.lock().closure = Some(closure);
        }
    }

    fn take_next(&self) -> Option<(Closure, OnionProgress)> {
        let mut state = self.0.lock();
        let closure = state.closure.take()?;
        match state.queue.pop_front() {
            Some(next) => Some((closure, next)),
            None => {
                state.closure = Some(closure);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, OnceLock, mpsc};
    use std::thread;

    use super::{OnionProgress, ProgressListener};
    use crate::names::OnionKey;
    use crate::sync::Mutex;

    fn step(number: u8) -> OnionProgress {
        OnionProgress::Added(OnionKey::from_seed([number; 32]).address())
    }

    #[test]
    fn a_report_from_within_the_closure_is_delivered_after_it() {
        let own = Arc::new(OnceLock::<ProgressListener>::new());
        let reported = Arc::new(Mutex::new(Vec::new()));
        let (inner, sink) = (Arc::clone(&own), Arc::clone(&reported));
        let listener = ProgressListener::new(Box::new(move |progress| {
            if *progress == step(1) {
                inner.get().unwrap().report(step(2));
            }
            sink.lock().push(progress.clone());
        }));
        assert!(own.set(listener.clone()).is_ok());
        listener.report(step(1));
        assert_eq!(*reported.lock(), [step(1), step(2)]);
    }

    #[test]
    fn a_running_closure_holds_no_other_thread_and_loses_no_report() {
        let (entered, is_entered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let reported = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&reported);
        let listener = ProgressListener::new(Box::new(move |progress| {
            if *progress == step(1) {
                entered.send(()).unwrap();
                wait.recv().unwrap();
            }
            sink.lock().push(progress.clone());
        }));
        let other = listener.clone();
        thread::scope(|scope| {
            scope.spawn(move || other.report(step(1)));
            is_entered.recv().unwrap();
            listener.report(step(2));
            assert!(reported.lock().is_empty());
            go_on.send(()).unwrap();
        });
        assert_eq!(*reported.lock(), [step(1), step(2)]);
    }

    #[test]
    fn a_closure_that_panicked_is_not_called_again() {
        let listener = ProgressListener::new(Box::new(|progress| panic!("at {progress}")));
        catch_unwind(AssertUnwindSafe(|| listener.report(step(1)))).unwrap_err();
        listener.report(step(2));
    }
}
