//! Launches, connects to and controls Tor through its control port, with blocking calls and plain
//! threads.
//!
//! torcon is for programs without an async runtime: any thread may call any function, which
//! returns when tor has answered or when its time is over, and closures are called for events.
//! It is not an implementation of Tor: it needs the `tor` program, which it can start itself.
//!
//! ```no_run
//! use torcon::EventKind;
//!
//! # fn main() -> torcon::Result<()> {
//! // A running tor; how to authenticate is found out by itself.
//! let controller = torcon::connect("127.0.0.1:9051")?; // or "unix:/run/tor/control"
//! println!("tor {}", controller.version());
//! println!("{} bytes read", controller.get_info_one("traffic/read")?);
//!
//! let id = controller.add_event_listener(EventKind::Bw, |event| println!("{event}"))?;
//! controller.set_conf([("MaxCircuitDirtiness", "300")])?;
//! controller.remove_event_listener(id)?;
//! # Ok(())
//! # }
//! ```
//!
//! # The nouns
//!
//! - A [`Controller`] is a connection to a running tor. Every command of the control protocol goes
//!   through it; its clones share it. [`connect`] makes one, [`ConnectOptions`] makes one with a
//!   password, other limits, other addresses.
//! - A [`Launcher`] starts a tor of one's own, with a private configuration and, if nothing else is
//!   said, a temporary directory. What it starts is a [`TorProcess`], which ends when it is
//!   dropped.
//! - An [`Event`] is what tor tells of its own accord. Closures take events as they are
//!   ([`Controller::add_event_listener`]), by type ([`Controller::on`]) or as text
//!   ([`Controller::add_text_listener`]); an [`EventQueue`] keeps them until they are wanted.
//! - A [`Tor`] is a controller and, if it was launched, its process, for what needs both or more:
//!   streams through Tor, names resolved by it, one tor for the whole program.
//! - An [`OnionEndpoint`] puts an onion service in front of a local socket;
//!   what it gives is an [`OnionListener`], which accepts like those of
//!   `std`.
//! - A [`State`] is what tor is doing now: circuits, streams, relays, guards and mappings, kept up
//!   to date by events. It builds circuits along chosen relays, sends streams through them and
//!   has closures choose the circuits of others.
//! - A [`Config`] is tor's configuration: options with their types, changed in one go.
//! - The families have pages of their own: [`command`] (one type per command), [`event`] (one per
//!   event), [`info`] (what tor answers about itself), [`descriptor`] (what the directory says
//!   about relays), [`names`] (circuits, streams, relays, onion addresses and the words of the
//!   protocol), [`state`], [`config`], [`process`], [`onion`], [`socks`] and [`error`]; `testnet`
//!   is behind a Cargo feature.
//!
//! Names are those of the control specification. Where txtorcon calls something differently, a
//! search for its name finds ours.
//!
//! # Threads
//!
//! | thread | does | never does |
//! | --- | --- | --- |
//! | any of yours | writes a command, waits for its reply, reads it | reads the socket |
//! | `torcon-reader` | reads the socket; gives replies to those who wait, and events to the next | runs a closure of yours |
//! | `torcon-events` | calls listeners, one event at a time, in the order of the wire | reads the socket |
//! | `torcon-stdout`, `torcon-stderr` | drain what a launched tor prints | wait for anyone |
//! | `torcon-child`, `torcon-launch` | wait for the end of a launched tor; see to it until it is ready | run a closure of yours |
//! | `torcon-progress`, `torcon-connect`, `torcon-sink` | call `on_progress`; open the control connection; write to a sink of yours | |
//! | `torcon-state` | calls listeners of a state, from the first one on | reads the socket |
//! | `torcon-attach`, `torcon-streams` | call an attacher of yours; send what it has chosen | |
//!
//! Commands of many threads are pipelined: each is written at once, and tor answers them in order.
//! A listener may do anything, also send commands, wait, and close the connection; it delays later
//! events and nothing else.
//!
//! # Time
//!
//! Nothing waits for ever. Making a connection takes at most 30 seconds
//! ([`ConnectOptions::timeout`]), a command at most 60 ([`Controller::with_timeout`]), and a launch
//! has two limits ([`Launcher::timeout`], [`Launcher::stall_timeout`]). The documentation of each
//! function that waits says until when. A command whose time is over keeps its place, so its late
//! reply goes to nobody; see [`Controller::with_timeout`] for what happens if the reply never
//! comes.
//!
//! # Errors
//!
//! Everything that can fail returns the one [`Error`], whose variants are few and whose details
//! are in types of their own: what tor refused and in which words, which addresses were tried,
//! what tor printed before it died. When a connection ends, every call that waits and every later
//! one gets the same reason. No input panics: neither yours, nor tor's, nor that of something else
//! that answers in its place.
//!
//! Nothing that is given to a function can become a second command: line breaks and NUL are
//! refused in every argument, blanks where a single word is needed, and values are quoted.
//!
//! # Events
//!
//! An event always keeps its text. A kind that this version does not know arrives as
//! [`Event::Other`], what cannot be read as
//! [`Event::Malformed`], and neither disturbs any other event. If
//! listeners are slower than tor, up to 64 MiB of events wait for them
//! ([`ConnectOptions::event_limit`]); then the newest are dropped, and
//! [`Event::Lagged`] and [`Controller::on_lagged`] say how many, in their place.
//!
//! # Logging
//!
//! torcon logs through the `log` crate.
//!
//! | level | holds |
//! | --- | --- |
//! | ERROR | a closure of yours panicked, or a thread of torcon failed |
//! | WARN | a connection was lost, events were dropped, a tor had to be killed |
//! | INFO | connected, launched, closed |
//! | DEBUG | the keyword and the status code of each command |
//! | TRACE | commands with their arguments, where these cannot be secret |
//!
//! Passwords, cookies, keys, the arguments of commands that may hold such things and the contents
//! of replies are not logged at any level. What a launched tor prints is not logged either.
//!
//! # Features
//!
//! `testnet`, off by default: a private Tor network on the loopback interface, for testing programs
//! end to end without the internet. It needs no other crate, but the programs `tor` and
//! `tor-gencert`.
//!
//! # Versions
//!
//! torcon is tested with tor 0.4.9. It should work with every tor that has version 3 onion
//! services; words and events that it does not know are kept and not refused.
//!
//! It needs Rust 1.85 and a Unix system; it is tested on Linux. A newer Rust will be asked for
//! only by a minor release, never by a patch. Before 1.0, a minor release may change the interface;
//! the changelog says what to write instead.

// Unit tests may print; the rules for code hold everywhere else.
#![cfg_attr(test, allow(clippy::print_stdout, clippy::print_stderr, reason = "tests may print"))]

mod auth;
pub mod command;
pub mod config;
mod controller;
pub mod descriptor;
pub mod error;
pub mod event;
pub mod info;
mod link;
pub mod names;
pub mod onion;
pub mod process;
pub mod socks;
pub mod state;
mod temporary;
#[cfg(feature = "testnet")]
pub mod testnet;
mod tor;
mod wire;

pub use crate::auth::Password;
pub use crate::config::Config;
pub use crate::controller::{
    ConnectOptions, Controller, EventQueue, EventQueueIter, PendingReply, WeakController, connect,
    connect_default,
};
pub use crate::error::{Disconnect, Error, Result};
pub use crate::event::{Event, EventKind};
pub use crate::link::{Endpoint, ListenerId};
pub use crate::names::Signal;
pub use crate::onion::{OnionEndpoint, OnionListener};
pub use crate::process::{Launcher, TorProcess};
pub use crate::state::State;
pub use crate::tor::Tor;
pub use crate::wire::{Line, Reply, ReplyLine, Request};

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
