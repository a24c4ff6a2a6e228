//! The crates that torcon brings into a program.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

/// The most crates that are built for a program, without torcon; the README says how many.
const MOST_CRATES: usize = 50;

/// Returns the lines that `cargo tree` prints for the crates of a program on this system.
fn tree(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command
        .args(["tree", "--quiet", "--offline", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A feature only adds crates, so those of all features include those of each combination.
#[test]
fn no_crate_is_linked_in_two_versions() {
    let twice = tree(&["--all-features", "--edges", "normal,no-proc-macro", "--duplicates"]);
    assert!(twice.is_empty(), "{twice:#?}");
}

/// Crates that run at build time are counted too.
#[test]
fn a_program_builds_no_more_crates_than_the_readme_says() {
    let name = |line: &String| line.split(" (").next().map(str::to_owned);
    let crates: BTreeSet<_> = tree(&["--edges", "normal,build"]).iter().filter_map(name).collect();
    let count = crates.len() - 1;
    assert!(count <= MOST_CRATES, "{count}: {crates:#?}");
}
