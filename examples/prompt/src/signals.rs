//! The signals that end a program.

use std::io;
use std::process;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;
use torcon::CancelToken;

use crate::terminal::Terminal;

/// Added to the number of a signal, the exit status of a program that it has ended.
const ENDED_BY_SIGNAL: u8 = 128;

/// The reaction of the program to a signal.
enum Reaction {
    /// Restores the terminal and ends the program at once.
    Exit,
    /// Cancels a launch, and ends the program at the second signal.
    Cancel(CancelToken),
    /// Reports the signal to the session.
    Report(Sender<Signal>),
}

/// The thread that waits for signals.
pub(crate) struct Signals {
    reaction: Arc<Mutex<Reaction>>,
}

impl Signals {
    /// Blocks SIGINT, SIGTERM and SIGHUP, and starts the thread that waits for them.
    ///
    /// At first, a signal restores the terminal and ends the program at once.
    pub(crate) fn watch(terminal: &Arc<Terminal>) -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        let reaction = Arc::new(Mutex::new(Reaction::Exit));
        let (current, terminal) = (Arc::clone(&reaction), Arc::clone(terminal));
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = signals.wait() {
                let is_handled = match &*current.lock() {
                    Reaction::Exit => false,
                    Reaction::Cancel(token) => token.cancel(),
                    Reaction::Report(sender) => sender.send(signal).is_ok(),
                };
                if !is_handled {
                    terminal.restore();
                    process::exit(exit_status(signal).into());
                }
            }
        })?;
        Ok(Self { reaction })
    }

    /// Lets a signal cancel the calls with the returned token from now on.
    pub(crate) fn cancel(&self) -> CancelToken {
        let token = CancelToken::new();
        *self.reaction.lock() = Reaction::Cancel(token.clone());
        token
    }

    /// Returns the signals from now on.
    pub(crate) fn report(&self) -> Receiver<Signal> {
        let (sender, received) = unbounded();
        *self.reaction.lock() = Reaction::Report(sender);
        received
    }
}

/// Returns the number of one of the watched signals.
fn number(signal: Signal) -> u8 {
    match signal {
        Signal::SIGHUP => 1,
        Signal::SIGINT => 2,
        _ => 15,
    }
}

/// Returns the exit status of a program that a signal has ended.
pub(crate) fn exit_status(signal: Signal) -> u8 {
    ENDED_BY_SIGNAL + number(signal)
}
