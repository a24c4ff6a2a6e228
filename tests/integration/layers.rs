//! The layers of the library: a module uses only rows below its own.
//!
//! The source files are read as text. What is checked: the rows, the purity of the lower ones, the
//! names and the sizes of files, and that code names things where they are defined and not by the
//! re-exports at the root.

use std::fmt;

use crate::support::failure::panic_of;
use crate::support::source::{Source, library_sources};

/// Each family of modules with its row.
const ROWS: &[(&str, u8)] = &[
    ("guide", 0),
    ("names", 0),
    ("sync", 0),
    ("clock", 1),
    ("error", 1),
    ("wire", 2),
    ("command", 3),
    ("descriptor", 3),
    ("event", 3),
    ("info", 3),
    ("link", 4),
    ("private_files", 4),
    ("auth", 5),
    ("socks", 5),
    ("temporary", 5),
    ("controller", 6),
    ("state", 7),
    ("config", 7),
    ("process", 7),
    ("testkit", 7),
    ("onion", 8),
    ("tor", 9),
    ("fuzzing", 9),
    ("supervisor", 10),
    ("testnet", 10),
];

/// Rows that are pure: no socket, file, thread, clock or log.
const LAST_PURE_ROW: u8 = 3;

/// The family that names the locks, channels, atomics and threads of other crates.
const SYNC: &str = "sync";

/// The crates that no other family names.
const OF_SYNC: &[&str] = &["crossbeam_channel", "parking_lot"];

/// Paths that these families do not name either, outside of their tests.
const OF_SYNC_IN: (&[&str], &[&str]) =
    (&["std::sync::atomic", "std::thread"], &["controller", "link", "state", "supervisor"]);

/// The family that reads the clocks of the operating system, and pauses threads.
const CLOCK: &str = "clock";

/// The file that the integration tests include, and which uses nothing of the crate.
const WITHOUT_THE_CRATE: &str = "src/testkit/socket.rs";

/// Calls that no other family makes, outside of its tests.
const OF_CLOCK: &[&str] = &[
    "crate::sync::thread::sleep",
    "std::thread::sleep",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
];

/// Families that may use less than their row allows, and why.
const NARROWER: &[(&str, &str, &str)] = &[
    ("link", "command", "the link knows no command by name"),
    ("process", "command", "processes speak to tor through the controller"),
    ("process", "wire", "processes speak to tor through the controller"),
    ("socks", "command", "SOCKS has nothing to do with the control protocol"),
    ("socks", "event", "SOCKS has nothing to do with the control protocol"),
    ("socks", "link", "of the link, SOCKS uses the sockets and nothing else"),
    ("socks", "auth", "SOCKS has nothing to do with the control protocol"),
    ("socks", "controller", "SOCKS has nothing to do with the control protocol"),
];

/// The exceptions.
const ALLOWED: &[(&str, &str)] = &[
    ("socks", "crate::link::Endpoint"),
    ("socks", "crate::link::Stream"),
    ("socks", "crate::link::WriteOutcome"),
    ("socks", "crate::link::delegate_socket"),
];

/// The paths that pure code may not use, with everything below them.
const IMPURE: &[&str] = &[
    "crossbeam_channel",
    "getrandom",
    "log",
    "nix",
    "parking_lot",
    "std::env",
    "std::fs",
    "std::net",
    "std::os::unix::net",
    "std::process::Child",
    "std::process::Command",
    "std::thread",
    "std::time::*",
    "std::time::Instant",
    "std::time::SystemTime::now",
    "tempfile",
];

/// Values, not resources: an address that tor names is data.
const PURE: &[&str] = &[
    "std::net::AddrParseError",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
];

/// Names without meaning.
const EMPTY_NAMES: &[&str] =
    &["base", "common", "handler", "handlers", "helper", "helpers", "manager", "misc", "types"];
const EMPTY_PARTS: &[&str] = &["util"];

const CODE_LINES: usize = 600;
const TEST_LINES: usize = 800;

