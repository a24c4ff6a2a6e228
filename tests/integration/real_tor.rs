//! torcon against a real tor whose network is off: the promises of the documentation hold.
//!
//! Tests that only read share one tor; each other test starts its own.

/// The authentication methods.
mod auth;
/// Cookies at other paths, wrong cookies, and passwords as the second method.
mod auth_cookie;
/// Commands for circuits and streams that do not exist.
mod circuits;
/// Signals, features, ownership, commands as text.
mod commands;
/// Options: reading, changing, and the round trip of their values.
mod conf;
/// Values of options, quoted and not.
mod conf_values;
/// `Config`: the round trip of every option with its type.
mod config;
/// Settings that would end tor.
mod config_deadly;
/// Configuration by other controllers, and tor's defaults.
mod config_kept;
/// Cached values, and concurrent changes of the configuration.
mod config_races;
/// Saving the configuration: refusals, lists, and concurrent changes.
mod config_save;
/// The onion services of the configuration.
mod config_services;
/// Endpoints, and the password closure.
mod connect;
/// Countries that a state keeps until the GeoIP data change.
mod countries;
/// Events without a network, each as its type.
mod event_kinds;
/// Listeners, queues and waits.
mod events;
/// A tor that dies or is stopped, and commands that are refused before they are sent.
mod faults;
/// The paths that are checked before they are sent, and those that only tor checks.
mod file_system;
/// Finding tor: the environment, the port file, given streams, the cookie and the `SocksPort`.
mod finding;
/// `GETINFO` of any key.
mod info;
/// Every `GETINFO` key and its method.
mod info_keys;
/// The status of tor as a relay.
mod info_relay;
/// Loggers that call torcon, on the thread that logs.
mod loggers;
/// A thousand controllers in one program.
mod many_controllers;
/// Address mappings, resolving, guards and descriptors.
mod network;
/// Calls that take one name or several.
mod one_or_several;
/// A command type of the program.
mod own_command;
/// A state whose tor is stopped.
mod state_stopped;
/// The statistics in the extra-info document of a relay.
mod statistics;
/// A tor that is stopped again and again.
mod stopped;

/// The whole configuration: loaded and saved, and what would make tor exit.
mod torrc;
/// The typed values of `GETINFO`.
mod typed_info;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::unistd::{Uid, seteuid};
use torcon::{Controller, Error};

use crate::support::real_tor::{RealTor, shared};

/// Connects to the tor that tests share.
#[track_caller]
fn reader() -> Controller {
    torcon::connect(shared().endpoint()).expect("the shared tor accepts the authentication")
}

/// Connects to the tor of one test.
#[track_caller]
fn controller(tor: &RealTor) -> Controller {
    torcon::connect(tor.endpoint()).expect("the tor of the test accepts the authentication")
}

/// Returns the text of an error and of all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Returns the text of the refusal of a call, with its causes.
#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    chain(&outcome.expect_err("this is refused"))
}

/// Does something as a user to whom tor's data directory is closed; only within `exclusive()`.
fn as_another_user<T>(tor: &RealTor, work: impl FnOnce() -> T) -> T {
    let us = Uid::effective();
    if us.is_root() {
        // Nothing is closed to root.
        seteuid(Uid::from_raw(65534)).unwrap();
        let outcome = work();
        seteuid(us).unwrap();
        outcome
    } else {
        fs::set_permissions(tor.data_dir(), fs::Permissions::from_mode(0o000)).unwrap();
        let outcome = work();
        fs::set_permissions(tor.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
        outcome
    }
}
