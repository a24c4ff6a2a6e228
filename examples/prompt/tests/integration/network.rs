use std::fs;

use crate::program::{program, run};

/// Takes longer than other tests: a network of six tors starts.
#[test]
fn a_private_network_is_launched_and_nothing_is_left_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = program(["--private-network"]);
    program.env("TMPDIR", directory.path());
    let input = "GETINFO status/bootstrap-phase\n/info auth0\n";
    let ended = run(program, input);
    assert!(ended.out.contains("PROGRESS=100 TAG=done"), "{ended:?}");
    assert!(ended.err.contains("private network: "), "{ended:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
