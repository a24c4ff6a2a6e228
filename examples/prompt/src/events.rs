//! The events that the user has asked for, each with the time at which it arrived.

use std::io;
use std::mem;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, bounded};
use torcon::{Controller, EventKind, ListenerId, Result};

use crate::output::Output;

/// Prints lines, such as above the line that the user types.
pub(crate) type Print = Box<dyn FnMut(String) + Send>;

/// The number of events that wait for the printer before torcon queues them.
const WAITING: usize = 256;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The shown events.
///
/// Each kind has a listener, so that torcon's own subscriptions, such as those of its `State`, stay
/// as they are.
pub(crate) struct Events {
    controller: Controller,
    output: Output,
    printer: Option<Printer>,
    listeners: Vec<(EventKind, ListenerId)>,
}

/// The thread that prints.
struct Printer {
    lines: Sender<String>,
    thread: JoinHandle<()>,
}

impl Events {
    /// Shows no event yet.
    pub(crate) fn new(controller: &Controller, output: Output) -> Self {
        let controller = controller.clone();
        Self { controller, output, printer: None, listeners: Vec::new() }
    }

    pub(crate) fn has_printer(&self) -> bool {
        self.printer.is_some()
    }

    /// Starts the thread that prints events.
    pub(crate) fn print_by(&mut self, mut print: Print) -> io::Result<()> {
        let (lines, printed) = bounded(WAITING);
        let thread = thread::Builder::new().name("events".to_owned()).spawn(move || {
            for line in printed {
                print(line);
            }
        })?;
        self.printer = Some(Printer { lines, thread });
        Ok(())
    }

    /// Returns the kinds of the shown events.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &EventKind> {
        self.listeners.iter().map(|(kind, _)| kind)
    }

    /// Shows the events of these kinds and no others. After an error, the former events are shown.
    pub(crate) fn show(&mut self, kinds: &[EventKind]) -> Result<()> {
        let mut added = Vec::new();
        for kind in kinds {
            if self.kinds().all(|shown| shown != kind) {
                match self.listen(kind) {
                    Ok(listener) => added.push((kind.clone(), listener)),
                    Err(error) => {
                        self.remove(added);
                        return Err(error);
                    }
                }
            }
        }
        self.listeners.append(&mut added);
        let (shown, removed) = self.listeners.drain(..).partition(|(kind, _)| kinds.contains(kind));
        self.listeners = shown;
        self.remove(removed);
        Ok(())
    }

    fn listen(&self, kind: &EventKind) -> Result<ListenerId> {
        let lines = self.printer.as_ref().map(|printer| printer.lines.clone());
        let output = self.output;
        self.controller.add_event_listener(kind.clone(), move |event| {
            let text = output.event(&time_of_day(SystemTime::now()), &event.to_string());
            // After the end of the printer no event is shown.
            let _ = lines.as_ref().map(|lines| lines.send(text));
        })
    }

    fn remove(&self, listeners: Vec<(EventKind, ListenerId)>) {
        for (_, listener) in listeners {
            // The listener is removed also if tor refuses the command.
            let _ = self.controller.remove_event_listener(listener);
        }
    }

    /// Ends all listeners, and waits until every event that has arrived is printed.
    pub(crate) fn finish(mut self) {
        let listeners = mem::take(&mut self.listeners);
        self.remove(listeners);
        if let Some(Printer { lines, thread }) = self.printer {
            drop(lines);
            let _ = thread.join();
        }
    }
}

/// Returns the time of day in UTC, as tor's own times are.
fn time_of_day(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % SECONDS_PER_DAY;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::time_of_day;

    #[test]
    fn the_time_of_day_is_that_of_utc() {
        let shown = |seconds| time_of_day(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(shown(0), "00:00:00");
        assert_eq!(shown(86_399), "23:59:59");
        assert_eq!(shown(1_700_000_000), "22:13:20");
    }
}
