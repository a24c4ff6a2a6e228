//! A server that sends fixed answers at once.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use data_encoding::HEXUPPER;
use tempfile::TempDir;

use super::raw::{Address, Duplex, SERVER_TO_CONTROLLER, proof};

const COOKIE: [u8; 32] = [0x5a; 32];

/// The answer to one command: `head`, then `body` repeated `times` times, then `tail`.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) command: &'static str,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) times: usize,
    pub(crate) tail: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(command: &'static str, reply: &str) -> Self {
        Self { command, head: reply.into(), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len() * self.times + self.tail.len()
    }
}

/// A server on a unix socket and on a TCP port, with a thread for each connection. These threads
/// end with their connections, and the accepting threads with the process.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) unix: Address,
    pub(crate) tcp: Address,
    pub(crate) cookie: PathBuf,
    _directory: TempDir,
}

impl Replay {
    /// Starts a server that offers SAFECOOKIE, sends these answers, and answers every other command
    /// with `250 OK`.
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control");
        let cookie = directory.path().join("cookie");
        fs::write(&cookie, COOKIE).unwrap();
        let unix = UnixListener::bind(&socket).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(tcp.local_addr().unwrap());
        let script = Arc::new(Script::new(answers, &cookie));
        accept(Arc::clone(&script), move || unix.accept().map(|(stream, _)| stream));
        accept(script, move || {
            let (stream, _) = tcp.accept()?;
            stream.set_nodelay(true)?;
            Ok::<TcpStream, io::Error>(stream)
        });
        Self { unix: Address::Unix(socket), tcp: address, cookie, _directory: directory }
    }
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
            out.extend_from_slice(&answer.head);
            if answer.times > 0 {
                stream.write_all(out)?;
                out.clear();
                for _ in 0..answer.times {
                    stream.write_all(&answer.body)?;
                }
            }
            out.extend_from_slice(&answer.tail);
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
