use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::directory::{create, directory_problem};
use super::stage::Stage;
use crate::clock;
use crate::error::{Error, Result, TestnetProblem, Wait};
use crate::link::CancelToken;
use crate::names::Fingerprint;

/// How often a running program is polled.
const PAUSE: Duration = Duration::from_millis(5);
/// How many lines of a program that failed are kept.
const LINES: usize = 100;

/// The identity keys of a directory authority.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// The fingerprint of its authority identity key.
    pub(super) v3ident: Fingerprint,
    /// The fingerprint of its relay identity key.
    pub(super) fingerprint: Fingerprint,
}

/// The two programs that create the keys of one authority: `tor-gencert` for its votes, and
/// `tor --list-fingerprint` for its relay.
#[derive(Debug)]
pub(super) struct Keys {
    nickname: String,
    certificate: PathBuf,
    gencert: Program,
    list_fingerprint: Program,
}

impl Keys {
    /// Starts both programs. `empty` is an empty file.
    pub(super) fn start(
        tor: &Path,
        gencert: &Path,
        nickname: &str,
        directory: &Path,
        empty: &Path,
        dir_port: u16,
    ) -> Result<Self, TestnetProblem> {
        let keys = directory.join("keys");
        create(&keys)?;
        let certificate = keys.join("authority_certificate");
        let mut command = Command::new(gencert);
        command
            .args(["--create-identity-key", "-m", "12", "--passphrase-fd", "0", "-a"])
            .arg(format!("127.0.0.1:{dir_port}"))
            .arg("-i")
            .arg(keys.join("authority_identity_key"))
            .arg("-s")
            .arg(keys.join("authority_signing_key"))
            .arg("-c")
            .arg(&certificate);
        // The encrypted key is not used again.
        let gencert = Program::start(gencert, command, b"loopback\n")?;

        let zeros = "0".repeat(40);
        let mut command = Command::new(tor);
        command
            .arg("-f")
            .arg(empty)
            .arg("--defaults-torrc")
            .arg(empty)
            .arg("--DataDirectory")
            .arg(directory)
            .args(["--Nickname", nickname, "--Address", "127.0.0.1"])
            .args(["--ORPort", "127.0.0.1:1", "--SocksPort", "0", "--TestingTorNetwork", "1"])
            // tor requires an authority, and those of the network are not known yet.
            .arg("--DirAuthority")
            .arg(format!("placeholder v3ident={zeros} 127.0.0.1:1 {zeros}"))
            .args(["--list-fingerprint", "--quiet"]);
        let list_fingerprint = Program::start(tor, command, b"")?;
        Ok(Self { nickname: nickname.to_owned(), certificate, gencert, list_fingerprint })
    }

    /// Waits for both programs and reads the fingerprints.
    pub(super) fn finish(self, stage: Stage, cancel: Option<&CancelToken>) -> Result<Identity> {
        let failed = |problem, lines| stage.node_error(&self.nickname, problem, lines);
        let unreadable =
            |what: &str, lines| failed(TestnetProblem::Unreadable { what: what.into() }, lines);
        let printed = self.list_fingerprint.finish(stage, cancel, failed)?;
        let fingerprint = fingerprint_line(&printed, &self.nickname)
            .ok_or_else(|| unreadable("the fingerprint printed by tor", last_lines(&printed)))?;
        self.gencert.finish(stage, cancel, failed)?;
        let certificate = fs::read_to_string(&self.certificate)
            .map_err(|error| failed(directory_problem(&self.certificate, error), Vec::new()))?;
        let v3ident = certificate_fingerprint(&certificate)
            .ok_or_else(|| unreadable("the certificate of tor-gencert", Vec::new()))?;
        Ok(Identity { v3ident, fingerprint })
    }
}

/// Finds the line `auth0 0123 4567 ...` with ten groups of four digits.
fn fingerprint_line(printed: &str, nickname: &str) -> Option<Fingerprint> {
    printed.lines().find_map(|line| {
        let groups = line.strip_prefix(nickname)?.strip_prefix(' ')?;
        groups.replace(' ', "").parse().ok()
    })
}

/// Finds the line `fingerprint` with 40 digits.
fn certificate_fingerprint(certificate: &str) -> Option<Fingerprint> {
    certificate.lines().find_map(|line| line.strip_prefix("fingerprint ")?.parse().ok())
}

fn last_lines(printed: &str) -> Vec<String> {
    let skipped = printed.lines().count().saturating_sub(LINES);
    printed.lines().skip(skipped).map(str::to_owned).collect()
}

