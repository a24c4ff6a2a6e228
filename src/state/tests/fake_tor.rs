//! A control port that a test fills with circuits and streams.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::controller::{ConnectOptions, Controller};
use crate::sync::Mutex;

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(30);

pub(in crate::state) const OPTION: &str = "__LeaveStreamsUnattached";

/// The contents and replies of a fake tor.
#[derive(Clone, Default)]
pub(in crate::state) struct Contents {
    pub(in crate::state) circuits: &'static [&'static str],
    pub(in crate::state) streams: &'static [&'static str],
    pub(in crate::state) mappings: &'static [&'static str],
    /// The value of [`OPTION`].
    pub(in crate::state) leaves_streams: bool,
    /// The keyword of a command that is refused.
    pub(in crate::state) refused: Option<&'static str>,
    /// The keyword of a command that is executed, but not answered before the connection is cut.
    pub(in crate::state) unanswered: Option<&'static str>,
}

/// A fake tor with one connection, and its controller.
pub(in crate::state) struct FakeTor {
    pub(in crate::state) controller: Controller,
    commands: Arc<Mutex<Vec<String>>>,
    socket: Arc<Mutex<UnixStream>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeTor {
    pub(in crate::state) fn start(contents: &Contents) -> Self {
        Self::start_with(contents, &ConnectOptions::new())
    }

    pub(in crate::state) fn start_with(contents: &Contents, options: &ConnectOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let accept = thread::Builder::new().spawn(move || listener.accept().unwrap().0).unwrap();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (contents, for_thread) = (contents.clone(), Arc::clone(&commands));
        let connecting = {
            let options = options.clone();
            let endpoint = path.to_str().unwrap().to_owned();
            thread::Builder::new().spawn(move || options.connect(endpoint.as_str()).unwrap())
        };
        let reads = accept.join().unwrap();
        let socket = Arc::new(Mutex::new(reads.try_clone().unwrap()));
        let writes = Arc::clone(&socket);
        let serve = move || serve(contents, reads, &writes, &for_thread);
        let thread = thread::Builder::new().name("fake tor".to_owned()).spawn(serve).unwrap();
        let controller = connecting.unwrap().join().unwrap();
        Self { controller, commands, socket, thread: Some(thread) }
    }

    /// Sends an event.
    pub(in crate::state) fn event(&self, text: &str) {
        self.socket.lock().write_all(format!("650 {text}\r\n").as_bytes()).unwrap();
    }

    /// Ends the connection, as a tor that is killed does.
    pub(in crate::state) fn cut(&self) {
        let _ = self.socket.lock().shutdown(Shutdown::Both);
    }

    /// Returns the commands that begin with a text.
    pub(in crate::state) fn commands(&self, beginning: &str) -> Vec<String> {
        let mut commands = self.commands.lock().clone();
        commands.retain(|command| command.starts_with(beginning));
        commands
    }
}

impl Drop for FakeTor {
    fn drop(&mut self) {
        self.cut();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut contents: Contents,
    reads: UnixStream,
    writes: &Mutex<UnixStream>,
    commands: &Mutex<Vec<String>>,
) {
    for line in BufReader::new(reads).lines() {
        let Ok(line) = line else { return };
        let reply = reply(&mut contents, &line);
        let is_answered = line.split(' ').next() != contents.unanswered;
        commands.lock().push(line);
        if !is_answered {
            continue;
        }
        if writes.lock().write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn reply(contents: &mut Contents, line: &str) -> String {
    let (keyword, arguments) = line.split_once(' ').unwrap_or((line, ""));
    if contents.refused == Some(keyword) {
        return "510 Command filtered\r\n".to_owned();
    }
    match keyword {
        "PROTOCOLINFO" => "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                           250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
            .to_owned(),
        "GETINFO" if arguments.starts_with("circuit-status") => snapshot(contents),
        "GETINFO" => format!("552 Unrecognized key \"{arguments}\"\r\n"),
        "GETCONF" => format!("250 {OPTION}={}\r\n", u8::from(contents.leaves_streams)),
        "SETCONF" => {
            contents.leaves_streams = arguments.ends_with('1');
            let value = u8::from(contents.leaves_streams);
            format!("250 OK\r\n650-CONF_CHANGED\r\n650-{OPTION}={value}\r\n650 OK\r\n")
        }
        "EXTENDCIRCUIT" => "250 EXTENDED 99\r\n650 CIRC 99 LAUNCHED PURPOSE=GENERAL\r\n".to_owned(),
        _ => "250 OK\r\n".to_owned(),
    }
}

fn snapshot(contents: &Contents) -> String {
    let lists = [
        ("circuit-status", contents.circuits),
        ("stream-status", contents.streams),
        ("orconn-status", &[]),
        ("entry-guards", &[]),
        ("address-mappings/all", contents.mappings),
    ];
    let mut reply = String::new();
    for (key, lines) in lists {
        reply += &format!("250+{key}=\r\n");
        lines.iter().for_each(|line| reply += &format!("{line}\r\n"));
        reply += ".\r\n";
    }
    reply +=
        "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n";
    reply + "250-network-liveness=up\r\n250 OK\r\n"
}

/// Waits until a condition holds.
#[track_caller]
pub(in crate::state) fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "the condition never held");
        thread::sleep(Duration::from_millis(1));
    }
}
