//! Launches, connects to and controls Tor through its control port, with blocking calls and plain
//! threads.
//!
//! torcon is for programs without an async runtime. It is not an implementation of Tor: it needs the
//! `tor` program, which it can launch.
//!
//! ```no_run
//! use torcon::EventKind;
//!
//! // Connects to a running tor and authenticates by the method that it offers.
//! let controller = torcon::connect_default()?; // or torcon::connect("127.0.0.1:9051")
//! println!("tor {}", controller.version());
//! println!("{} bytes read", controller.get_info("traffic/read")?);
//!
//! let id = controller.add_event_listener(EventKind::Bw, |event| println!("{event}"))?;
//! controller.set_conf([("MaxCircuitDirtiness", "300")])?;
//! controller.remove_event_listener(id)?;
//! # Ok::<(), torcon::Error>(())
//! ```
//!
//! # Where to look
//!
//! | I want to | look at |
//! | --- | --- |
//! | read how a task is done, from the first program on | [`guide`], one page for each task |
//! | connect to a running tor, with a password or a cookie | [`connect_default`], [`connect`], [`ConnectOptions`] |
//! | find the tor that the environment, a port file or an open socket leads to | [`ConnectOptions::from_env`], [`Endpoint::read_port_file`], [`ConnectOptions::connect_stream`] |
//! | launch a tor, also behind a bridge | [`Launcher`], [`TorProcess`], [`Launcher::bridge`] |
//! | end in good order at Ctrl-C | [`CancelToken`] |
//! | query or configure tor | [`Controller::get_info`], [`Controller::set_conf`], [`Config`] for options with types |
//! | react to events | [`Controller::on`], [`Controller::add_event_listener`], [`EventQueue`], the table of [`event`] |
//! | open streams or resolve names through Tor | [`Tor::connect_stream`], [`Tor::resolve`], [`socks::SocksProxy`] |
//! | let an HTTP client connect through Tor | [`socks::SocksProxy::url`] |
//! | get a new identity | [`Tor::wait_new_identity`], [`Controller::signal`] |
//! | follow circuits and streams | [`State`], [`State::on_circuit`], [`State::snapshot`] |
//! | build circuits, choose relays and exits | [`State::build_circuit`], [`state::Path`] |
//! | choose the circuit of each stream | [`State::set_attacher`] |
//! | put something behind an onion address | [`OnionEndpoint`], [`OnionListener`] |
//! | visit an onion service with client authorization | [`Controller::add_onion_client_auth`] |
//! | survive the end of tor | [`Supervisor`] |
//! | read the consensus, descriptors of relays and their statistics | [`guide::directory`], [`descriptor`], [`Controller::consensus`], [`descriptor::DescriptorReader`] for files |
//! | test a program without the internet | `testkit` (a fake control port) and `testnet` (a private network), Cargo features |
//! | send a command that has no method | [`Controller::command`], [`command`] |
//!
//! # Controller, Tor, State, Supervisor
//!
//! Each builds on the one before it; a program holds the highest that it needs and reaches the
//! others from there.
//!
//! - A [`Controller`] is one control connection. It has a method for each command, and closures for
//!   events. It keeps nothing but the connection; its clones share it. It ends with the connection.
//! - A [`Tor`] is a controller and, if the program has launched it, the process. It adds what needs
//!   more than the control port: streams through the `SocksPort`, readiness, onion services.
//! - A [`State`] is a picture of tor's circuits, streams, relays and mappings, kept current by
//!   events, so that reading it sends no command. It builds circuits and attaches streams.
//! - A [`Supervisor`] has one `Tor` after the other: it connects or launches again when tor has
//!   ended, and restores options, listeners, a state and onion services.
//!
//! Besides them, [`event`], [`info`], [`descriptor`] and [`names`] have the types that tor's answers
//! are read into, and [`error`] has those of errors.
//!
//! Names are those of the control specification. A search for a name of txtorcon, Stem or bine finds
//! the item.
//!
//! # Blocking
//!
//! Any thread may call any function; there is no runtime to enter. A call returns when tor has
//! answered or its time limit has passed. Commands of many threads are pipelined: each is written at
//! once, and tor answers them in order. Closures for events run on one other thread, one event at a
//! time, in the order of the wire; a closure may do anything, such as send commands, wait, or close
//! the connection, and delays only later events.
//!
//! # Time
//!
//! Every wait has a time limit, unless its documentation says otherwise
//! ([`TorProcess::wait`], [`OnionListener::accept`] and the iterators have none). Opening a
//! connection takes at most 30 seconds ([`ConnectOptions::timeout`]), a command at most 60
//! ([`Controller::with_timeout`]), and a launch has two limits ([`Launcher::timeout`],
//! [`Launcher::stall_timeout`]). The late reply to a command that has timed out is discarded; see
//! [`Controller::with_timeout`] for a reply that never arrives.
//!
//! A [`CancelToken`] cancels a launch or an attempt to connect from another thread. torcon installs
//! no signal handler; [`CancelToken`] shows how a program ends in good order at Ctrl-C.
//!
//! # Errors
//!
//! Every fallible call returns [`Error`]. It has few variants; their types hold the details, such
//! as tor's words of refusal, the addresses that were tried, or the last lines that a launched tor
//! printed. When a connection ends, every waiting and every later call fails with the same reason.
//! No argument, no reply of tor, and nothing that another program sends makes torcon panic.
//!
//! No argument can become a second command: line breaks and NUL are refused, blanks are refused
//! where a single word is needed, and values are quoted where tor needs it.
//!
//! # Events
//!
//! An event keeps its text, and its methods read the fields. An unknown kind arrives as
//! [`Event::Other`], an event that cannot be parsed as [`Event::Malformed`]. If listeners are slower
//! than tor, up to 64 MiB of events are queued ([`ConnectOptions::event_limit`]); then the newest are
//! dropped, and [`Event::Lagged`] and [`Controller::on_lagged`] report their number in their place.
//!
//! # Logging
//!
//! torcon logs through the `log` crate.
//!
//! | level | holds |
//! | --- | --- |
//! | ERROR | a closure of the program panicked, or a launched tor could not be ended |
//! | WARN | a connection was lost, events were dropped, a tor had to be killed |
//! | INFO | connected, launched, closed |
//! | DEBUG | the keyword and the status code of each command |
//! | TRACE | commands with their arguments, where these cannot be secret |
//!
//! Passwords, cookies, keys, the arguments of commands that may hold such things and the contents
//! of replies are not logged at any level. The output of a launched tor is not logged either.
//!
//! A logger may call torcon, and must not wait for another thread that does. A call that would wait
//! for the very call that logs fails at once.
//!
//! # Threads
//!
//! torcon starts these threads; each but `torcon-resolve` ends with the object that has started it.
//!
//! | thread | does |
//! | --- | --- |
//! | `torcon-reader` | reads the socket; hands replies to their callers, and events to the next thread |
//! | `torcon-events` | calls listeners, one event at a time, in the order of the wire; from the first listener on |
//! | `torcon-stdout`, `torcon-stderr` | drain the output of a launched tor |
//! | `torcon-child`, `torcon-launch`, `torcon-end` | wait for the end of a launched tor; run the launch; end a tor that wrote on stderr |
//! | `torcon-progress`, `torcon-connect`, `torcon-sink` | call `on_progress`; open the control connection; write to the program's sinks |
//! | `torcon-state` | calls listeners of a state, from the first one on |
//! | `torcon-attach`, `torcon-streams` | call attachers; send their choices |
//! | `torcon-onion` | watches one onion service and adds it again if tor lost it |
//! | `torcon-restore`, `torcon-notify` | connect and restore for a supervisor; call its closures |
//! | `torcon-resolve` | resolves the host name of an endpoint; the system's resolver cannot be interrupted |
//!
//! # Features
//!
//! `serde`, off by default: `Serialize` for names, events, answers, descriptors and the values of
//! options, and `Deserialize` for names, which are their text. Keys and passwords have neither. A
//! message of tor's log is serialized as tor wrote it; tor scrubs addresses there unless its option
//! `SafeLogging` is off.
//!
//! `onion-descriptor`, off by default: decryption of the descriptors of onion services
//! ([`OnionDescriptor`](descriptor::OnionDescriptor)). It needs the crates `aes`, `ctr` and `shake`.
//!
//! `testnet`, off by default: a private Tor network on the loopback interface, for testing programs
//! end to end without the internet. It needs no other crate, but the programs `tor` and
//! `tor-gencert`.
//!
//! `testkit`, off by default: a fake control port that answers as a unit test says. It needs nothing
//! else.
//!
//! `verify`, off by default: signatures of [directory documents](descriptor) from files. It needs the
//! crates `ed25519-dalek` and `num-bigint`.
//!
//! # Versions
//!
//! torcon is tested with tor 0.4.8.14, 0.4.9.11 and 0.4.9.15. It should work with every tor that
//! has version 3 onion services; words and events that it does not know are kept.
//!
//! It needs Rust 1.85 and a Unix system; it is tested on Linux. Only a minor release raises the
//! required Rust version, never a patch. Before 1.0, a minor release may change the interface; the
//! changelog describes the replacement.

