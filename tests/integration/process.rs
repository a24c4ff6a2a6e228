//! Launching and supervising a tor: the real tor, and shell scripts in its place where a test needs
//! what the real tor does not do.

/// Bridge lines, transport plugins and upstream proxies, as tor takes them.
mod bridge_lines;
/// The end of a tor: its own, by its handle, by a signal.
mod ending;
/// Launches that fail, and that nothing remains of them.
mod failing;
/// Shell scripts in place of tor.
pub(crate) mod fake_process;
/// Launches that succeed: progress, sinks, arguments and environment.
mod launching;
/// Temporary directories after the end of their program.
mod leftovers;
/// The option `User`.
mod other_user;
/// A launch connects only to the tor that it started.
mod ownership;
/// The real tor, without network.
mod real;
/// The reason in the error of a launch.
mod reasons;
/// Loggers that call back.
mod reentrant;
/// The control connection of a launch, with a fake tor.
mod scripted;
/// Signals, and the path of the program.
mod signals;
/// Output on standard error.
mod standard_error;
/// The directory for temporary files.
mod temporary_root;
/// The time limits of a launch.
mod time_limits;
/// Launches behind bridges, transports and proxies.
mod transports;
/// Calls from several threads, from a progress closure, and with extreme limits.
mod unusual_calls;
/// tor's check of a configuration, and the version of the program.
mod verifying;
