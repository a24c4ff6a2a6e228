//! The program, and a tor for it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use torcon::process::Ready;
use torcon::{Launcher, TorProcess};

/// Launches a tor whose network is disabled.
pub(crate) fn launch_tor() -> TorProcess {
    let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "0");
    launcher.wait_for(Ready::Controller).launch().unwrap()
}

pub(crate) fn endpoint(tor: &TorProcess) -> String {
    tor.control_endpoint().unwrap().to_string()
}

/// The variables that the program reads.
const VARIABLES: [&str; 9] = [
    "TOR_CONTROL_COOKIE_AUTH_FILE",
    "TOR_CONTROL_HOST",
    "TOR_CONTROL_IPC_PATH",
    "TOR_CONTROL_PASSWD",
    "TOR_CONTROL_PORT",
    "TOR_SOCKS_HOST",
    "TOR_SOCKS_IPC_PATH",
    "TOR_SOCKS_PORT",
    "XDG_STATE_HOME",
];

/// Returns the program without the settings of the user who runs the tests.
pub(crate) fn program<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_prompt"));
    program.args(arguments);
    for name in VARIABLES {
        program.env_remove(name);
    }
    program.env_remove("HOME").env("TERM", "xterm").env("NO_COLOR", "1");
    program
}

/// The result of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a program with a text as its standard input.
pub(crate) fn run(mut program: Command, input: &str) -> Ended {
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses its arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ended::of(child.wait_with_output().unwrap())
}
