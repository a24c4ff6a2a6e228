use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::event::EventKind;
use crate::names::OnionAddress;

/// The status of a supervisor.
///
/// # Examples
///
/// ```no_run
/// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
/// use torcon::supervisor::SupervisorStatus;
///
/// supervisor.on_status(|status| match status {
///     SupervisorStatus::Up { generation, .. } => println!("connection {generation}"),
///     SupervisorStatus::Connecting { attempt, last_error: Some(error), .. } => {
///         eprintln!("attempt {attempt}, after {error}");
///     }
///     other => println!("{other}"),
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SupervisorStatus {
    /// There is no connection to tor.
    #[non_exhaustive]
    Connecting {
        /// The number of this attempt, counted from 1 since the last connection that lasted at
        /// least a second.
        attempt: u32,
        /// When the attempt begins or began.
        next: Instant,
        /// Why the last attempt failed or the last connection ended; `None` before the first.
        last_error: Option<Error>,
    },
    /// A connection was made, and the supervisor restores options, keys, subscriptions, the state
    /// and the onion services on it.
    Restoring,
    /// The connection is ready for use.
    #[non_exhaustive]
    Up {
        /// When it became so.
        since: Instant,
        /// The number of the connection, counted from 1.
        generation: u64,
        /// The parts that could not be restored, or that were changed by others; usually none.
        unrestored: Arc<[UnrestoredPart]>,
    },
    /// The supervisor has ended for this reason.
    GivenUp(Error),
    /// This program stopped the supervisor.
    Stopped,
}

/// A part that could not be restored.
///
/// # Examples
///
/// ```no_run
/// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
/// use torcon::supervisor::{SupervisedPart, SupervisorStatus};
///
/// if let SupervisorStatus::Up { unrestored, .. } = supervisor.status() {
///     for lost in unrestored.iter() {
///         match &lost.part {
///             SupervisedPart::Service(address) => eprintln!("{address} is gone: {}", lost.error),
///             part => eprintln!("{part}: {}", lost.error),
///         }
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnrestoredPart {
    /// The part.
    pub part: SupervisedPart,
    /// Why it could not be restored.
    pub error: Error,
}

/// A part of tor's state that a supervisor restores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisedPart {
    /// An option of [`Supervisor::set_conf`](super::Supervisor::set_conf).
    Option(Box<str>),
    /// A key of [`Supervisor::add_onion_client_auth`](super::Supervisor::add_onion_client_auth).
    ClientAuth(OnionAddress),
    /// The subscription of a listener or a queue.
    Events(Box<[EventKind]>),
    /// The state of [`Supervisor::state`](super::Supervisor::state).
    State,
    /// An onion service of
    /// [`Supervisor::onion_endpoint`](super::Supervisor::onion_endpoint).
    Service(OnionAddress),
}

impl SupervisorStatus {
    /// Returns whether the connection is ready for use.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Returns whether the supervisor has ended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::GivenUp(_) | Self::Stopped)
    }
}

impl fmt::Display for SupervisorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { attempt, last_error: Some(error), .. } => {
                write!(f, "connecting, attempt {attempt}: {error}")
            }
            Self::Connecting { attempt, .. } => write!(f, "connecting, attempt {attempt}"),
            Self::Restoring => f.write_str("restoring"),
            Self::Up { generation, unrestored, .. } => {
                write!(f, "up, connection {generation}")?;
                for part in &**unrestored {
                    write!(f, "; {part}")?;
                }
                Ok(())
            }
            Self::GivenUp(error) => write!(f, "{error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for UnrestoredPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be restored: {}", self.part, self.error)
    }
}

impl fmt::Display for SupervisedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(f, "the option {name}"),
            Self::ClientAuth(address) => write!(f, "the client authorization key for {address}"),
            Self::Events(kinds) => {
                f.write_str("the subscription to")?;
                kinds.iter().try_for_each(|kind| write!(f, " {kind}"))
            }
            Self::State => f.write_str("the state"),
            Self::Service(address) => write!(f, "the onion service {address}"),
        }
    }
}
