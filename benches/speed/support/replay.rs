//! A server that sends fixed answers at once, in another process.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use data_encoding::HEXUPPER;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::raw::{Address, Duplex, SERVER_TO_CONTROLLER, proof};

const COOKIE: [u8; 32] = [0x5a; 32];

/// The answer to one command: `head`, then `body` repeated `times` times, then `tail`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) command: String,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) times: usize,
    pub(crate) tail: String,
    /// The pause before each `body`, in which [`NOW`] is then replaced with the time.
    pub(crate) pause: Option<Duration>,
}

/// Stands for the time in nanoseconds since 1970.
pub(crate) const NOW: &str = "NOW";

impl Answer {
    pub(crate) fn new(command: &str, reply: &str) -> Self {
        Self { command: command.into(), head: reply.into(), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len() * self.times + self.tail.len()
    }
}

/// A server on a unix socket and on a TCP port.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) unix: Address,
    pub(crate) tcp: Address,
    pub(crate) cookie: PathBuf,
    /// Ends with its standard input. `None` if another process has started it.
    child: Option<Child>,
}

/// The variable with the [`Place`] of a server that another process has started.
pub(crate) const RUNNING: &str = "TORCON_BENCH_REPLAY";

static PLACE: OnceLock<String> = OnceLock::new();

/// Returns the place of the server that this process has started, to be given to another one.
pub(crate) fn running() -> &'static str {
    PLACE.get().map_or("", String::as_str)
}

/// Where a server listens, and its cookie file.
#[derive(Serialize, Deserialize)]
struct Place {
    unix: PathBuf,
    tcp: std::net::SocketAddr,
    cookie: PathBuf,
}

impl Replay {
    /// Starts a server that offers SAFECOOKIE, sends these answers, and answers every other command
    /// with `250 OK`.
    pub(crate) fn start(answers: &[Answer]) -> Self {
        let mut child = None;
        let place = env::var(RUNNING).unwrap_or_else(|_| {
            let mut server = Command::new(env::current_exe().expect("this program has a path"))
                .arg("--replay")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("this program can be run");
            let script = serde_json::to_string(answers).unwrap();
            writeln!(server.stdin.as_ref().unwrap(), "{script}").unwrap();
            let mut place = String::new();
            BufReader::new(server.stdout.take().unwrap()).read_line(&mut place).unwrap();
            child = Some(server);
            PLACE.get_or_init(|| place.trim_end().to_owned()).clone()
        });
        let place: Place = serde_json::from_str(&place).unwrap();
        let (unix, tcp) = (Address::Unix(place.unix), Address::Tcp(place.tcp));
        Self { unix, tcp, cookie: place.cookie, child }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            child.wait().ok();
        }
    }
}

/// Reads a script from standard input, prints where it is served, and serves it until standard input
/// ends.
pub(crate) fn serve() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let mut input = io::stdin().lines();
    let answers = serde_json::from_str(&input.next().unwrap().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control");
    let cookie = directory.path().join("cookie");
    fs::write(&cookie, COOKIE).unwrap();
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let script = Arc::new(Script::new(answers, &cookie));
    accept(Arc::clone(&script), move || unix.accept().map(|(stream, _)| stream));
    accept(script, move || {
        let (stream, _) = tcp.accept()?;
        stream.set_nodelay(true)?;
        Ok::<TcpStream, io::Error>(stream)
    });
    let place = Place { unix: socket, tcp: address, cookie };
    println!("{}", serde_json::to_string(&place).unwrap());
    input.for_each(drop);
}

fn accept<S: Duplex + Send + 'static>(
    script: Arc<Script>,
    mut next: impl FnMut() -> io::Result<S> + Send + 'static,
) {
    let serve = move || {
        while let Ok(stream) = next() {
            let script = Arc::clone(&script);
            // The client closed the connection.
            let serve = move || drop(script.serve(stream));
            thread::Builder::new().name("replay".into()).spawn(serve).unwrap();
        }
    };
    thread::Builder::new().name("replay-accept".into()).spawn(serve).unwrap();
}

struct Script {
    answers: Vec<Answer>,
    protocol_info: String,
}

impl Script {
    fn new(answers: Vec<Answer>, cookie: &Path) -> Self {
        let protocol_info = format!(
            "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"{}\"\r\n\
             250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
            cookie.display()
        );
        Self { answers, protocol_info }
    }

    /// Answers until the client closes; like tor, with one write for all commands of one read.
    fn serve(&self, mut stream: impl Duplex) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut filled = 0;
        let mut out = Vec::new();
        loop {
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                read => filled += read,
            }
            let mut done = 0;
            while let Some(length) = memchr::memchr(b'\n', &buffer[done..filled]) {
                let line = buffer[done..done + length].trim_ascii_end();
                done += length + 1;
                self.answer(line, &mut out, &mut stream)?;
            }
            buffer.copy_within(done..filled, 0);
            filled -= done;
            stream.write_all(&out)?;
            out.clear();
        }
    }

    fn answer(&self, line: &[u8], out: &mut Vec<u8>, stream: &mut impl Duplex) -> io::Result<()> {
        if let Some(answer) = self.answers.iter().find(|it| it.command.as_bytes() == line) {
            out.extend_from_slice(answer.head.as_bytes());
            if answer.times > 0 {
                stream.write_all(out)?;
                out.clear();
                for _ in 0..answer.times {
                    match answer.pause {
                        None => stream.write_all(answer.body.as_bytes())?,
                        Some(pause) => {
                            thread::sleep(pause);
                            let body = answer.body.replace(NOW, &nanoseconds().to_string());
                            stream.write_all(body.as_bytes())?;
                        }
                    }
                }
            }
            out.extend_from_slice(answer.tail.as_bytes());
        } else if line.starts_with(b"PROTOCOLINFO") {
            out.extend_from_slice(self.protocol_info.as_bytes());
        } else if let Some(nonce) = line.strip_prefix(b"AUTHCHALLENGE SAFECOOKIE ") {
            let ours = [7; 32];
            let theirs = HEXUPPER.decode(nonce).unwrap();
            let proof = proof(SERVER_TO_CONTROLLER, &COOKIE, &theirs, &ours);
            let (proof, nonce) = (HEXUPPER.encode(&proof), HEXUPPER.encode(&ours));
            write!(out, "250 AUTHCHALLENGE SERVERHASH={proof} SERVERNONCE={nonce}\r\n")?;
        } else {
            out.extend_from_slice(b"250 OK\r\n");
        }
        Ok(())
    }
}

/// Returns the time since 1970 in nanoseconds, by the clock that all processes share.
pub(crate) fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("1970 is over");
    u64::try_from(since.as_nanos()).expect("the year is before 2554")
}
