//! The tools that the storms share with the integration tests.

#[path = "../integration/support/exclusive.rs"]
pub(crate) mod exclusive;
#[path = "../integration/support/leaks.rs"]
pub(crate) mod leaks;
#[path = "../integration/support/named_thread.rs"]
pub(crate) mod named_thread;
#[path = "../integration/support/random.rs"]
pub(crate) mod random;
#[path = "../integration/support/raw_control.rs"]
pub(crate) mod raw_control;
#[path = "../integration/support/real_tor.rs"]
pub(crate) mod real_tor;
#[path = "../integration/support/socket.rs"]
pub(crate) mod socket;
#[path = "../integration/support/watchdog.rs"]
pub(crate) mod watchdog;
