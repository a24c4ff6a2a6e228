//! Locks, condition variables, channels, sockets and threads that the model checker `shuttle`
//! schedules, with the interfaces of `parking_lot`, `crossbeam-channel` and `std`.
//!
//! All threads of a model are coroutines on one thread of the operating system. One runs at a time, up
//! to its next *step*: taking a lock, an access to an atomic, a wake-up, a message. A run of all
//! threads to their end is a *schedule*. The checker chooses the thread of each step, and reports a
//! panic, a deadlock, and a schedule without an end.
//!
//! It does not model weak memory (every access to an atomic is sequentially consistent), and time only
//! as [`time`] says.

pub mod channel;
mod check;
mod condvar;
mod lock;
mod reentrant;
mod socket;
pub mod thread;
pub mod time;
mod waiter;

pub use shuttle::sync::atomic;
pub use shuttle::thread_local;

pub use self::check::{Kept, Scheduler, chance, check, check_kept, choose};
pub use self::condvar::{Condvar, WaitTimeoutResult};
pub use self::lock::{Mutex, MutexGuard};
pub use self::reentrant::{ReentrantMutex, ReentrantMutexGuard};
pub use self::socket::Socket;
