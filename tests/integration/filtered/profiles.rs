//! The profiles of the filters of real applications.
//!
//! All but one are written after the profiles in `usr/share/doc/onion-grater-merger/examples` of
//! `Whonix/onion-grater`; each names its file. Rules for other versions of an application are left
//! out. `{client}` is the address of the application, as the filter sees it.

use crate::support::filter::{EventRule, Profile, Replacements, allow, answer, replace};

const DONE: Replacements = &[(
    "250-status/bootstrap-phase=**",
    "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"",
)];

/// `40_onionshare.yml`. Events of uploads arrive without their directories, and an event that no
/// pattern matches is replaced by a line without a status code.
pub(super) const ONIONSHARE: Profile = Profile {
    name: "onionshare",
    commands: &[
        allow("GETINFO", "onions/current"),
        allow("GETINFO", "version"),
        answer("GETINFO", "status/bootstrap-phase", DONE),
        allow("GETCONF", "hiddenservicesinglehopmode"),
        replace("ADD_ONION", "NEW:<*> Port=80,<176##>", "NEW:{} Port=80,{client}:{}"),
        replace(
            "ADD_ONION",
            "<*> Flags=V3Auth Port=80,<176##> ClientAuthV3=<*>",
            "{} Flags=V3Auth Port=80,{client}:{} ClientAuthV3={}",
        ),
        allow("DEL_ONION", "*"),
    ],
    confs: &["__owningcontrollerprocess"],
    events: &[
        ("SIGNAL", EventRule::Suppress),
        ("CONF_CHANGED", EventRule::Suppress),
        ("STATUS_SERVER", EventRule::Suppress),
        (
            "HS_DESC",
            EventRule::Replace(&[
                (
                    "650 HS_DESC CREATED <*> <*> <*> * <**>",
                    "650 HS_DESC CREATED {} {} {} redacted {}",
                ),
                ("650 HS_DESC UPLOAD <*> <*> **", "650 HS_DESC UPLOAD {} {} redacted redacted"),
                ("650 HS_DESC UPLOADED <*> <*> **", "650 HS_DESC UPLOADED {} {} redacted"),
                (
                    "650 HS_DESC CREATED <*> * * *",
                    "650 HS_DESC CREATED {} redacted redacted redacted",
                ),
                ("**", "XXXredactedXXX"),
            ]),
        ),
    ],
};

/// `40_bitcoind.yml`: one form of one command, with the address in it, and no event.
pub(super) const BITCOIND: Profile = Profile {
    name: "bitcoind",
    commands: &[
        replace(
            "ADD_ONION",
            "NEW:<*> Port=8333,127.0.0.1:8334",
            "NEW:{} Port=8333,{client}:8334 Flags=DiscardPK",
        ),
        replace(
            "ADD_ONION",
            "NEW:<*> Port=8333,0.0.0.0:8334",
            "NEW:{} Port=8333,{client}:8334 Flags=DiscardPK",
        ),
    ],
    confs: &[],
    events: &[],
};

/// `40_bisq.yml`: `SETCONF` without quotes; unknown events are dropped.
pub(super) const BISQ: Profile = Profile {
    name: "bisq",
    commands: &[
        answer("GETINFO", "status/bootstrap-phase", DONE),
        replace("ADD_ONION", "NEW:<*> Port=9999,<*>", "NEW:{} Port=9999,{client}:{}"),
        replace("ADD_ONION", "<*>:<*> Port=9999,<*>", "{}:{} Port=9999,{client}:{}"),
        allow("DEL_ONION", "*"),
        allow("HSFETCH", "*"),
        allow("SETCONF", "DisableNetwork=#"),
    ],
    confs: &[],
    events: &[
        ("SIGNAL", EventRule::Suppress),
        ("CIRC", EventRule::Suppress),
        ("ORCONN", EventRule::Suppress),
        ("NOTICE", EventRule::Suppress),
        ("WARN", EventRule::Suppress),
        ("ERR", EventRule::Suppress),
        (
            "HS_DESC",
            EventRule::Replace(&[
                (
                    "650 HS_DESC CREATED <*> <*> <*> * <**>",
                    "650 HS_DESC CREATED {} {} {} redacted {}",
                ),
                (
                    "650 HS_DESC FAILED <*> * * * <**>",
                    "650 HS_DESC FAILED {} redacted redacted redacted {}",
                ),
                ("650 HS_DESC UPLOAD <*> <*> <*> <*> <*>", "650 HS_DESC UPLOAD {} {} {} {} {}"),
                ("650 HS_DESC UPLOADED <*> <*> **", "650 HS_DESC UPLOADED {} {} redacted"),
                ("**", ""),
            ]),
        ),
        ("HS_DESC_CONTENT", EventRule::Suppress),
    ],
};

