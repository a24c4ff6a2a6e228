use std::thread::{self, JoinHandle};

/// Starts a thread with a name.
pub(crate) fn named<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started")
}
