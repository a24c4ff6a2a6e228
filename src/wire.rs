//! The text of the control protocol: bytes to lines to replies, and requests to bytes.
//!
//! **Invariant**: pure. No socket, file, thread, clock or log; values are bytes, since tor's are.

pub(crate) mod fields;
mod frame;
mod line;
pub(crate) mod quoted;
mod reply;
mod request;
pub(crate) mod timestamp;
pub(crate) mod torrc;
mod wiped;

pub(crate) use frame::{Frame, Limits, Piece};
pub use line::Line;
pub(crate) use line::{PartLine, PartReader};
pub use reply::{Reply, ReplyLine};
pub(crate) use reply::{Separator, StatusLine};
pub use request::Request;
pub(crate) use request::{COMMAND_LIMIT, line_problem};
