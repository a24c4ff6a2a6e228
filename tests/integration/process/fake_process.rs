use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use torcon::process::{ControlVia, Launcher};

/// A limit that is never reached where all is well.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// How soon something must be noticed that is noticed at once.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A shell script that plays tor, in a directory of its own.
pub(super) struct FakeProcess {
    directory: TempDir,
}

impl FakeProcess {
    /// Writes the script. It gets tor's arguments: `-f torrc --defaults-torrc file`.
    pub(super) fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Written by another process: a file that this one has open for writing, and any child
        // that another thread starts meanwhile, could not be run.
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

    /// Returns the path of the script.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("tor")
    }

    /// Returns the file into which a script may write its PID.
    pub(super) fn pid_file(&self) -> PathBuf {
        self.path().with_extension("pid")
    }

    /// Returns a launcher of the script that opens no control connection.
    pub(super) fn launcher(&self) -> Launcher {
        Launcher::new()
            .program(self.path())
            .control(ControlVia::None)
            .timeout(LONG)
            .stall_timeout(LONG)
    }
}
