use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use torcon::event::AddrMapEvent;
use torcon::{Controller, Error, Event, EventKind, EventQueue};

use crate::callers::{PATIENT, Shared, check_reason};
use crate::run::Run;

/// Closures that a connection calls once, when it has ended.
pub(crate) struct Ends(Vec<Arc<AtomicUsize>>);

impl Ends {
    /// Adds the first closure.
    pub(crate) fn add(controller: &Controller) -> Self {
        let mut ends = Self(Vec::new());
        ends.add_another(controller);
        ends
    }

    pub(crate) fn add_another(&mut self, controller: &Controller) {
        let calls = Arc::new(AtomicUsize::new(0));
        self.0.push(Arc::clone(&calls));
        controller.on_disconnect(move |reason| {
            check_reason(reason);
            assert_eq!(calls.fetch_add(1, Ordering::SeqCst), 0, "on_disconnect was called twice");
        });
    }

    /// Whether every closure was called.
    pub(crate) fn all_called(&self) -> bool {
        self.0.iter().all(|calls| calls.load(Ordering::SeqCst) == 1)
    }

    /// Counts the closures, each of which was called once.
    pub(crate) fn count(&self, run: &Run) {
        run.figures.add("calls of on_disconnect", self.0.len());
        assert!(self.all_called(), "on_disconnect was not called");
    }
}

/// Adds listeners of each kind, which count their events. The last closes the connection once
/// `close` says so.
pub(crate) fn listen(
    controller: &Controller,
    count: &Arc<AtomicUsize>,
    closes: impl Fn() -> bool + Send + 'static,
) -> Result<(), Error> {
    let counter = || {
        let count = Arc::clone(count);
        move |events| {
            count.fetch_add(events, Ordering::Relaxed);
        }
    };
    let [typed, text, any, lost] = [(); 4].map(|()| counter());
    controller.on(move |_: &AddrMapEvent| typed(1))?;
    controller.add_text_listener(EventKind::ConfChanged, move |_| text(1))?;
    controller.on_lagged(move |count| lost(usize::try_from(count).unwrap()))?;
    let weak = controller.downgrade();
    controller.add_event_listener(EventKind::AddrMap, move |_| {
        any(1);
        if closes() {
            if let Some(controller) = weak.upgrade() {
                controller.close();
            }
        }
    })?;
    Ok(())
}

/// Takes events of a queue, one of several threads, until the round is over or the connection has
/// ended.
pub(crate) fn consume(run: &Run, shared: &Shared, queue: &EventQueue, number: usize) {
    let interval = std::time::Duration::from_millis(20);
    let mut count = 0;
    while !shared.is_over() {
        let event = match number % 3 {
            0 => run.watch.call("an event", interval, || queue.recv_timeout(interval)),
            1 => run.watch.call("an event of an iterator", interval, || {
                queue
                    .timeout_iter(interval)
                    .next()
                    .map_or_else(|| queue.recv_timeout(std::time::Duration::ZERO), Ok)
            }),
            _ => match queue.try_recv() {
                Some(event) => Ok(event),
                None => queue.recv_timeout(interval),
            },
        };
        match event {
            Ok(Event::Lagged { dropped, .. }) => run.figures.add("losses", dropped as usize),
            Ok(_) => count += 1,
            Err(Error::Closed(reason)) => {
                check_reason(&reason);
                break;
            }
            Err(error) => assert!(error.is_timeout(), "{error:?}"),
        }
    }
    run.figures.add("events", count);
}

/// Waits for the end of a connection.
pub(crate) fn wait_closed(run: &Run, controller: &Controller) {
    let reason = run.watch.call("a wait for the end", PATIENT, || controller.wait_closed(PATIENT));
    check_reason(&reason.expect("the connection ends"));
}
