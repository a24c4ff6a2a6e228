//! Keys that a program has sent or received are not left in memory that was freed.
//!
//! The memory of the process is searched through `/proc/self/mem`, while the key itself is held
//! only in a masked form. The peer is not the fake tor, which records the bytes that it receives.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use data_encoding::HEXUPPER;
use torcon::ConnectOptions;
use torcon::command::AddOnion;
use torcon::names::{ClientAuthKey, OnionKey, OnionPort};
use zeroize::{Zeroize as _, Zeroizing};

use super::{join, start};
use crate::support::exclusive::exclusive;

const MASK: u8 = 0xa5;

/// The bytes at the beginning of a freed block that the allocator overwrites.
const OVERWRITTEN: usize = 16;

/// A key that is nowhere in memory as it is.
struct Masked(Vec<u8>);

impl Masked {
    /// Returns a key of random letters. It is longer than what a search for a byte leaves on the
    /// stack.
    fn new() -> Self {
        let mut bytes = Zeroizing::new([0; 200]);
        getrandom::fill(&mut *bytes).unwrap();
        bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        Self::of(&*bytes)
    }

    fn of(key: &[u8]) -> Self {
        Self(key.iter().map(|byte| byte ^ MASK).collect())
    }

    /// Returns `before`, the key and `after`; overwritten when it is dropped.
    fn within(&self, before: &str, after: &str) -> Zeroizing<String> {
        let length = before.len() + self.0.len() + after.len();
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(before);
        text.extend(self.0.iter().map(|byte| char::from(byte ^ MASK)));
        text.push_str(after);
        text
    }

    /// Returns the part that a freed block of the key alone still contains.
    fn rest(&self) -> &[u8] {
        &self.0[OVERWRITTEN..]
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.rest().len()
            && self.rest().iter().zip(bytes).all(|(key, byte)| key ^ MASK == *byte)
    }

    /// Counts the copies in the memory of this process.
    fn copies(&self) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut chunk = vec![0; 64 << 10];
        let own = chunk.as_ptr().addr()..chunk.as_ptr().addr() + chunk.len();
        let mut copies = 0;
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut words = line.split(' ');
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") || line.ends_with("[vvar]") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let address = |text| usize::from_str_radix(text, 16).unwrap();
            let mut at = address(start);
            while at < address(end) {
                if own.contains(&at) {
                    at = own.end;
                    continue;
                }
                let end = if at < own.start { address(end).min(own.start) } else { address(end) };
                let length = (end - at).min(chunk.len());
                let read = memory.read_at(&mut chunk[..length], at as u64).unwrap_or(0);
                if read == 0 {
                    at += length.min(4096);
                    continue;
                }
                let first = self.rest()[0] ^ MASK;
                let found = memchr::memchr_iter(first, &chunk[..read]);
                copies += found.filter(|place| self.is_at(&chunk[*place..read])).count();
                // A copy at the end of a chunk is whole at the beginning of the next.
                at += if read > 8192 { read - 4096 } else { read };
            }
            chunk.fill(0);
        }
        copies
    }
}

/// Plays a tor that accepts every command, and answers `ADD_ONION NEW` with the key, and `GETINFO
/// config-text` with the key and many other lines. A `GETINFO version` and the command behind it
/// are answered only after the probe `GETINFO torcon/sync/N`.
fn play(mut socket: UnixStream, key: &Masked) {
    let mut buffer = Zeroizing::new([0; 65_536]);
    let mut filled = 0;
    while let Ok(read @ 1..) = socket.read(&mut buffer[filled..]) {
        filled += read;
        let commands = buffer[..filled].strip_suffix(b"\r\n");
        let is_probed = || memchr::memmem::find(&buffer[..filled], b"torcon/sync/").is_some();
        let Some(commands) =
            commands.filter(|commands| !commands.starts_with(b"GETINFO version") || is_probed())
        else {
            continue;
        };
        // The data of `+LOADCONF` are one command with its first line.
        let is_data = commands.starts_with(b"+");
        let lines = commands.split(|byte| *byte == b'\n' && !is_data);
        let replies = lines.map(<[u8]>::trim_ascii_end).map(|line| {
            if line.starts_with(b"PROTOCOLINFO") {
                let info = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                            250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
                Zeroizing::new(info.to_owned())
            } else if line.starts_with(b"ADD_ONION NEW") {
                key.within("250-ServiceID=x\r\n250-PrivateKey=ED25519-V3:", "\r\n250 OK\r\n")
            } else if line == b"GETINFO config-text" {
                let before = "250+config-text=\r\nHashedControlPassword ";
                key.within(
                    before,
                    &format!("\r\n{}.\r\n250 OK\r\n", "MapAddress a b\r\n".repeat(2500)),
                )
            } else if let Some(probe) = line.strip_prefix(b"GETINFO torcon/") {
                let nonce = String::from_utf8_lossy(probe);
                format!("552 Unrecognized key \"torcon/{nonce}\"\r\n").into()
            } else {
                Zeroizing::new("250 OK\r\n".to_owned())
            }
        });
        let replies: Vec<_> = replies.collect();
        // Before the client looks for copies.
        buffer.zeroize();
        filled = 0;
        for reply in replies {
            socket.write_all(reply.as_bytes()).unwrap();
        }
    }
}

