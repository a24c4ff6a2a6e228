use std::env;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::SigSet;

use super::fake_process::{FakeProcess, LONG};
use super::real::offline;
use crate::support::exclusive::exclusive;
use crate::support::real_tor::assert_exited;

const FILE: &str = "TORCON_TEST_SIGNALS";

#[test]
fn signals_that_a_program_blocks_or_ignores_are_default_in_tor() {
    exclusive(|| {
        if let Some(file) = env::var_os(FILE) {
            SigSet::all().thread_block().unwrap();
            let fake = FakeProcess::new(
                "grep -E '^Sig(Blk|Ign)' /proc/self/status\n\
                 say 'Bootstrapped 100% (done): Done'\nexec sleep 60",
            );
            let tor = fake.launcher().launch().unwrap();
            fs::write(file, tor.last_lines().join("\n")).unwrap();
            tor.quit().unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("signals");
        let name = "process::signals::\
                    signals_that_a_program_blocks_or_ignores_are_default_in_tor";
        // A shell, since only unsafe code can ignore a signal.
        let status = Command::new("/bin/sh")
            .args(["-c", "trap '' HUP INT QUIT TERM USR1 CHLD; exec \"$@\"", "sh"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", name])
            .env(FILE, &file)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let printed = fs::read_to_string(&file).unwrap();
        let sets: Vec<_> =
            printed.lines().take(2).map(|line| line.split_once('\t').unwrap()).collect();
        for (name, set) in &sets {
            // The C library reserves 32 and 33.
            let set = u64::from_str_radix(set, 16).unwrap() & !0x1_8000_0000;
            assert_eq!(set, 0, "{name} {sets:?}");
        }
        assert_eq!(sets.len(), 2);
    });
}

#[test]
fn a_tor_of_a_program_that_blocks_sigterm_ends_at_sigterm() {
    let work = || {
        SigSet::all().thread_block().unwrap();
        let tor = offline().launch().unwrap();
        tor.terminate().unwrap();
        // Not killed: tor can end its pluggable transports.
        assert_exited(0, tor.wait_timeout(LONG).unwrap());
    };
    thread::Builder::new().spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_name_without_a_slash_is_searched_in_the_path_of_tor() {
    let fake = FakeProcess::new("say 'Bootstrapped 100% (done): Done'\nexec /bin/sleep 60");
    let directory = fake.path().parent().unwrap().to_owned();
    // The first file of this name is not executable, and the second is a directory.
    let (other, third) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(other.path().join("tor"), "no program").unwrap();
    fs::create_dir(third.path().join("tor")).unwrap();
    let path = env::join_paths([other.path(), third.path(), &*directory]).unwrap();
    let tor = fake.launcher().program("tor").env("PATH", path).launch().unwrap();
    tor.quit().unwrap();
}
