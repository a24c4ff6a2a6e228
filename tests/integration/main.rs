//! Tests of torcon from outside, through its public interface: one program for all of them.
//!
//! They need tor. Without it they fail and say how to install it.
#![forbid(unsafe_code)]
#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that panics has done its work; the switches for tests in .clippy.toml do not \
              reach the functions that tests share"
)]

/// Fakes and fixtures, with their own tests.
mod support;

/// Tests of the fake tor with clients on raw sockets.
mod fake_tor;

/// The fake tor that answers, as programs use it in their tests.
mod testkit;

/// The layers of the library's modules, read from its sources.
mod layers;

/// The promises of the public interface, and types that it must not show.
mod public_api;

/// The names that other libraries have for the same things.
mod names_elsewhere;

/// The crate as it is packed for the registry.
mod packed;

/// Where unsafe code is allowed.
mod unsafe_code;

/// The crates that come with torcon.
mod dependencies;

/// The words of the protocol, known and unknown.
mod words;

/// The texts of errors and of their sources.
mod error_text;

/// Parsers of long texts: time that grows with the length, not faster.
mod linear;

/// Large files of descriptors: memory.
mod descriptor_files;

/// Calls that a token cancels.
mod cancel;

/// The programs below `examples/`.
mod examples;

/// Launching and ending a real tor, or a shell script in its place.
mod process;

/// Everything that can be shown with a real tor whose network is off.
mod real_tor;

/// Streams and names through a fake or a real SOCKS proxy.
mod socks;

/// A real tor behind a filter.
mod filtered;

/// Onion services, their listeners and their publication.
mod onion;

/// Streams and names through a tor of the private network.
mod streams;

/// Keys and addresses of onion services, checked by a real tor.
mod onion_keys;

/// Everything that a script can show: the public interface against the fake tor.
mod scripted;

/// The private network, and tors that join it.
mod testnet;

/// The supervisor, with tors that end and are launched again.
mod supervisor;