#[test]
fn a_key_is_nowhere_in_memory_once_everything_that_held_it_is_dropped() {
    exclusive(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let key = Masked::new();
        let sent = Masked(key.0.clone());
        let (client, onion) = (ClientAuthKey::generate().unwrap(), OnionKey::generate().unwrap());
        let blob = Masked::of(Zeroizing::new(client.reveal_blob()).as_bytes());
        let onion_blob = Masked::of(Zeroizing::new(onion.reveal_blob()).as_bytes());
        let hex =
            Masked::of(Zeroizing::new(HEXUPPER.encode(key.within("", "").as_bytes())).as_bytes());
        let peer = start(move || play(listener.accept().unwrap().0, &sent));
        let controller = ConnectOptions::new().connect(path).unwrap();
        let held = key.within("", "");
        assert!(key.copies() > 0, "the search finds a key that is held");
        drop(held);
        assert_eq!(key.copies(), 0, "before anything");
        controller.command(&key.within("ADD_ONION ED25519-V3:", " Port=80")).unwrap();
        assert_eq!(key.copies(), 0, "after a command of a program's own");
        // The second has an escape.
        for before in ["", "\\"] {
            let value = key.within(before, "");
            controller.set_conf([("HashedControlPassword", &**value)]).unwrap();
            drop(value);
            assert_eq!(key.copies(), 0, "after SETCONF {before}");
        }
        for (before, after) in [("", ""), ("\"", "\""), ("\"\\", "\"")] {
            let before = format!("Socks5ProxyPassword {before}");
            let text = key.within(&before, &format!("{after}\nNickname a\n"));
            controller.load_conf(&**text).unwrap();
            drop(text);
            assert_eq!(key.copies(), 0, "after LOADCONF {before}");
        }
        controller.authenticate(&**key.within("", "")).unwrap();
        assert_eq!(key.copies() + hex.copies(), 0, "after AUTHENTICATE");
        controller.add_onion_client_auth(onion.address(), client).unwrap();
        assert_eq!(blob.copies(), 0, "after ONION_CLIENT_AUTH_ADD");
        for command in ["ADD_ONION NEW:BEST Port=80", "GETINFO config-text"] {
            let reply = controller.command(command).unwrap();
            assert!(key.copies() > 0, "the reply to {command} holds it");
            drop(reply);
        }
        // The reply is held, since the reply before it has not arrived in time.
        let late = controller.queue_command("GETINFO version").unwrap();
        let held = controller.queue_command("ADD_ONION NEW:BEST Port=80").unwrap();
        assert!(late.wait_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
        let reply = held.wait().unwrap();
        assert!(key.copies() > 0, "the reply holds it");
        drop(reply);
        // The reply names no service.
        let service = AddOnion::new([OnionPort::same(80)]).key(onion);
        controller.add_onion(&service).unwrap_err();
        drop((service, controller));
        assert_eq!(onion_blob.copies(), 0, "after ADD_ONION");
        join(peer);
        assert_eq!(
            key.copies(),
            0,
            "after replies, one of which was held, and the end of the connection"
        );
    });
}
