//! Launches, connects to and controls Tor through its control port, with blocking calls and plain
//! threads.
//!
//! torcon is for programs without an async runtime: any thread may call any function, which
//! returns when tor has answered or a time limit has passed, and closures are called for events.
//! It is not an implementation of Tor: it needs the `tor` program, which it can start itself.
//!
//! ```no_run
//! use torcon::EventKind;
//!
//! # fn main() -> torcon::Result<()> {
//! // A running tor, which says how to authenticate.
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
//! - A [`Controller`] is a connection to a running tor. It sends every command of the control
//!   protocol; its clones share the connection. [`connect`] opens one, [`ConnectOptions`] opens
//!   one with a password, other limits or several addresses.
//! - A [`Launcher`] launches a tor with a private configuration and, by default, a temporary
//!   directory. It returns a [`TorProcess`], which ends when it is dropped.
//! - An [`Event`] is an asynchronous reply of tor. Closures take events as they are
//!   ([`Controller::add_event_listener`]), by type ([`Controller::on`]) or as text
//!   ([`Controller::add_text_listener`]); an [`EventQueue`] holds them for any thread.
//! - A [`Tor`] is a controller and, if it was launched, its process, for what needs both or more:
//!   streams through Tor, names resolved by it, one tor for the whole program.
//! - An [`OnionEndpoint`] puts an onion service in front of a local socket. It returns an
//!   [`OnionListener`], which accepts as the listeners of `std` do.
//! - A [`State`] follows what tor is doing: circuits, streams, relays, guards and mappings, kept up
//!   to date by events. It builds circuits along chosen relays, opens streams through them and
//!   lets closures choose the circuits of other streams.
//! - A [`Config`] is tor's configuration: options with their types, saved by one command.
//! - The families have pages of their own: [`command`] (one type per command), [`event`] (one per
//!   event), [`info`] (what tor answers about itself), [`descriptor`] (what the directory says
//!   about relays), [`names`] (circuits, streams, relays, onion addresses and the words of the
//!   protocol), [`state`], [`config`], [`process`], [`onion`], [`socks`] and [`error`]; `testnet`
//!   is behind a Cargo feature.
//!
//! Names are those of the control specification. A search for a name of txtorcon or Stem finds the
//! item.
//!
//! # Threads
//!
//! | thread | does | never does |
//! | --- | --- | --- |
//! | any of the program | writes a command, waits for its reply, parses it | reads the socket |
//! | `torcon-reader` | reads the socket; hands replies to their callers, and events to the next thread | runs a closure of the program |
//! | `torcon-events` | calls listeners, one event at a time, in the order of the wire | reads the socket |
//! | `torcon-stdout`, `torcon-stderr` | drain the output of a launched tor | wait for another thread |
//! | `torcon-child`, `torcon-launch`, `torcon-end` | wait for the end of a launched tor; run the launch; end a tor that wrote on stderr | run a closure of the program |
//! | `torcon-progress`, `torcon-connect`, `torcon-sink` | call `on_progress`; open the control connection; write to the program's sinks | |
//! | `torcon-state` | calls listeners of a state, from the first one on | reads the socket |
//! | `torcon-attach`, `torcon-streams` | call attachers; send what they chose | |
//! | `torcon-onion` | watches one onion service and adds it again if tor has lost it | |
//!
//! Commands of many threads are pipelined: each is written at once, and tor answers them in order.
//! A listener may do anything, also send commands, wait, and close the connection; it delays later
//! events and nothing else.
//!
//! # Time
//!
//! Every wait has a time limit, unless its documentation says otherwise
//! ([`TorProcess::wait`], [`OnionListener::accept`] and the iterators have none). Opening a
//! connection takes at most 30 seconds ([`ConnectOptions::timeout`]), a command at most 60
//! ([`Controller::with_timeout`]), and a launch has two limits ([`Launcher::timeout`],
//! [`Launcher::stall_timeout`]). The late reply to a command that has timed out is discarded; see
//! [`Controller::with_timeout`] for what happens if the reply never comes.
//!
//! # Errors
//!
//! Everything that can fail returns the one [`Error`], whose variants are few and whose details
//! are in types of their own: what tor refused and in which words, which addresses were tried,
//! what tor printed before it died. When a connection ends, every call that waits and every later
//! one fails with the same reason. No input makes torcon panic: neither an argument, nor what tor
//! sends, nor what another program sends in its place.
//!
//! Nothing that is given to a function can become a second command: line breaks and NUL are
//! refused in every argument, blanks where a single word is needed, and values are quoted.
//!
//! # Events
//!
//! An event always keeps its text. A kind that this version does not know arrives as
//! [`Event::Other`], one that cannot be parsed as [`Event::Malformed`], and neither disturbs any
//! other event. If listeners are slower than tor, up to 64 MiB of events wait for them
//! ([`ConnectOptions::event_limit`]); then the newest are dropped, and [`Event::Lagged`] and [`Controller::on_lagged`] say how many, in their place.
//!
//! # Logging
//!
//! torcon logs through the `log` crate.
//!
//! | level | holds |
//! | --- | --- |
//! | ERROR | a closure of the program panicked, or a thread of torcon failed |
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
//! torcon is tested with tor 0.4.8.14, 0.4.9.11 and 0.4.9.15. It should work with every tor that
//! has version 3 onion services; words and events that it does not know are kept.
//!
//! It needs Rust 1.85 and a Unix system; it is tested on Linux. A newer Rust will be asked for
//! only by a minor release, never by a patch. Before 1.0, a minor release may change the interface;
//! the changelog says what to write instead.

// Unit tests may print; the rules for code hold everywhere else.
#![cfg_attr(test, allow(clippy::print_stdout, clippy::print_stderr, reason = "tests may print"))]

#[cfg(not(unix))]
compile_error!("torcon needs a Unix system: unix sockets, signals and file modes");

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
mod private_files;
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
