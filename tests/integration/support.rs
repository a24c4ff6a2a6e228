//! The tools of the tests. Nothing here uses torcon, so that its defects cannot hide themselves; the
//! fake tor is that of `torcon::testkit`, which shares nothing with the connections of torcon.

/// The features of the tor under test, by its version.
pub(crate) mod capability;
/// Checks that a line is one that a real tor sends.
pub(crate) mod dialect;
/// Runs a test in a separate process.
pub(crate) mod exclusive;
/// Tests of failures.
pub(crate) mod failure;
/// A listener on a real socket, played by a thread that follows a script.
pub(crate) mod fake_tor;
/// A filter in front of a real tor.
pub(crate) mod filter;
/// Valid and invalid greetings of a control connection.
pub(crate) mod greeting;
/// Threads, children, files and descriptors that a test left behind.
pub(crate) mod leaks;
/// The captured log.
pub(crate) mod log_capture;
/// Threads with names.
pub(crate) mod named_thread;
/// A program that is killed: a test, run again in another process.
pub(crate) mod program;
/// A proxy in front of a real tor.
pub(crate) mod proxy;
/// Random numbers that a seed repeats.
pub(crate) mod random;
/// A control connection without torcon.
pub(crate) mod raw_control;
/// A real tor in a private directory.
pub(crate) mod real_tor;
/// A proxy that records the dialogue of torcon and a real tor.
pub(crate) mod recording_proxy;
/// The steps of a fake tor on one connection.
pub(crate) mod script;
/// A signal from one thread to another.
pub(crate) mod signal;
/// Sockets on which every operation has a deadline.
pub(crate) mod socket;
/// The paths and public items of a source file of the library.
pub(crate) mod source;
/// Limits for operations that might hang.
pub(crate) mod watchdog;

/// Recorded dialogues of torcon and tor 0.4.9.11, with backslashes escaped.
const DIALOGUES: &str = include_str!("scripted/recorded/dialogues.txt");
