//! A fake control port for the unit tests of programs that use torcon; needs the Cargo feature
//! `testkit`.
//!
//! A [`FakeTor`] listens on a real socket and answers as the test says, so a test needs no `tor`, no
//! network, and milliseconds. Tests of circuits, streams and onion services need a real network:
//! see `torcon::testnet`.
//!
//! ```toml
//! [dev-dependencies]
//! torcon = { version = "0.1", features = ["testkit"] }
//! ```
//!
//! # A query
//!
//! [`FakeTor::expect`] expects a command once, and answers it. The line is the one that the
//! documentation of the method names ("Sends `GETINFO traffic/read`").
//!
//! ```
//! use torcon::Controller;
//! use torcon::testkit::{Answer, FakeTor};
//!
//! fn kilobytes_read(controller: &Controller) -> torcon::Result<u64> {
//!     let bytes: u64 = controller.get_info_one("traffic/read")?.parse().unwrap_or(0);
//!     Ok(bytes / 1024)
//! }
//!
//! // #[test]
//! fn kilobytes_are_rounded_down() {
//!     let tor = FakeTor::start();
//!     tor.expect("GETINFO traffic/read", Answer::info("traffic/read", "4099"));
//!     assert_eq!(kilobytes_read(&tor.controller()).unwrap(), 4);
//!     tor.finish();
//! }
//! # kilobytes_are_rounded_down();
//! ```
//!
//! [`FakeTor::set_info`] and [`FakeTor::set_conf`] answer queries at any time and any number of
//! times, [`FakeTor::answer`] any other command.
//!
//! # An event listener
//!
//! ```
//! use std::sync::mpsc::{Receiver, channel};
//! use std::time::Duration;
//!
//! use torcon::Controller;
//! use torcon::event::BwEvent;
//! use torcon::testkit::FakeTor;
//!
//! fn bytes_per_second(controller: &Controller) -> torcon::Result<Receiver<u64>> {
//!     let (sender, receiver) = channel();
//!     controller.on(move |bw: &BwEvent| {
//!         sender.send(bw.bytes_read() + bw.bytes_written()).ok();
//!     })?;
//!     Ok(receiver)
//! }
//!
//! // #[test]
//! fn both_directions_are_added() {
//!     let tor = FakeTor::start();
//!     let controller = tor.controller();
//!     let received = bytes_per_second(&controller).unwrap();
//!     tor.send_event("BW 15 20");
//!     assert_eq!(received.recv_timeout(Duration::from_secs(10)), Ok(35));
//! }
//! # both_directions_are_added();
//! ```
//!
//! # A refused command
//!
//! ```
//! use torcon::testkit::{Answer, FakeTor};
//! use torcon::{Controller, Signal};
//!
//! /// Returns false if tor does not allow it.
//! fn request_new_identity(controller: &Controller) -> torcon::Result<bool> {
//!     match controller.signal(Signal::Newnym) {
//!         Ok(()) => Ok(true),
//!         Err(error) if error.status_code() == Some(552) => Ok(false),
//!         Err(error) => Err(error),
//!     }
//! }
//!
//! // #[test]
//! fn a_refusal_is_no_error() {
//!     let tor = FakeTor::start();
//!     let words = "Unrecognized signal code \"NEWNYM\"";
//!     tor.expect("SIGNAL NEWNYM", Answer::refused(552, words));
//!     assert!(!request_new_identity(&tor.controller()).unwrap());
//!     tor.finish();
//! }
//! # a_refusal_is_no_error();
//! ```
//!
//! # A timeout
//!
//! A test sets a short limit, and [`Answer::none`] or [`Answer::delay`] exceeds it.
//!
//! ```
//! use std::time::Duration;
//!
//! use torcon::Controller;
//! use torcon::testkit::{Answer, FakeTor};
//!
//! fn version_or_unknown(controller: &Controller) -> String {
//!     controller.get_info_one("version").unwrap_or_else(|error| match error.is_timeout() {
//!         true => "unknown, tor is busy".to_owned(),
//!         false => format!("unknown: {error}"),
//!     })
//! }
//!
//! // #[test]
//! fn a_busy_tor_has_an_unknown_version() {
//!     let tor = FakeTor::start();
//!     tor.expect("GETINFO version", Answer::none());
//!     let controller = tor.controller().with_timeout(Duration::from_millis(50));
//!     assert_eq!(version_or_unknown(&controller), "unknown, tor is busy");
//! }
//! # a_busy_tor_has_an_unknown_version();
//! ```
//!
//! # A lost connection
//!
//! [`FakeTor::close_connections`] ends connections between two commands, [`Answer::close`] instead
//! of a reply, [`Answer::cut_after`] in the middle of it.
//!
//! ```
//! use torcon::Controller;
//! use torcon::testkit::{Answer, FakeTor};
//!
//! /// Returns the uptime, or `None` if tor has ended.
//! fn uptime(controller: &Controller) -> torcon::Result<Option<String>> {
//!     match controller.get_info_one("uptime") {
//!         Ok(uptime) => Ok(Some(uptime)),
//!         Err(error) if error.is_closed() => Ok(None),
//!         Err(error) => Err(error),
//!     }
//! }
//!
//! // #[test]
//! fn an_ended_tor_has_no_uptime() {
//!     let tor = FakeTor::start();
//!     tor.expect("GETINFO uptime", Answer::info("uptime", "12345").cut_after(10));
//!     let controller = tor.controller();
//!     // It ends within its reply, and is then gone.
//!     assert_eq!(uptime(&controller).unwrap(), None);
//!     assert_eq!(uptime(&controller).unwrap(), None);
//! }
//! # an_ended_tor_has_no_uptime();
//! ```
//!
//! # A state
//!
//! A fake tor answers the queries of a [`State`](crate::State). The state has applied an event when
//! a later command has been answered.
//!
//! ```
//! use torcon::State;
//! use torcon::names::CircuitStatus;
//! use torcon::testkit::FakeTor;
//!
//! fn built_circuits(state: &State) -> usize {
//!     let circuits = state.circuits();
//!     circuits.iter().filter(|circuit| circuit.info().status() == CircuitStatus::Built).count()
//! }
//!
//! // #[test]
//! fn only_built_circuits_are_counted() {
//!     let tor = FakeTor::start();
//!     tor.set_info("circuit-status", "1 LAUNCHED PURPOSE=GENERAL\n2 BUILT PURPOSE=GENERAL");
//!     let controller = tor.controller();
//!     let state = State::new(&controller).unwrap();
//!     assert_eq!(built_circuits(&state), 1);
//!
//!     tor.send_event("CIRC 1 BUILT PURPOSE=GENERAL");
//!     controller.get_info_one("version").unwrap();
//!     assert_eq!(built_circuits(&state), 2);
//! }
//! # only_built_circuits_are_counted();
//! ```
//!
//! # Strictness
//!
//! A test fails if a command arrives that is neither expected nor answered, if commands arrive in
//! another order ([`FakeTorBuilder::in_any_order`] allows it), or if an expected command does not
//! arrive. The client gets a refusal, `510 the fake tor fails the test: …`, and [`FakeTor::finish`]
//! panics with the whole dialogue; so does the drop of a fake tor.
//!
//! The fake tor also refuses mistakes of the test: a reply or event that no client could parse, or an
//! event to which no client has subscribed. It does not compare replies with those of a real tor;
//! [`FakeTorBuilder::check_sent`] sets such a check.
//!
//! [`FakeTor::script`] plays a connection step by step, for what this cannot express.

// A failed test is a panic.
#![allow(clippy::panic, reason = "these functions fail tests")]

mod answer;
mod builder;
mod core;
mod dialogue;
mod door;
mod event_lines;
mod fake_tor;
mod playbook;
mod script;
mod socket;

pub use self::answer::Answer;
pub use self::builder::FakeTorBuilder;
#[doc(alias = "FakeControlProtocol")]
#[doc(alias = "mock")]
pub use self::fake_tor::FakeTor;
pub use self::script::Script;
