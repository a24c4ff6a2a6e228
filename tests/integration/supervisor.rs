//! The supervisor: a connection that is made again, with everything that the program set up on it.

/// The failures that end it.
mod attempts;
/// Client authorization keys, which tor forgets.
mod client_authorization;
/// The directories of a killed program.
mod leftovers;
/// The parts that are restored after a launched tor was killed.
mod restored;
/// Ends of tor and of its connection at random moments, on the private network.
mod rounds;
/// Onion services whose tor is killed.
mod services;
/// The state, with its listeners and attachers, from one tor to the next.
mod state;

use std::time::Duration;

/// How long anything may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
