//! Launches, connects to and controls Tor, with blocking calls and plain threads.
// Unit tests may say what they mean; the rules for code hold everywhere else.
#![cfg_attr(test, allow(clippy::print_stdout, clippy::print_stderr, reason = "tests may print"))]

mod auth;
pub mod command;
mod controller;
pub mod error;
pub mod event;
mod link;
pub mod names;
pub mod process;
mod tor;
mod wire;

pub use crate::auth::Password;
pub use crate::controller::{
    ConnectOptions, Controller, EventQueue, PendingReply, WeakController, connect, connect_default,
};
pub use crate::error::{Disconnect, Error, Result};
pub use crate::event::{Event, EventKind};
pub use crate::link::{Endpoint, ListenerId};
pub use crate::names::Signal;
pub use crate::process::{Launcher, TorProcess};
pub use crate::tor::Tor;
pub use crate::wire::{Line, Reply, ReplyLine, Request};