/// `40_cwtch.yml`: a key and flags that the application gives, and an address of IPv6.
pub(super) const CWTCH: Profile = Profile {
    name: "cwtch",
    commands: &[
        answer(
            "GETINFO",
            "network-liveness",
            &[("250-network-liveness=**", "250-network-liveness=up")],
        ),
        answer("GETINFO", "status/bootstrap-phase", DONE),
        answer("GETCONF", "DisableNetwork", &[("250 DisableNetwork=**", "250 DisableNetwork=0")]),
        replace(
            "ADD_ONION",
            "ED25519-V3:<*> Flags=DiscardPK,Detach Port=9878,[::]:<15###>",
            "ED25519-V3:{} Flags=DiscardPK,Detach Port=9878,{client}:{}",
        ),
        allow("DEL_ONION", "*"),
        allow("HSFETCH", "*"),
    ],
    confs: &[],
    events: &[
        ("CIRC", EventRule::Suppress),
        ("ORCONN", EventRule::Suppress),
        ("WARN", EventRule::Suppress),
        ("ERR", EventRule::Suppress),
        ("HS_DESC", EventRule::Suppress),
        ("HS_DESC_CONTENT", EventRule::Suppress),
    ],
};

/// `40_ricochet.yml`: three keys of `GETINFO` together, and not one of them alone.
pub(super) const RICOCHET: Profile = Profile {
    name: "ricochet",
    commands: &[
        answer(
            "GETINFO",
            "status/circuit-established status/bootstrap-phase net/listeners/socks",
            DONE,
        ),
        allow("GETCONF", "DisableNetwork"),
        replace("ADD_ONION", "NEW:<*> Port=9878,*:<*>", "NEW:{} Port=9878,{client}:{}"),
        replace("ADD_ONION", "<*>:<*> Port=9878,*:<*>", "{}:{} Port=9878,{client}:{}"),
        allow("DEL_ONION", "*"),
    ],
    confs: &[],
    events: &[("STATUS_CLIENT", EventRule::Suppress)],
};

/// `40_wahay.yml`: two ports, each with its address.
pub(super) const WAHAY: Profile = Profile {
    name: "wahay",
    commands: &[
        replace(
            "ADD_ONION",
            "NEW:<*> Port=8181,127.0.0.1:<*> Port=64738,127.0.0.1:<*>",
            "NEW:{} Port=8181,{client}:{} Port=64738,{client}:{} Flags=DiscardPK",
        ),
        allow("DEL_ONION", "*"),
        allow("GETINFO", "version"),
    ],
    confs: &[],
    events: &[("STREAM", EventRule::Pass)],
};

/// `40_zeronet.yml`: a port and the same port.
pub(super) const ZERONET: Profile = Profile {
    name: "zeronet",
    commands: &[
        replace("ADD_ONION", "NEW:<*> Port=15441,15441", "NEW:{} Port=15441,{client}:15441"),
        allow("DEL_ONION", "*"),
        allow("GETCONF", "hiddenservicesinglehopmode"),
    ],
    confs: &[],
    events: &[],
};

/// Not after a file: the permissions of a stream monitor, as the comments of onion-grater describe
/// the one for Tor Browser. One key at a time, and addresses replaced in replies and events, of
/// which some lose their status code.
pub(super) const MONITOR: Profile = Profile {
    name: "monitor",
    commands: &[
        answer(
            "GETINFO",
            "stream-status",
            &[("250-stream-status=<* * *> **", "250-stream-status={} redacted:0")],
        ),
        allow("GETINFO", "circuit-status"),
        allow("GETINFO", "net/listeners/socks"),
        allow("GETINFO", "status/circuit-established"),
        allow("GETINFO", "status/bootstrap-phase"),
        allow("GETINFO", "ns/all"),
        allow("SIGNAL", "NEWNYM"),
    ],
    confs: &["DisableNetwork", "SocksPort"],
    events: &[
        (
            "STREAM",
            EventRule::Replace(&[
                ("650 STREAM <* NEW *> **", "STREAM {} redacted:443"),
                ("650 STREAM <* * *> **", "650 STREAM {} redacted:0"),
            ]),
        ),
        ("CIRC", EventRule::Pass),
        ("BW", EventRule::Replace(&[("650 BW **", "XXXredactedXXX")])),
    ],
};

pub(super) const ALL: [&Profile; 8] =
    [&ONIONSHARE, &BITCOIND, &BISQ, &CWTCH, &RICOCHET, &WAHAY, &ZERONET, &MONITOR];
