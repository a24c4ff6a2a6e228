use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use torcon::Error;
use torcon::process::{ControlVia, Launcher};

use crate::error_text::check_text;
use crate::support::dialect::Dialect;

/// A limit that only a failed test reaches.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A limit without progress, which a test waits for. Usually tor has logged before why it makes none.
pub(crate) const STALL: Duration = Duration::from_secs(15);
/// A limit for an immediate reaction.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Returns the error of a launch that makes no progress until its limit. On a busy machine tor may not
/// have logged yet what is `wanted` in the error, or may have aborted: then the limit is longer.
#[track_caller]
pub(crate) fn stalled(launcher: impl Fn() -> Launcher, wanted: &str) -> Error {
    let attempt = |limit| {
        let error = launcher().stall_timeout(limit).launch().unwrap_err();
        check_text(&error);
        error
    };
    let is_wanted = |error: &Error| error.is_timeout() && error.to_string().contains(wanted);
    let error = attempt(STALL);
    if is_wanted(&error) {
        return error;
    }
    let second = attempt(4 * STALL);
    assert!(is_wanted(&second), "{error}; then {second}");
    second
}

/// A shell script in place of tor, in a temporary directory.
pub(crate) struct FakeProcess {
    directory: TempDir,
}

impl FakeProcess {
    /// Writes the script. Its arguments are those of tor: `-f torrc --defaults-torrc file`.
    /// The phases of a bootstrap that it reports must have been recorded.
    pub(crate) fn new(script: &str) -> Self {
        for phase in script.split("Bootstrapped ").skip(1) {
            let tag = phase.split(['(', ')']).nth(1).unwrap_or_default();
            let event = format!("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1 TAG={tag}\r\n");
            assert_eq!(Dialect::default().check(event.as_bytes()), Ok(()));
        }
        let directory = tempfile::tempdir().unwrap();
        // Another process writes the file: while a child that another thread of this process
        // starts has it open for writing, it cannot be executed.
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "cat >\"$0\" && chmod 700 \"$0\""])
            .arg(directory.path().join("tor"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = shell.stdin.take().unwrap();
        writeln!(text, "#!/bin/sh\nsay() {{ echo \"Nov 23 09:00:00.000 [notice] $*\"; }}").unwrap();
        text.write_all(script.as_bytes()).unwrap();
        drop(text);
        assert!(shell.wait().unwrap().success());
        Self { directory }
    }

    /// Returns a tor that bootstraps at once, and runs for a minute.
    pub(crate) fn bootstrapped() -> Self {
        Self::new("say 'Bootstrapped 100% (done): Done'\nexec sleep 60")
    }

    /// Returns a tor that reports 5 % first.
    pub(crate) fn bootstrapped_in_two_steps() -> Self {
        Self::new(
            "say 'Bootstrapped 5% (conn): Connecting to a relay'\nsay 'Bootstrapped 100% (done): Done'\n\
             exec sleep 60",
        )
    }

    /// Returns the path of the script.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("tor")
    }

    /// Returns the path of a file for the PID of the script.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path().with_extension("pid")
    }

    /// Returns a launcher of the script without a control connection.
    pub(crate) fn launcher(&self) -> Launcher {
        Launcher::new()
            .program(self.path())
            .control(ControlVia::None)
            .timeout(LONG)
            .stall_timeout(LONG)
    }
}
