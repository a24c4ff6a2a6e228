//! The signals that end a program.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{SigSet, Signal};

use crate::terminal::Terminal;

/// Added to the number of a signal, the exit status of a program that it has ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// The signals that the program has received.
pub(crate) struct Signals {
    received: Receiver<Signal>,
    is_handled: Arc<AtomicBool>,
}

impl Signals {
    /// Blocks SIGINT, SIGTERM and SIGHUP, and starts the thread that waits for them.
    ///
    /// Until [`handle`](Self::handle), a signal restores the terminal and ends the program at once;
    /// a tor that it has launched ends with it.
    pub(crate) fn watch(terminal: &Arc<Terminal>) -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        let (sender, received) = unbounded();
        let is_handled = Arc::new(AtomicBool::new(false));
        let (handled, terminal) = (Arc::clone(&is_handled), Arc::clone(terminal));
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = signals.wait() {
                if !handled.load(Ordering::SeqCst) || sender.send(signal).is_err() {
                    terminal.restore();
                    process::exit(ENDED_BY_SIGNAL + i32::from(number(signal)));
                }
            }
        })?;
        Ok(Self { received, is_handled })
    }

    /// Returns the signals from now on.
    pub(crate) fn handle(self) -> Receiver<Signal> {
        self.is_handled.store(true, Ordering::SeqCst);
        self.received
    }
}

/// Returns the number of one of the watched signals.
pub(crate) fn number(signal: Signal) -> u8 {
    match signal {
        Signal::SIGHUP => 1,
        Signal::SIGINT => 2,
        _ => 15,
    }
}

/// Returns the exit status of a program that a signal has ended.
pub(crate) fn exit_status(signal: Signal) -> u8 {
    128 + number(signal)
}