/// A rule that a file breaks.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Checks one file, named from the crate's root: `src/error/auth.rs`.
fn check(file: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut add = |line: usize, problem: String| {
        violations.push(Violation { file: file.to_owned(), line, problem });
    };
    let inner = file.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs"));
    let segments: Vec<&str> = inner.expect("sources are src/**/*.rs").split('/').collect();
    let is_test_file = segments.last() == Some(&"tests");

    let lines = text.lines().count();
    let limit = if is_test_file { TEST_LINES } else { CODE_LINES };
    if lines > limit {
        add(limit, format!("{lines} lines, more than {limit}"));
    }
    if segments.last() == Some(&"mod") {
        add(1, "a mod.rs: write the module beside its folder".to_owned());
    }
    let module: Vec<&str> = match segments.as_slice() {
        ["lib"] => vec!["crate"],
        segments => [&["crate"], segments].concat(),
    };
    let source = Source::read(text, &module, is_test_file);
    let own_names = segments.iter().map(|&name| (name.to_owned(), 1));
    for (name, line) in own_names.chain(source.modules) {
        if EMPTY_NAMES.contains(&name.as_str())
            || EMPTY_PARTS.iter().any(|part| name.split('_').any(|word| word.starts_with(part)))
        {
            add(line, format!("a module called {name:?}: name what it holds"));
        }
    }

    let family = segments[0];
    if family == "lib" {
        return violations;
    }
    let Some(own_row) = row(family) else {
        add(1, format!("the family {family:?} has no row in tests/integration/layers.rs"));
        return violations;
    };
    for path in source.paths {
        let shown = path.segments.join("::");
        let in_tests = path.in_tests || segments.contains(&"tests");
        let names: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["crate", used, ..] if *used == family => {}
            _ if family != CLOCK
                && !in_tests
                && file != WITHOUT_THE_CRATE
                && OF_CLOCK.contains(&&*shown) =>
            {
                add(path.line, format!("{family} uses {shown}: take it from crate::{CLOCK}"));
            }
            ["crate", "sync" | "clock", ..]
                if own_row <= LAST_PURE_ROW && family != CLOCK && !path.in_tests =>
            {
                add(path.line, format!("{family} is pure (row {own_row}) and uses {shown}"));
            }
            // The text of configuration files is not that of the control protocol.
            ["crate", "wire", "torrc", ..] if own_row > LAST_PURE_ROW => {}
            ["crate", used, ..] => match row(used) {
                None => add(
                    path.line,
                    format!(
                        "{family} names {shown}: name the module that defines it, not the root"
                    ),
                ),
                Some(used_row) if used_row >= own_row => add(
                    path.line,
                    format!("{family} (row {own_row}) uses {used} (row {used_row}): {shown}"),
                ),
                Some(_)
                    if ALLOWED.iter().any(|(by, path)| *by == family && is_below(&shown, path)) => {
                }
                Some(_) => {
                    let narrower = NARROWER.iter().find(|rule| rule.0 == family && rule.1 == *used);
                    if let Some((_, _, reason)) = narrower {
                        add(path.line, format!("{family} uses {used}: {shown}, but {reason}"));
                    }
                }
            },
            ["crate"] => add(path.line, format!("{family} names the root of the crate")),
            _ if [CLOCK, SYNC].contains(&family) => {}
            _ if own_row <= LAST_PURE_ROW && !path.in_tests && is_impure(&shown) => {
                add(path.line, format!("{family} is pure (row {own_row}) and uses {shown}"));
            }
            _ if is_of_sync(family, in_tests, &shown) => {
                add(path.line, format!("{family} uses {shown}: take it from crate::{SYNC}"));
            }
            _ => {}
        }
    }
    violations
}

fn row(family: &str) -> Option<u8> {
    ROWS.iter().find(|(name, _)| *name == family).map(|&(_, row)| row)
}

/// Returns whether a family must take this path from `sync`.
fn is_of_sync(family: &str, in_tests: bool, path: &str) -> bool {
    let is_any = |paths: &[&str]| paths.iter().any(|prefix| is_below(path, prefix));
    let (paths, families) = OF_SYNC_IN;
    is_any(OF_SYNC) || (families.contains(&family) && !in_tests && is_any(paths))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_impure(path: &str) -> bool {
    let is_below = |prefix: &&str| is_below(path, prefix);
    IMPURE.iter().any(is_below) && !PURE.iter().any(is_below)
}

#[test]
fn modules_use_only_rows_below_their_own_and_keep_the_rules_of_the_house() {
    let violations: Vec<_> =
        library_sources().iter().flat_map(|(file, text)| check(file, text)).collect();
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} rules are broken:\n{}", list.len(), list.join("\n"));
}

/// Returns the problems of a made-up file, with their lines.
fn problems(file: &str, text: &str) -> Vec<String> {
    check(file, text).iter().map(|found| format!("{}: {}", found.line, found.problem)).collect()
}

