//! The program against a real tor whose network is disabled: in a pipe and in a pseudoterminal.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has done its work"
)]

mod arguments;
mod network;
mod piped;
mod program;
mod pseudoterminal;
mod typed;
