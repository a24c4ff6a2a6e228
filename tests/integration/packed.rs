//! The crate that `cargo package` makes builds alone, with its unit tests and examples, and holds
//! no file that only the repository needs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The largest size of the packed file; it is below the 10 MiB that the registry takes, since a
/// program that depends on the crate downloads it. A quarter of the file is unit tests.
const MOST_BYTES: u64 = 5 * 1024 * 1024 / 4;

/// A command that runs the cargo of this test, without the internet.
fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
    command.current_dir(directory).env_remove("RUSTFLAGS");
    command
}

/// Runs a command, and returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Packs the crate, and returns the packed file.
fn pack(target: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(cargo(root)
        .args(["package", "--quiet", "--offline", "--allow-dirty", "--no-verify", "--target-dir"])
        .arg(target));
    let name = format!("{}-{}.crate", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    target.join("package").join(name)
}

#[test]
fn the_packed_crate_builds_alone_and_holds_what_its_users_need() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packed");
    let packed = pack(&target);
    assert!(fs::metadata(&packed).unwrap().len() < MOST_BYTES);

    let directory = tempfile::tempdir().unwrap();
    let list = run(Command::new("tar").arg("xvzf").arg(&packed).arg("-C").arg(directory.path()));
    let root = directory.path().join(packed.file_stem().unwrap());
    let files: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once('/')?.1)).collect();
    for wanted in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "examples/quickstart.rs"] {
        assert!(files.contains(&wanted), "{wanted} is missing: {files:?}");
    }
    let is_of_repository = |file: &&&str| file.starts_with('.') && **file != ".cargo_vcs_info.json";
    assert_eq!(files.iter().find(is_of_repository), None);

    run(cargo(&root)
        .args(["check", "--quiet", "--offline", "--all-features", "--lib", "--tests", "--examples"])
        .arg("--target-dir")
        .arg(&target));
}

#[test]
fn an_example_on_the_private_network_names_the_feature() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let uses = |feature: &str| {
            path.extension().is_some_and(|extension| extension == "rs")
                && fs::read_to_string(&path).unwrap().contains(&format!("torcon::{feature}"))
        };
        let wanted: Vec<&str> = ["testkit", "testnet"].into_iter().filter(|f| uses(f)).collect();
        if wanted.is_empty() {
            continue;
        }
        let wanted = format!("name = \"{name}\"\nrequired-features = {wanted:?}\n");
        assert!(manifest.contains(&wanted), "Cargo.toml lacks: {wanted}");
    }
}