#[test]
fn a_module_that_points_upwards_or_sideways_is_found() {
    let text = "use crate::names::Signal;\n\
                use crate::{error::Error, link::{self, reader}};\n\
                fn f() { super::controller::g(); }\n\
                use crate::event::Event;\n";
    assert_eq!(
        problems("src/command.rs", text),
        [
            "2: command (row 3) uses link (row 4): crate::link",
            "2: command (row 3) uses link (row 4): crate::link::reader",
            "3: command (row 3) uses controller (row 6): crate::controller::g",
            "4: command (row 3) uses event (row 3): crate::event::Event",
        ]
    );
    assert_eq!(problems("src/link/reader.rs", "use crate::event::Event;\n"), Vec::<String>::new());
    assert_eq!(
        problems("src/link/reader.rs", "use super::router::Router;\n"),
        Vec::<String>::new()
    );
}

#[test]
fn a_rule_narrower_than_the_rows_is_found_with_its_reason() {
    assert_eq!(
        problems("src/process/ready.rs", "use crate::{controller::Controller, wire::Reply};\n"),
        [
            "1: process uses wire: crate::wire::Reply, but processes speak to tor through the controller"
        ]
    );
    assert_eq!(
        problems("src/link.rs", "fn f() { crate::command::info::g() }\n"),
        ["1: link uses command: crate::command::info::g, but the link knows no command by name"]
    );
    assert_eq!(
        problems("src/socks/connect.rs", "use crate::link::{Link, Stream, StreamList};\n"),
        [
            "1: socks uses link: crate::link::Link, but of the link, SOCKS uses the sockets and nothing else",
            "1: socks uses link: crate::link::StreamList, but of the link, SOCKS uses the sockets and nothing else",
        ]
    );
}

#[test]
fn a_path_through_the_root_is_found_except_in_the_root_itself() {
    let text = "//! [`crate::Error`] in the docs is right.\nuse crate::{Error, names::Signal};\n";
    assert_eq!(
        problems("src/wire/reply.rs", text),
        ["2: wire names crate::Error: name the module that defines it, not the root"]
    );
    assert_eq!(
        problems("src/tor.rs", "fn f() -> super::Result<()> {}\nuse crate as torcon;\n"),
        [
            "1: tor names crate::Result: name the module that defines it, not the root",
            "2: tor names the root of the crate",
        ]
    );
    assert_eq!(problems("src/lib.rs", "pub use crate::tor::Tor;\n"), Vec::<String>::new());
}

#[test]
fn a_family_without_a_row_is_found() {
    assert_eq!(
        problems("src/cache/entry.rs", ""),
        ["1: the family \"cache\" has no row in tests/integration/layers.rs"]
    );
    assert_eq!(
        problems("src/event.rs", "use crate::cache::Entry;\n"),
        ["1: event names crate::cache::Entry: name the module that defines it, not the root"]
    );
}

