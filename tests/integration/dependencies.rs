//! The crates that torcon brings into a program: how many, in which versions, under which
//! licenses, and from where.
//!
//! `.ci/run deny` checks the same for other systems too, by the rules of `.deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::Command;

/// The most crates that are built for a program, without torcon; the README says how many.
const MOST_CRATES: usize = 50;

/// The licenses that may apply; where a crate offers several, one of these is among them.
const LICENSES: [&str; 4] = ["Apache-2.0", "BSD-3-Clause", "MIT", "Unicode-3.0"];

/// Crates that run at build time in two versions: curve25519-dalek-derive, of curve25519-dalek
/// 5.0, has syn 2; thiserror and `serde_derive` have syn 3.
const TWICE: [&str; 1] = ["syn"];

/// Async runtimes, bindings to C libraries, and what compiles C.
const BANNED: [&str; 6] = ["async-std", "cc", "futures", "openssl-sys", "smol", "tokio"];

/// Those that a program on this system gets, also at build time; a feature only adds crates, so
/// those of all features include those of each combination.
const ALL: [&str; 3] = ["--all-features", "--edges", "normal,build"];

/// Returns the lines that `cargo tree` prints for the crates of a program on this system.
fn tree(format: &str, arguments: &[&str]) -> BTreeSet<String> {
    let mut command = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command
        .args(["tree", "--quiet", "--offline", "--no-dedupe", "--prefix", "none"])
        .args(["--format", format])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Whether one of `LICENSES` can be chosen in each part of an SPDX expression.
fn may_be_used(expression: &str) -> bool {
    // Before there was a grammar, a stroke stood for OR.
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')']);
        part.split(" OR ").any(|license| LICENSES.contains(&license.trim()))
    })
}

#[test]
fn no_crate_is_linked_in_two_versions() {
    let arguments = ["--all-features", "--edges", "normal,no-proc-macro", "--duplicates"];
    let twice = tree("{p}", &arguments);
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn a_crate_that_is_built_in_two_versions_has_a_reason() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for line in tree("{p}", &ALL) {
        let mut words = line.split(' ').map(str::to_owned);
        let name = words.next().unwrap();
        versions.entry(name).or_default().extend(words.next());
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.keys().eq(TWICE), "{versions:#?}");
}

/// Crates that run at build time are counted too.
#[test]
fn a_program_builds_no_more_crates_than_the_readme_says() {
    let crates = tree("{p}", &["--edges", "normal,build"]);
    let count = crates.len() - 1;
    assert!(count <= MOST_CRATES, "{count}: {crates:#?}");
}

#[test]
fn every_crate_has_a_license_that_may_be_combined_with_that_of_torcon() {
    let refused: Vec<String> = tree("{p}: {l}", &ALL)
        .into_iter()
        .filter(|line| !line.rsplit(": ").next().is_some_and(may_be_used))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_license_is_refused_unless_each_part_allows_a_choice() {
    for accepted in
        ["MIT", "MIT/Apache-2.0", "Zlib OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "0BSD/MIT"]
    {
        assert!(may_be_used(accepted), "{accepted}");
    }
    for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0", "MIT-0", "Zlib"] {
        assert!(!may_be_used(refused), "{refused}");
    }
}

#[test]
fn no_crate_is_an_async_runtime_or_compiles_c() {
    let crates = tree("{p}", &ALL);
    let is_banned = |line: &&String| BANNED.contains(&line.split(' ').next().unwrap());
    assert_eq!(crates.iter().find(is_banned), None);
}

/// `cargo tree` names the place of a crate that is not from the registry.
#[test]
fn every_crate_is_from_the_registry() {
    let is_elsewhere = |line: &&String| line.contains('(') && !line.ends_with(" (proc-macro)");
    let crates = tree("{p}", &ALL);
    let elsewhere: Vec<&String> = crates.iter().filter(is_elsewhere).collect();
    assert!(matches!(elsewhere[..], [own] if own.starts_with("torcon v")), "{elsewhere:#?}");
}
