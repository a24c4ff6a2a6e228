//! A clean release build of a program that uses torcon.

use std::fs;
use std::process::Command;

use nix::sys::resource::UsageWho;

use crate::support::counts::Usage;
use crate::support::report::{self, Goal};

const MANIFEST: &str = "[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
     [workspace]\n[profile.release]\nstrip = true\n[dependencies]\ntorcon.path = ";

const PROGRAM: &str = r#"
use torcon::{EventKind, Result};

fn main() -> Result<()> {
    let controller = torcon::connect_default()?;
    println!("tor {}", controller.version());
    println!("{} bytes read", controller.get_info_one("traffic/read")?);
    controller.set_conf([("MaxCircuitDirtiness", "300")])?;
    controller.add_event_listener(EventKind::Circ, |event| println!("{event}"))?;
    for circuit in controller.circuit_status()? {
        println!("{circuit}");
    }
    Ok(())
}
"#;

/// Builds with the lock file of this crate, so that no registry is asked for newer versions.
pub(crate) fn clean() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let crate_root = env!("CARGO_MANIFEST_DIR");
    fs::create_dir(root.join("src")).unwrap();
    fs::write(root.join("Cargo.toml"), format!("{MANIFEST}{crate_root:?}\n")).unwrap();
    fs::write(root.join("src/main.rs"), PROGRAM).unwrap();
    fs::copy(format!("{crate_root}/Cargo.lock"), root.join("Cargo.lock")).unwrap();
    let before = Usage::of(UsageWho::RUSAGE_CHILDREN);
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--target-dir", "target"])
        .current_dir(root)
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "cargo build: {status}");
    let after = Usage::of(UsageWho::RUSAGE_CHILDREN);
    report::figure("s of CPU", after.cpu - before.cpu, Goal::AtMost(75.0));
    let program = fs::metadata(root.join("target/release/program")).unwrap();
    report::figure("MB stripped", program.len() as f64 / 1e6, Goal::AtMost(0.9));
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    // The program itself is a package too.
    report::figure("crates", lock.matches("[[package]]").count() as f64 - 1.0, None);
}