#[test]
fn input_and_output_in_a_pure_row_is_found() {
    let text = "use std::net::{IpAddr, SocketAddr, TcpStream};\n\
                use std::time::{Duration, Instant, SystemTime};\n\
                fn now() -> SystemTime { SystemTime::now() }\n\
                fn f() { log::debug!(\"x\"); std::thread::sleep(Duration::ZERO); }\n\
                use std::{fs, io};\n\
                fn epoch() -> SystemTime { SystemTime::UNIX_EPOCH }\n\
                #[cfg(test)]\nmod tests { fn g() { std::fs::read(\"x\"); } }\n";
    assert_eq!(
        problems("src/event.rs", text),
        [
            "1: event is pure (row 3) and uses std::net::TcpStream",
            "2: event is pure (row 3) and uses std::time::Instant",
            "3: event uses std::time::SystemTime::now: take it from crate::clock",
            "4: event is pure (row 3) and uses log::debug",
            "4: event uses std::thread::sleep: take it from crate::clock",
            "5: event is pure (row 3) and uses std::fs",
        ]
    );
    assert_eq!(
        problems("src/process.rs", text),
        [
            "3: process uses std::time::SystemTime::now: take it from crate::clock",
            "4: process uses std::thread::sleep: take it from crate::clock",
        ]
    );
    assert_eq!(problems("src/event/tests.rs", text), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_not_that_of_the_crate_is_found() {
    let text = "use std::time::{self, Instant};\nuse crate::sync::thread;\n\
                fn f(x: Option<Instant>) { x.get_or_insert_with(Instant::now); }\n\
                fn g() { thread::sleep(f()); time::SystemTime::now(); }\n\
                #[cfg(test)]\nmod tests { fn g() { std::time::Instant::now(); } }\n";
    assert_eq!(
        problems("src/state/feed.rs", text),
        [
            "3: state uses std::time::Instant::now: take it from crate::clock",
            "4: state uses crate::sync::thread::sleep: take it from crate::clock",
            "4: state uses std::time::SystemTime::now: take it from crate::clock",
        ]
    );
    assert_eq!(problems("src/clock.rs", text), Vec::<String>::new());
    assert_eq!(problems("src/state/store/tests/waits.rs", text), Vec::<String>::new());
    assert_eq!(
        problems("src/event.rs", "use crate::clock;\n"),
        ["1: event is pure (row 3) and uses crate::clock"]
    );
}

/// `elapsed` is a method, which the paths of a file do not show.
#[test]
fn no_module_measures_time_without_the_clock_of_the_crate() {
    for (file, text) in library_sources() {
        let code = text.split("mod tests {").next().unwrap();
        let reads =
            |line: &&str| line.contains(".elapsed()") && !line.trim_start().starts_with("//");
        let is_test = file.ends_with("/tests.rs") || file.contains("/tests/");
        assert!(is_test || !code.lines().any(|line| reads(&line)), "{file}");
    }
}

#[test]
fn locks_channels_and_threads_that_are_not_of_sync_are_found() {
    let text = "use parking_lot::Mutex;\nuse std::{sync::{Arc, atomic::AtomicBool}, thread};\n\
                #[cfg(test)]\nmod tests { use std::thread; use crossbeam_channel::bounded; }\n";
    assert_eq!(
        problems("src/state/feed.rs", text),
        [
            "1: state uses parking_lot::Mutex: take it from crate::sync",
            "2: state uses std::sync::atomic::AtomicBool: take it from crate::sync",
            "2: state uses std::thread: take it from crate::sync",
            "4: state uses crossbeam_channel::bounded: take it from crate::sync",
        ]
    );
    assert_eq!(
        problems("src/onion/monitor.rs", "use std::thread;\nuse crossbeam_channel::bounded;\n"),
        ["2: onion uses crossbeam_channel::bounded: take it from crate::sync"]
    );
    assert_eq!(
        problems("src/event.rs", "use crate::sync::Mutex;\n"),
        ["1: event is pure (row 3) and uses crate::sync::Mutex"]
    );
    assert_eq!(problems("src/sync.rs", text), Vec::<String>::new());
}

#[test]
fn tests_too_use_only_rows_below_their_own() {
    let text = "#[cfg(test)]\nmod tests {\n    use crate::tor::Tor;\n}\n";
    assert_eq!(
        problems("src/wire/reply.rs", text),
        ["3: wire (row 2) uses tor (row 9): crate::tor::Tor"]
    );
}

#[test]
fn an_empty_name_a_mod_file_and_a_long_file_are_found() {
    assert_eq!(
        problems("src/wire/util.rs", "mod misc;\nmod event_utils { }\nmod utility_free { }\n"),
        [
            "1: a module called \"util\": name what it holds",
            "1: a module called \"misc\": name what it holds",
            "2: a module called \"event_utils\": name what it holds",
            "3: a module called \"utility_free\": name what it holds",
        ]
    );
    assert_eq!(
        problems("src/wire/mod.rs", ""),
        ["1: a mod.rs: write the module beside its folder"]
    );
    assert_eq!(problems("src/wire.rs", &"\n".repeat(600)), Vec::<String>::new());
    assert_eq!(problems("src/wire.rs", &"\n".repeat(601)), ["600: 601 lines, more than 600"]);
    assert_eq!(problems("src/wire/tests.rs", &"\n".repeat(800)), Vec::<String>::new());
    assert_eq!(problems("src/wire/tests.rs", &"\n".repeat(801)), ["800: 801 lines, more than 800"]);
}

#[test]
fn a_violation_names_the_file_and_the_line() {
    let found = check("src/names/signal.rs", "\nuse crate::link::Link;\n");
    assert_eq!(
        found[0].to_string(),
        "src/names/signal.rs:2: names (row 0) uses link (row 4): crate::link::Link"
    );
    assert!(panic_of(|| check("lib.rs", "")).contains("src/**/*.rs"));
}
