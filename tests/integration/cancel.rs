//! Canceling by a `CancelToken` at several moments: the call fails in time, and nothing is left.

mod connecting;
mod launching;
mod network;

use std::thread;
use std::time::{Duration, Instant};

use torcon::{CancelToken, Error};

/// A limit for an immediate reaction, on a loaded machine.
const SOON: Duration = Duration::from_secs(20);
/// A limit that only a failed test reaches.
const LONG: Duration = Duration::from_secs(120);

/// Calls `work`, and cancels it from another thread once `moment` has returned. Requires that it then
/// fails with `Error::Canceled` in time.
#[track_caller]
fn cancel_when<T, M>(moment: M, work: impl FnOnce(&CancelToken) -> Result<T, Error>)
where
    M: FnOnce() + Send,
{
    let token = CancelToken::new();
    thread::scope(|scope| {
        let canceling = scope.spawn(|| {
            moment();
            let at = Instant::now();
            assert!(token.cancel());
            at
        });
        let outcome = work(&token);
        let canceled_at = canceling.join().expect("the moment has come");
        let took = canceled_at.elapsed();
        match outcome {
            Err(Error::Canceled(_)) => assert!(took < SOON, "it took {took:?}"),
            Err(error) => panic!("another error: {error:?}"),
            Ok(_) => panic!("it has succeeded"),
        }
    });
}
