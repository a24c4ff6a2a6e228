//! Launching and supervising a tor process.
//!
//! [`Launcher`] configures and starts a tor; [`TorProcess`] is the running process.
//!
//! Threads of each process, all of which end with it: `torcon-stdout` and `torcon-stderr` read its
//! output, `torcon-child` waits for its end, and `torcon-launch` runs the launch until tor is
//! ready. `torcon-connect` opens the control connection, `torcon-progress` calls the progress
//! closure, and `torcon-sink` writes copies of the output.
//!
//! **Invariant**: this module knows no text of the control protocol, and a thread that reads tor's
//! output waits for nothing else.

mod bridges;
mod child;
mod control;
mod directory;
mod drain;
mod launch_machine;
mod launch_state;
mod launcher;
mod log_line;
mod options;
mod output;
mod progress;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod repeatable;
mod sink;
mod spawn;
mod supervise;
mod thread;
mod tor_process;
mod tor_user;
mod verify;

pub use self::control::ControlFn;
#[doc(alias = "EmbeddedControlConn")]
pub use self::control::ControlVia;
pub use self::launch_state::Ready;
#[doc(alias("NO_TORRC", "Creator", "CmdCreatorFunc", "StartConf"))]
pub use self::launcher::Launcher;
pub use self::progress::Progress;
pub(crate) use self::repeatable::RepeatableLauncher;
#[doc(alias = "cleanup")]
#[doc(alias = "TorProcessProtocol")]
pub use self::tor_process::TorProcess;
