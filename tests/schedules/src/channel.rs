//! Channels, as in `crossbeam-channel`.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use crossbeam_channel::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

use crate::check::chance;
pub use crate::select;
use crate::time::{Limit, limit_in, limit_of};
use crate::waiter::{Waiter, step};

struct State<T> {
    messages: VecDeque<T>,
    /// `None` if the channel is unbounded.
    capacity: Option<usize>,
    senders: usize,
    receivers: usize,
    /// Woken by each change.
    waiters: Vec<Arc<Waiter>>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

fn with<T, R>(shared: &Shared<T>, call: impl FnOnce(&mut State<T>) -> R) -> R {
    call(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Changes a channel as one step, and wakes the threads that wait for a change.
fn change<T, R>(shared: &Shared<T>, call: impl FnOnce(&mut State<T>) -> R) -> R {
    step();
    let (result, waiters) = with(shared, |state| (call(state), mem::take(&mut state.waiters)));
    waiters.iter().for_each(|waiter| waiter.wake());
    result
}

pub struct Sender<T> {
    shared: Shared<T>,
}

pub struct Receiver<T> {
    shared: Shared<T>,
}

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(capacity))
}

pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let (messages, waiters) = (VecDeque::new(), Vec::new());
    let state = State { messages, capacity, senders: 1, receivers: 1, waiters };
    let shared = Arc::new(Mutex::new(state));
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// Returns a channel that has no message and no end.
pub fn never<T>() -> Receiver<T> {
    let (sender, receiver) = bounded(0);
    mem::forget(sender);
    receiver
}

impl<T> Sender<T> {
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        change(&self.shared, |state| {
            assert_ne!(state.capacity, Some(0), "a channel without room is not modeled");
            if state.receivers == 0 {
                return Err(TrySendError::Disconnected(message));
            }
            if state.capacity.is_some_and(|capacity| state.messages.len() >= capacity) {
                return Err(TrySendError::Full(message));
            }
            state.messages.push_back(message);
            Ok(())
        })
    }

    pub fn send(&self, mut message: T) -> Result<(), SendError<T>> {
        loop {
            message = match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(message)) => return Err(SendError(message)),
                Err(TrySendError::Full(message)) => message,
            };
            let waiter = Waiter::new();
            let must_wait = with(&self.shared, |state| {
                let is_full = state.capacity.is_some_and(|room| state.messages.len() >= room);
                let must_wait = is_full && state.receivers > 0;
                if must_wait {
                    state.waiters.push(Arc::clone(&waiter));
                }
                must_wait
            });
            if must_wait {
                waiter.wait(Limit::Never);
            }
        }
    }
}

impl<T> Receiver<T> {
    fn take(&self) -> Result<T, TryRecvError> {
        change(&self.shared, |state| match state.messages.pop_front() {
            Some(message) => Ok(message),
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        })
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take()
    }

    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_limited(Limit::Never).map_err(|_| RecvError)
    }

    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_limited(limit_of(deadline))
    }

    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_limited(limit_in(limit))
    }

    fn recv_limited(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        let mut is_late = false;
        loop {
            match self.take() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if is_late => return Err(RecvTimeoutError::Timeout),
                Err(TryRecvError::Empty) => {}
            }
            let waiter = Waiter::new();
            if self.add_waiter(&waiter) {
                is_late = !waiter.wait(limit);
                self.remove_waiter(&waiter);
            }
        }
    }

    /// Adds a waiter if the channel has neither message nor end.
    fn add_waiter(&self, waiter: &Arc<Waiter>) -> bool {
        with(&self.shared, |state| {
            let must_wait = state.messages.is_empty() && state.senders > 0;
            if must_wait {
                state.waiters.push(Arc::clone(waiter));
            }
            must_wait
        })
    }

    fn remove_waiter(&self, waiter: &Arc<Waiter>) {
        with(&self.shared, |state| state.waiters.retain(|other| !Arc::ptr_eq(other, waiter)));
    }

    pub fn len(&self) -> usize {
        step();
        with(&self.shared, |state| state.messages.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.recv().ok())
    }

    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}

/// The outcome of a wait for two channels.
#[derive(Debug)]
pub enum Selected<A, B> {
    First(Result<A, RecvError>),
    Second(Result<B, RecvError>),
    Late,
}

/// Waits for a message or the end of one of two channels. If both are ready, the checker chooses.
pub fn select_two<A, B>(
    first: &Receiver<A>,
    second: &Receiver<B>,
    limit: Duration,
) -> Selected<A, B> {
    fn outcome<T>(taken: Result<T, TryRecvError>) -> Option<Result<T, RecvError>> {
        match taken {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
    let limit = limit_in(limit);
    let mut is_late = false;
    loop {
        let is_first = chance(2);
        for is_first in [is_first, !is_first] {
            let selected = match is_first {
                true => outcome(first.take()).map(Selected::First),
                false => outcome(second.take()).map(Selected::Second),
            };
            if let Some(selected) = selected {
                return selected;
            }
        }
        if is_late {
            return Selected::Late;
        }
        let waiter = Waiter::new();
        if first.add_waiter(&waiter) {
            if second.add_waiter(&waiter) {
                is_late = !waiter.wait(limit);
                second.remove_waiter(&waiter);
            }
            first.remove_waiter(&waiter);
        }
    }
}

/// `crossbeam_channel::select!` for two receivers and a limit.
#[macro_export]
macro_rules! select {
    (
        recv($first:expr) -> $one:pat => $with_one:expr,
        recv($second:expr) -> $two:pat => $with_two:expr,
        default($limit:expr) => $late:expr $(,)?
    ) => {
        match $crate::channel::select_two(&$first, &$second, $limit) {
            $crate::channel::Selected::First($one) => $with_one,
            $crate::channel::Selected::Second($two) => $with_two,
            $crate::channel::Selected::Late => $late,
        }
    };
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        with(&self.shared, |state| state.senders += 1);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        with(&self.shared, |state| state.receivers += 1);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        change(&self.shared, |state| state.senders -= 1);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // The messages end with the last receiver, as in crossbeam.
        let left = change(&self.shared, |state| {
            state.receivers -= 1;
            if state.receivers == 0 { mem::take(&mut state.messages) } else { VecDeque::new() }
        });
        drop(left);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Box<dyn Iterator<Item = T> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<T: 'static> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = Box<dyn Iterator<Item = T>>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(std::iter::from_fn(move || self.recv().ok()))
    }
}
