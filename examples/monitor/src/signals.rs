//! The signals that end the program.

use std::io;
use std::thread;

use crossbeam_channel::Sender;
use nix::sys::signal::{SigSet, Signal};

use crate::feed::Message;
use crate::screen;

/// Blocks the signals that end a program, before any other thread starts. A thread waits for them
/// and sends [`Message::Stop`]. A second signal ends the program at once; its tors end with it.
pub(crate) fn watch(messages: &Sender<Message>) -> io::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block()?;
    let messages = messages.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for count in 0.. {
            // Nothing receives the message if the monitor is ending already.
            if signals.wait().is_err() || count > 0 || messages.send(Message::Stop).is_err() {
                screen::restore();
                std::process::exit(1);
            }
        }
    })?;
    Ok(())
}
