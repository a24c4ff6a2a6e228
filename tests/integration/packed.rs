//! The crate that `cargo package` makes holds what its users need, and no file that only the
//! repository needs. `.ci/run packed` builds it, with its unit tests and examples.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The largest size of the packed file; it is below the 10 MiB that the registry takes, since a
/// program that depends on the crate downloads it. A quarter of the file is unit tests.
const MOST_BYTES: u64 = 5 * 1024 * 1024 / 4;

/// Runs a command, and returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Packs the crate, without the internet, and returns the packed file.
fn pack(target: &Path) -> PathBuf {
    run(Command::new(env::var_os("CARGO").expect("cargo runs the tests"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["package", "--quiet", "--offline", "--allow-dirty", "--no-verify", "--target-dir"])
        .arg(target));
    let name = format!("{}-{}.crate", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    target.join("package").join(name)
}

#[test]
fn the_packed_crate_holds_what_its_users_need() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packed");
    let packed = pack(&target);
    assert!(fs::metadata(&packed).unwrap().len() < MOST_BYTES);

    let list = run(Command::new("tar").arg("tzf").arg(&packed));
    let files: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once('/')?.1)).collect();
    for wanted in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "examples/quickstart.rs"] {
        assert!(files.contains(&wanted), "{wanted} is missing: {files:?}");
    }
    let is_of_repository = |file: &&&str| file.starts_with('.') && **file != ".cargo_vcs_info.json";
    assert_eq!(files.iter().find(is_of_repository), None);
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
