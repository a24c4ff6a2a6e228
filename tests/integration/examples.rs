//! The programs below `examples/`: their arguments, and their end at a signal.

mod signals;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Returns the program of an example. Builds all of them at the first call, since the build of a
/// single test does not.
fn example(name: &str) -> Command {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        // target/debug/deps/integration-0123
        let this = env::current_exe().unwrap();
        let profile = this.ancestors().nth(2).unwrap();
        let mut build = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
        build
            .args(["build", "--quiet", "--offline", "--examples", "--all-features"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("--target-dir")
            .arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the examples are built");
        profile.join("examples")
    });
    let mut command = Command::new(directory.join(name));
    command.stdin(Stdio::null());
    command
}

/// Returns the names of all examples.
fn names() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> =
        sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Runs an example, and returns its standard output and standard error.
fn run(name: &str, argument: impl AsRef<OsStr>) -> (Output, String, String) {
    let output = example(name).arg(argument).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

#[test]
fn every_example_explains_its_arguments() {
    for name in names() {
        for argument in ["--help", "-h"] {
            let (output, stdout, stderr) = run(&name, argument);
            assert!(output.status.success(), "{name} {argument}: {}", output.status);
            assert!(stdout.starts_with(&format!("usage: {name}")), "{name}: {stdout}");
            assert_eq!(stderr, "", "{name} {argument}");
        }
    }
}

#[test]
fn every_example_refuses_unknown_arguments() {
    for name in names() {
        let (output, stdout, stderr) = run(&name, "--no-such-argument");
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains("--no-such-argument"), "{name}: {stderr}");
        assert!(stderr.contains(&format!("usage: {name}")), "{name}: {stderr}");
        assert_eq!(stdout, "", "{name}");
        let (output, _, stderr) = run(&name, OsStr::from_bytes(b"--\xff"));
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
    }
}

#[test]
fn every_example_begins_with_its_purpose_and_how_it_is_run() {
    for name in names() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.rs"));
        let source = fs::read_to_string(path).unwrap();
        assert!(source.starts_with("//! "), "{name} has no description");
        let header: Vec<_> = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let command = header.iter().find(|line| line.contains("cargo run")).expect(&name);
        assert!(command.contains(&format!("--example {name}")), "{name}: {command}");
        let needs_feature = source.contains("torcon::testnet");
        assert_eq!(command.contains("--features testnet"), needs_feature, "{name}: {command}");
    }
}
