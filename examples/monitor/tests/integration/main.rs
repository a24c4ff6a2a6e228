//! The monitor as a program: with a pipe, and in a pseudoterminal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail this way, its support too"
)]

mod piped;
mod private_network;
mod support;
mod terminal;
