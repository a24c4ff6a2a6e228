use std::sync::OnceLock;
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::PrivateNetwork;
use super::remains::Remains;
use crate::clock::{self, deadline_after};
use crate::error::{Error, InvalidInput, Result, TestnetError, TestnetProblem, TestnetStep};
use crate::sync::{Condvar, Mutex};

/// The limit of the launch, which happens once: tests often run on a loaded machine.
const LIMIT: Duration = Duration::from_secs(180);
/// How much longer other threads wait for the result.
const MARGIN: Duration = Duration::from_secs(20);

/// The network, or the error of its launch. It is never dropped.
static SHARED: OnceLock<Result<PrivateNetwork>> = OnceLock::new();
/// The thread that launches it.
// A leaf lock: nothing is launched or logged under it.
static LAUNCHING: Mutex<Option<ThreadId>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

/// The right to launch the network. Its drop, also after a panic, passes it to another thread.
struct LaunchTurn;

impl Drop for LaunchTurn {
    fn drop(&mut self) {
        *LAUNCHING.lock() = None;
        CHANGED.notify_all();
    }
}

impl PrivateNetwork {
    /// Returns the network that all tests of this program share: one authority and five exits.
    ///
    /// The first call launches it, and calls of other threads wait for it. It runs until the program
    /// ends, so that tests that run one after the other share it too. `cargo test` runs one program
    /// for each file in `tests/`, and one for the unit tests; `cargo nextest` runs one for each test,
    /// which then launches its own network.
    ///
    /// When the program ends, in any way, so does the network: a shell process, which is started with
    /// it, kills its tors and deletes its temporary directories. A test must not
    /// [kill](Self::kill) or [restart](Self::restart) the relays, on which other tests rely.
    ///
    /// Blocks the current thread until the network can be used, which takes five to ten seconds at
    /// the first call, for at most 200 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`launch`](Self::launch): every call returns the error of the one launch.
    /// [`Error::InvalidInput`] if a logger that the launch calls requests the network on the same
    /// thread.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// // #[test]
    /// fn a_client_bootstraps() {
    ///     let network = PrivateNetwork::shared().unwrap();
    ///     let tor = Launcher::new().network(network).launch().unwrap();
    ///     assert!(tor.progress().is_done());
    /// }
    /// ```
    pub fn shared() -> Result<&'static Self> {
        if let Some(launched) = SHARED.get() {
            return launched.as_ref().map_err(Clone::clone);
        }
        let limit = LIMIT + MARGIN;
        let deadline = deadline_after(limit);
        let turn = {
            let mut launching = LAUNCHING.lock();
            loop {
                if let Some(launched) = SHARED.get() {
                    return launched.as_ref().map_err(Clone::clone);
                }
                match *launching {
                    None => break,
                    // This thread would wait for itself.
                    Some(by) if by == thread::current().id() => {
                        let problem = "is requested by a logger that its own launch has called";
                        return Err(InvalidInput::new("the shared network", problem).into());
                    }
                    Some(_) => {
                        if clock::wait_until(&CHANGED, &mut launching, deadline) {
                            let problem = TestnetProblem::timeout(limit);
                            return Err(TestnetError::new(TestnetStep::Prepare, problem).into());
                        }
                    }
                }
            }
            *launching = Some(thread::current().id());
            LaunchTurn
        };
        let launched = Self::builder().timeout(LIMIT).launch().map(|mut network| {
            network.remains = Remains::watch(&network);
            network
        });
        let launched = SHARED.get_or_init(|| launched);
        drop(turn);
        launched.as_ref().map_err(Error::clone)
    }
}
