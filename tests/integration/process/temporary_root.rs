use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::real::offline;

/// Set in the process of a program with another environment.
const PROGRAM: &str = "TORCON_TEST_TEMPORARY_ROOT";
const LAUNCHED: &str = "launched in ";
const FAILED: &str = "failed: ";

/// Launches a tor in a program with this `TMPDIR`, or without, and without `HOME`. Returns tor's data
/// directory.
fn launch(directory: &Path, tmpdir: Option<&str>) -> Result<PathBuf, String> {
    let test = "process::temporary_root::temporary_files_are_in_tmpdir";
    let mut program = Command::new(env::current_exe().unwrap());
    program
        .args(["--exact", test, "--nocapture"])
        .current_dir(directory)
        .env(PROGRAM, "1")
        .env_remove("HOME")
        .env_remove("TMPDIR")
        .stdin(Stdio::null());
    if let Some(tmpdir) = tmpdir {
        program.env("TMPDIR", tmpdir);
    }
    let output = program.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The line begins with text of the test harness.
    if let Some((_, path)) = text.split_once(LAUNCHED) {
        return Ok(PathBuf::from(path.lines().next().unwrap()));
    }
    match text.split_once(FAILED) {
        Some((_, error)) => Err(error.lines().next().unwrap().to_owned()),
        None => panic!("{text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn temporary_files_are_in_tmpdir() {
    if env::var_os(PROGRAM).is_some() {
        match offline().launch() {
            Ok(tor) => {
                println!("{LAUNCHED}{}", tor.data_directory().display());
                tor.quit().unwrap();
            }
            Err(error) => println!("{FAILED}{error}"),
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    // Unset, and empty.
    for tmpdir in [None, Some("")] {
        let data = launch(&directory, tmpdir).unwrap();
        assert!(data.starts_with("/tmp"), "{tmpdir:?}: {data:?}");
    }
    // Relative, and with characters that have a meaning in a torrc.
    for name in ["relative", "with \"quotes\", \\ and # blanks ", "\u{e9}"] {
        std::fs::create_dir(directory.join(name)).unwrap();
        let data = launch(&directory, Some(name)).unwrap();
        assert!(data.starts_with(directory.join(name)), "{data:?}");
        assert_eq!(std::fs::read_dir(directory.join(name)).unwrap().count(), 0);
    }
    // Missing, and not a directory.
    std::fs::write(directory.join("file"), "").unwrap();
    for name in ["missing", "file"] {
        let path = directory.join(name);
        let error = launch(&directory, Some(path.to_str().unwrap())).unwrap_err();
        let expected = format!("cannot launch tor: cannot create {path:?}");
        assert!(error.starts_with(&expected), "{error}");
    }
}
