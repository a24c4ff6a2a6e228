//! Tests through the public interface against a fake tor: dialogues that a real tor would not
//! play on demand, written down step by step.
//!
//! A comment names the rule of the design or the line of the list of other projects' failures
//! (`peers`) that a test stands for.

/// Methods of authentication, good and bad.
mod auth;
/// The choice of the cookie, its path, and the method after a refused one.
mod auth_cookie;
/// Memory and time that a peer can use before authentication.
mod before_authentication;
/// The command of each method.
mod commands;
/// Replies, events and changes of the configuration that overlap.
mod config;
/// A configuration behind a filter.
mod config_filtered;
/// Options that are read again after a reload.
mod config_reload;
/// The commands of connecting, and peers that are not a tor.
mod connect;
/// The end of a connection, from either side.
mod disconnect;
/// The cost of many listeners and waits.
mod event_cost;
/// Floods of events: lost events, and how their number is reported.
mod event_loss;
/// Events: order, shapes, loss and its report.
mod events;
/// Text of a peer in output.
mod foreign;
/// Keys in memory that was freed.
mod freed_memory;
/// Secrets in every place.
mod hidden;
/// Input in pieces of every size, and hostile input.
mod hostile;
/// Replies line by line.
mod incremental;
/// Arguments that would be a second command.
mod injection;
/// Limits for lines and replies.
mod limits;
/// Calls by listeners.
mod listeners;
/// Names resolved and descriptors fetched while the caller waits.
mod lookups;
/// Closures that panic or close during a reply, and replies that cannot be buffered.
mod misused_streams;
/// The time limit of calls of several commands.
mod one_deadline;
/// The threads and descriptors of a connection, and when they begin and end.
mod one_thread;
/// Paths that are missing here, of a tor that may see other files.
mod paths;
/// `QUIT`, however it is sent.
mod quitting;
/// Recorded dialogues with tor.
mod recorded;
/// Calls into torcon by closures, by the drop of their captures, and by loggers.
mod reentrancy;
/// Relays: one, all, or one by one.
mod relays;
/// Replies of every shape.
mod replies;
/// The owner of a reply.
mod reply_owners;
/// Secrets in logs and in `Debug`.
mod secrets;
/// `SETEVENTS`: when it is sent, and its refusal.
mod setevents;
/// Replies line by line to closures that are slow.
mod slow_closures;
/// The address of the `SocksPort`.
mod socks_port;
/// The live state: circuits, streams, relays and their listeners.
mod state;
/// Lines without a status code, in place of events.
mod stray_lines;
/// Many threads on one connection, and many replies for one thread.
mod threads;
/// Replies that arrive late, twice or never.
mod timeouts;
/// The typed answers of `GETINFO`: the queries, and values that a real tor does not return here.
mod typed_info;
/// Waiting for an event.
mod waiting;

use std::error::Error as StdError;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;
use torcon::{ConnectOptions, Controller, Error};

use crate::support::fake_tor::FakeTor;
use crate::support::named_thread::named;
use crate::support::script::Script;

/// A limit that only a hanging operation reaches.
const LIMIT: Duration = Duration::from_secs(30);
/// The limit of an operation that does not block, where eight programs share two processors. The
/// operations that it must not wait for take longer.
const SOON: Duration = Duration::from_secs(20);

/// Connects to a fake tor without authentication that runs `play`.
#[track_caller]
fn connected(play: impl FnOnce(&mut Script) + Send + 'static) -> (FakeTor, Controller) {
    connected_with(&ConnectOptions::new(), play)
}

/// The same with options.
#[track_caller]
fn connected_with(
    options: &ConnectOptions,
    play: impl FnOnce(&mut Script) + Send + 'static,
) -> (FakeTor, Controller) {
    let tor = FakeTor::unix(|script| {
        script.greet();
        play(script);
    });
    let controller = options.connect(tor.endpoint()).expect("the fake tor accepts every client");
    (tor, controller)
}

/// Connects to a fake tor that answers as [`answer`] does until the client leaves.
#[track_caller]
fn served() -> (FakeTor, Controller) {
    connected(|script| {
        script.serve(answer);
    })
}

/// Answers a command as tor would, by default: every reply repeats its command, so that a reply to
/// the wrong caller is detected.
fn answer(line: &str, out: &mut Vec<u8>) {
    let (keyword, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let reply = match keyword {
        "GETINFO" if arguments.starts_with("torcon/sync/") => {
            format!("552 Unrecognized key \"{arguments}\"\r\n")
        }
        "GETINFO" => {
            let lines = arguments.split(' ').map(|key| format!("250-{key}={}\r\n", value(key)));
            lines.chain(["250 OK\r\n".to_owned()]).collect()
        }
        "ECHO" => format!("250 {arguments}\r\n"),
        _ => "250 OK\r\n".to_owned(),
    };
    out.extend_from_slice(reply.as_bytes());
}

/// The value with which [`answer`] answers `GETINFO` for this key.
fn value(key: &str) -> String {
    format!("value of {key}")
}

/// Starts a thread.
fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    named("caller", work)
}

/// Waits for a thread; a panic of it fails the test.
#[track_caller]
fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Returns the next value of a channel; fails the test if none arrives.
#[track_caller]
fn next<T>(channel: &Receiver<T>) -> T {
    channel.recv_timeout(LIMIT).expect("the awaited value arrives")
}

/// Returns an error's text with those of its sources.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Requires that a call failed since the connection has ended, and returns the reason.
#[track_caller]
fn closed<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Closed(reason)) => chain(&reason),
        other => panic!("not closed: {other:?}"),
    }
}