// docs.rs labels what needs a Cargo feature.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Unit tests may print; the rules for code hold everywhere else.
#![cfg_attr(test, allow(clippy::print_stdout, clippy::print_stderr, reason = "tests may print"))]

#[cfg(not(unix))]
compile_error!("torcon needs a Unix system: unix sockets, signals and file modes");

mod auth;
mod clock;
pub mod command;
pub mod config;
mod controller;
pub mod descriptor;
pub mod error;
pub mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
pub mod info;
mod link;
pub mod names;
pub mod onion;
mod private_files;
pub mod process;
pub mod socks;
pub mod state;
pub mod supervisor;
mod sync;
mod temporary;
#[cfg(feature = "testkit")]
pub mod testkit;
#[cfg(feature = "testnet")]
pub mod testnet;
mod tor;
mod wire;

pub use crate::auth::Password;
pub use crate::config::Config;
#[doc(alias = "TorProtocolFactory")]
#[doc(alias = "build_tor_connection")]
pub use crate::controller::ConnectOptions;
#[doc(alias("ITorControlProtocol", "BaseController", "Conn"))]
#[doc(alias = "TorControlProtocol")]
pub use crate::controller::Controller;
#[doc(alias = "NewConn")]
pub use crate::controller::connect;
#[doc(alias("build_local_tor_connection", "default_control_port"))]
pub use crate::controller::connect_default;
pub use crate::controller::{EventQueue, EventQueueIter, PendingReply, WeakController};
pub use crate::error::{Disconnect, Error, Result};
pub use crate::event::{Event, EventKind};
#[doc(alias = "CancellationToken")]
#[doc(alias = "Context")]
#[doc(alias = "Ctrl-C")]
#[doc(alias = "signal handler")]
#[doc(alias = "addSystemEventTrigger")]
pub use crate::link::CancelToken;
pub use crate::link::{CancelGuard, Endpoint, ListenerId};
pub use crate::names::Signal;
pub use crate::onion::{OnionEndpoint, OnionListener};
pub use crate::process::{Launcher, TorProcess};
pub use crate::state::State;
pub use crate::supervisor::Supervisor;
#[doc(alias = "ITor")]
pub use crate::tor::Tor;
#[doc(alias = "Response")]
pub use crate::wire::Reply;
#[doc(alias = "DataWithReply")]
pub use crate::wire::ReplyLine;
pub use crate::wire::{Line, Request};

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