/// A program that ends soon. Dropping it kills the program.
#[derive(Debug)]
struct Program {
    name: PathBuf,
    child: Child,
}

impl Program {
    fn start(name: &Path, mut command: Command, input: &[u8]) -> Result<Self, TestnetProblem> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => TestnetProblem::NotFound { program: name.to_owned() },
                _ => TestnetProblem::Spawn { program: name.to_owned(), source: Arc::new(error) },
            })?;
        let mut program = Self { name: name.to_owned(), child };
        if let Some(mut stdin) = program.child.stdin.take() {
            // A program that does not read its input reports why.
            let _ = stdin.write_all(input);
        }
        Ok(program)
    }

    /// Waits for its end and returns its output, which must fit into a pipe. `failed` makes an error
    /// of a problem and the last lines of the program.
    fn finish(
        mut self,
        stage: Stage,
        cancel: Option<&CancelToken>,
        failed: impl Fn(TestnetProblem, Vec<String>) -> Error,
    ) -> Result<String> {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if stage.is_over() => return Err(failed(stage.timeout(), Vec::new())),
                Ok(None) => clock::sleep(PAUSE),
                Err(error) => {
                    let source = Arc::new(error);
                    let problem = TestnetProblem::Spawn { program: self.name.clone(), source };
                    return Err(failed(problem, Vec::new()));
                }
            }
            cancel.map_or(Ok(()), |token| token.check(Wait::Network))?;
        };
        let mut printed = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            let _ = stdout.read_to_end(&mut printed);
        }
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_end(&mut printed);
        }
        let printed = String::from_utf8_lossy(&printed).into_owned();
        if status.success() {
            return Ok(printed);
        }
        let problem = TestnetProblem::Failed { program: self.name.clone(), status };
        Err(failed(problem, last_lines(&printed)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    use super::super::stage::Stage;
    use super::{Program, certificate_fingerprint, fingerprint_line};
    use crate::error::{Error, TestnetStep};
    use crate::link::CancelToken;

    const DIGITS: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn run(script: &str, limit: Duration, cancel: &CancelToken) -> Result<String, String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let program = Program::start(Path::new("/bin/sh"), command, b"passphrase\n").unwrap();
        let stage = Stage::new(TestnetStep::Keys, limit);
        let failed = |problem, lines| stage.node_error("auth0", problem, lines);
        program.finish(stage, Some(cancel), failed).map_err(|error| match error {
            Error::Testnet(error) => format!("{}: {:?}", error.problem(), error.last_lines()),
            error => error.to_string(),
        })
    }

    #[test]
    fn fingerprints_are_found_between_other_lines() {
        let printed = "Nov 23 [warn] auth0 is fine\n\
                       auth0 0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567\n";
        assert_eq!(fingerprint_line(printed, "auth0").unwrap().to_string(), DIGITS);
        assert_eq!(fingerprint_line(printed, "auth"), None);
        let certificate = format!("dir-key-certificate-version 3\nfingerprint {DIGITS}\n");
        assert_eq!(certificate_fingerprint(&certificate).unwrap().to_string(), DIGITS);
        assert_eq!(certificate_fingerprint("fingerprint 0123\n"), None);
    }

    #[test]
    fn a_program_reads_its_input_and_reports_its_failure() {
        let limit = Duration::from_secs(20);
        let token = CancelToken::new();
        assert_eq!(
            run("read x; echo $x; echo two >&2", limit, &token).unwrap(),
            "passphrase\ntwo\n"
        );
        assert_eq!(
            run("echo why >&2; exit 3", limit, &token).unwrap_err(),
            "the program \"/bin/sh\" failed (exit status: 3): [\"why\"]"
        );
        let missing = Path::new("no-such-program");
        assert_eq!(
            Program::start(missing, Command::new(missing), b"").unwrap_err().to_string(),
            "the program \"no-such-program\" does not exist; on Debian and Ubuntu, `apt-get \
             install tor` installs tor and tor-gencert"
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let token = CancelToken::new();
        let hang = |limit| run("exec sleep 60", limit, &token).unwrap_err();
        assert_eq!(
            hang(Duration::from_millis(20)),
            "timed out after 20ms waiting for a private network to be usable: []"
        );
        token.cancel();
        assert_eq!(
            hang(Duration::MAX),
            "canceled by this program while waiting for a private network to be usable"
        );
    }
}
