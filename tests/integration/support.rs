//! What the tests stand on. Nothing here uses torcon, so that its defects cannot hide themselves.

/// What the tor under test has, by its version.
pub(crate) mod capability;
/// Whether a line is of tor's dialect.
pub(crate) mod dialect;
/// What was said on the connections of a fake tor.
pub(crate) mod dialogue;
/// Runs a test in a process of its own.
pub(crate) mod exclusive;
/// Tests of what must fail a test.
pub(crate) mod failure;
/// A listener on a real socket, played by a thread that follows a script.
pub(crate) mod fake_tor;
/// A filter in front of a real tor.
pub(crate) mod filter;
/// The openings of a control connection, right and wrong.
pub(crate) mod greeting;
/// Threads, children, files and descriptors that a test left behind.
pub(crate) mod leaks;
/// What was logged.
pub(crate) mod log_capture;
/// Threads with names.
pub(crate) mod named_thread;
/// A program that is killed: a test, run again in another process.
pub(crate) mod program;
/// A proxy in front of a real tor.
pub(crate) mod proxy;
/// A control connection without torcon, as a witness.
pub(crate) mod raw_control;
/// A real tor in a directory of its own.
pub(crate) mod real_tor;
/// A relay that writes down what torcon and a real tor say to each other.
pub(crate) mod recording_proxy;
/// The steps of a fake tor on one connection.
pub(crate) mod script;
/// One thread tells another that something has happened.
pub(crate) mod signal;
/// Sockets on which every operation has a deadline.
pub(crate) mod socket;
/// What a source file of the library names and shows.
pub(crate) mod source;
/// Limits for what might hang.
pub(crate) mod watchdog;
