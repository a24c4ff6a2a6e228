//! torcon against a real tor whose network is off: what the documentation promises is true of tor.
//!
//! Tests that only read share one tor; the others have one of their own.

/// Ways to prove who we are.
mod auth;
/// Cookies elsewhere, wrong ones, and passwords beside them.
mod auth_cookie;
/// Commands for circuits and streams that do not exist.
mod circuits;
/// Signals, features, ownership, commands as text.
mod commands;
/// The options of the configuration: read, changed, and their values there and back.
mod conf;
/// Values of options, quoted and not.
mod conf_values;
/// The configuration: every option with its type, there and back.
mod config;
/// Settings that would end tor.
mod config_deadly;
/// What others have configured, and what tor does by default.
mod config_kept;
/// Cached values, and who changes the configuration at the same time.
mod config_races;
/// Saving the configuration: what tor refuses, lists, and who else changes them.
mod config_save;
/// The onion services of the configuration.
mod config_services;
/// Endpoints, and the password closure.
mod connect;
/// Events without a network, each as its type.
mod event_kinds;
/// Listeners, queues and waits.
mod events;
/// A tor that dies or is stopped, and commands that nobody may send.
mod faults;
/// Which paths are checked for tor, and which are left to it.
mod file_system;
/// `GETINFO` of any key.
mod info;
/// Every `GETINFO` key and its method.
mod info_keys;
/// The status of tor as a relay.
mod info_relay;
/// Address mappings, resolving, guards and descriptors.
mod network;
/// A command that a program brings itself.
mod own_command;
/// A state whose tor is stopped.
mod state_stopped;
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
    torcon::connect(shared().endpoint()).expect("the shared tor lets us in")
}

/// Connects to a tor of the test's own.
#[track_caller]
fn controller(tor: &RealTor) -> Controller {
    torcon::connect(tor.endpoint()).expect("the tor of the test lets us in")
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

/// Returns the text of the refusal that a call met, with its causes.
#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    chain(&outcome.expect_err("this is refused"))
}

/// Does something as a user to whom tor's data directory is closed; only within `exclusive()`.
fn as_somebody_else<T>(tor: &RealTor, work: impl FnOnce() -> T) -> T {
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
