//! The text of the control protocol: bytes to lines to replies, and requests to bytes.
//!
//! **Invariant**: pure. No socket, file, thread, clock or log; values are bytes, since tor's are.

mod fields;
mod frame;
mod quoted;
mod reply;
mod request;
mod timestamp;

pub(crate) use frame::{Frame, Limits, Piece};
pub(crate) use reply::{Separator, StatusLine, line_at};
pub use reply::{Reply, ReplyLine};
pub use request::Request;
pub(crate) use request::{check_line, check_token};
