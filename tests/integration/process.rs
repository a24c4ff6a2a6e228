//! Launching tor and looking after it: with shell scripts that play tor where tor itself cannot
//! be made to do what is tested, and with the real tor.

/// How a tor ends: by itself, by its handle, by a signal.
mod ending;
/// Launches that fail, and what is left of them.
mod failing;
/// Shell scripts that play tor.
mod fake_process;
/// Launches that succeed: progress, sinks, what tor is started with.
mod launching;
/// Temporary directories after the end of their program, however it ends.
mod leftovers;
/// The option `User`.
mod other_user;
/// A launch takes only the tor that it has launched.
mod ownership;
/// The real tor, without network.
mod real;
/// What a launch that failed says of the reason.
mod reasons;
/// Loggers that call back.
mod reentrant;
/// The control connection of a launch, played by a fake tor.
mod scripted;
/// Signals, and the program that is started.
mod signals;
/// What tor writes on standard error.
mod standard_error;
/// The directory for temporary files, whatever the environment says.
mod temporary_root;
/// What a launch waits for, and for how long.
mod time_limits;
/// Calls from several threads, from a progress listener, and with extreme limits.
mod unusual_calls;
