//! The syntax of the control protocol, in both directions, and of torrc.
//!
//! Four grammars have their own readers, each in one place: framed lines with status codes and data
//! ([`Frame`] finds the ends of messages, [`ReplyBuilder`] and [`PartReader`] parse replies with
//! [`StatusLine`] and `unstuff`), fields of a line (`fields`), quoted strings (`quoted`), and torrc with
//! its comments and continued lines (`torrc`). Directory documents have a fifth, without dot-stuffing,
//! in `descriptor`.
//!
//! Values are bytes, since those of tor need not be UTF-8.

pub(crate) mod fields;
mod frame;
mod line;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
pub(crate) mod quoted;
mod reply;
mod request;
pub(crate) mod timestamp;
pub(crate) mod torrc;
mod wiped;

pub(crate) use frame::{Frame, Limits, Message};
pub use line::Line;
pub(crate) use line::{PartLine, PartReader};
pub use reply::Reply;
pub use reply::ReplyLine;
pub(crate) use reply::{ReplyBuilder, Separator, StatusLine};
pub use request::Request;
pub(crate) use request::{COMMAND_LIMIT, line_problem};
pub(crate) use wiped::Wiped;
