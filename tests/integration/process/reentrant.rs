use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use log::{LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use torcon::process::TorProcess;
use torcon::{Error, Tor};

use super::fake_process::LONG;
use super::real::offline;
use crate::support::exclusive::exclusive;
use crate::support::watchdog::within;

/// A logger that uses the tor of its line.
struct Curious {
    tor: Mutex<Option<Arc<TorProcess>>>,
    asks_for_shared: Mutex<bool>,
    refused: AtomicUsize,
}

static LOGGER: Curious = Curious {
    tor: Mutex::new(None),
    asks_for_shared: Mutex::new(false),
    refused: AtomicUsize::new(0),
};

thread_local! {
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

impl Log for Curious {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {
        // Its calls are logged too.
        if LOGGING.replace(true) {
            return;
        }
        let tor = self.tor.lock().clone();
        if let Some(tor) = tor {
            tor.try_wait().ok();
            let _ = tor.progress();
            let _ = tor.last_lines();
            tor.controller().ok();
            tor.terminate().ok();
        }
        // On the thread that launches it, which the watchdog has named; another thread would wait for
        // the launch.
        let launches = thread::current().name() == Some("within");
        let asks = launches && *self.asks_for_shared.lock();
        if asks && matches!(Tor::global_with(offline()), Err(Error::InvalidInput(_))) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        LOGGING.set(false);
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_can_use_the_tor_of_its_line() {
    exclusive(|| {
        log::set_logger(&LOGGER).unwrap();
        let tor = Arc::new(offline().launch().unwrap());
        *LOGGER.tor.lock() = Some(Arc::clone(&tor));
        log::set_max_level(LevelFilter::Trace);
        within(LONG, "the end of a tor with a curious logger", move || {
            tor.terminate().unwrap();
            tor.wait_timeout(LONG).unwrap();
            tor.quit().unwrap();
        });
    });
}

#[test]
fn a_logger_that_requests_the_shared_tor_during_its_launch_gets_an_error() {
    exclusive(|| {
        log::set_logger(&LOGGER).unwrap();
        *LOGGER.asks_for_shared.lock() = true;
        log::set_max_level(LevelFilter::Trace);
        within(LONG, "the launch of the shared tor with a curious logger", || {
            let tor = Tor::global_with(offline()).unwrap();
            *LOGGER.asks_for_shared.lock() = false;
            assert!(LOGGER.refused.load(Ordering::Relaxed) > 0);
            assert!(Arc::ptr_eq(&tor, &Tor::global().unwrap()));
        });
    });
}
