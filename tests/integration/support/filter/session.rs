//! One client of a filter.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use data_encoding::HEXUPPER;
use parking_lot::Mutex;

use super::{EventRule, Profile, Record, Replacements, captures, filled};
use crate::support::named_thread::named;
use crate::support::socket::{Address, DEADLINE, Lines, QUIET, Socket};

/// The longest line of a client; a longer one ends its connection.
const LONGEST_LINE: usize = 10 * 1024;

/// A client, and the connection to tor that is made for it.
pub(super) struct Session {
    client: Socket,
    /// Events and replies are written by two threads, each as a whole.
    to_client: Arc<Mutex<Socket>>,
    tor: Socket,
    replies: Receiver<Vec<String>>,
    version: String,
    profile: &'static Profile,
    record: Arc<Record>,
}

impl Session {
    pub(super) fn open(
        client: Socket,
        tor: &Address,
        cookie: &Path,
        profile: &'static Profile,
        record: &Arc<Record>,
    ) -> Self {
        let tor = tor.connect(DEADLINE).expect("the real tor accepts connections");
        let to_client = Arc::new(Mutex::new(client.try_clone().expect("a socket can be shared")));
        let (sender, replies) = unbounded();
        let reader = Reader {
            tor: tor.try_clone().expect("a socket can be shared"),
            lines: Lines::default(),
            to_client: Arc::clone(&to_client),
            replies: sender,
            profile,
            record: Arc::clone(record),
        };
        named("filter-from-tor", move || reader.run());
        let record = Arc::clone(record);
        let mut session =
            Self { client, to_client, tor, replies, version: String::new(), profile, record };
        let info = session.ask("PROTOCOLINFO 1").expect("tor answers");
        let version = info.into_iter().find(|line| line.starts_with("250-VERSION "));
        session.version = version.expect("tor tells its version");
        let cookie = HEXUPPER.encode(&fs::read(cookie).expect("the cookie can be read"));
        let accepted = session.ask(&format!("AUTHENTICATE {cookie}")).expect("tor answers");
        assert_eq!(accepted, ["250 OK"]);
        session
    }

    /// Answers the client until either side ends.
    pub(super) fn run(mut self) {
        let mut lines = Lines::default();
        while let Ok(line) = lines.next_text(&mut self.client, QUIET) {
            if line.len() > LONGEST_LINE || !self.take(&line) {
                break;
            }
        }
        self.client.shutdown(Shutdown::Both).ok();
        self.tor.shutdown(Shutdown::Both).ok();
    }

    /// Answers one line; returns whether the connection stays open.
    fn take(&mut self, line: &str) -> bool {
        if line.trim().is_empty() {
            return true;
        }
        let (command, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let ok = || vec!["250 OK".to_owned()];
        let reply = match command.to_ascii_uppercase().as_str() {
            "PROTOCOLINFO" => Some(vec![
                "250-PROTOCOLINFO 1".to_owned(),
                "250-AUTH METHODS=NULL".to_owned(),
                self.version.clone(),
                "250 OK".to_owned(),
            ]),
            "AUTHENTICATE" | "TAKEOWNERSHIP" | "RESETCONF" => Some(ok()),
            "QUIT" => {
                self.respond(&["250 closing connection".to_owned()]).ok();
                return false;
            }
            "SETEVENTS" => self.subscribe(arguments),
            command => self.pass(command, arguments),
        };
        let reply = reply.unwrap_or_else(|| vec!["510 Command filtered".to_owned()]);
        self.respond(&reply).is_ok()
    }

    /// Subscribes to the events that are allowed and not suppressed.
    fn subscribe(&mut self, events: &str) -> Option<Vec<String>> {
        let mut wanted = "SETEVENTS".to_owned();
        for event in events.split_whitespace() {
            let rule =
                self.profile.events.iter().find(|(name, _)| name.eq_ignore_ascii_case(event));
            if !matches!(rule?.1, EventRule::Suppress) {
                wanted = format!("{wanted} {event}");
            }
        }
        Some(self.ask(&wanted).unwrap_or_default())
    }

    /// Passes a command on if a rule allows it, and replaces what the rule says.
    fn pass(&mut self, command: &str, arguments: &str) -> Option<Vec<String>> {
        let is_conf = |conf: &&str| conf.eq_ignore_ascii_case(arguments);
        if command == "GETCONF" && self.profile.confs.iter().any(is_conf) {
            return self.ask(&format!("{command} {arguments}"));
        }
        let rules = self.profile.commands.iter().filter(|rule| rule.command == command);
        let (rule, captured) =
            rules.filter_map(|rule| Some((rule, captures(rule.pattern, arguments)?))).next()?;
        let arguments =
            rule.replacement.map_or_else(|| arguments.to_owned(), |text| filled(text, &captured));
        let reply = self.ask(format!("{command} {arguments}").trim_end())?;
        Some(reply.into_iter().map(|line| replaced(rule.replies, line)).collect())
    }

    /// Sends a command to tor; `None` if tor has ended.
    fn ask(&mut self, line: &str) -> Option<Vec<String>> {
        let keyword = line.split(' ').next().unwrap_or_default();
        if !matches!(keyword, "AUTHENTICATE" | "PROTOCOLINFO") {
            self.record.passed.lock().push(line.to_owned());
        }
        self.tor.write_lines(&[line]).ok()?;
        self.replies.recv_timeout(DEADLINE).ok()
    }

    fn respond(&self, lines: &[String]) -> io::Result<()> {
        self.to_client.lock().write_lines(lines)
    }
}

fn replaced(replacements: Replacements, line: String) -> String {
    let found = replacements
        .iter()
        .find_map(|(pattern, replacement)| Some((captures(pattern, &line)?, *replacement)));
    match found {
        Some((captured, replacement)) => filled(replacement, &captured),
        None => line,
    }
}

/// The reader of tor's socket.
struct Reader {
    tor: Socket,
    lines: Lines,
    to_client: Arc<Mutex<Socket>>,
    replies: Sender<Vec<String>>,
    profile: &'static Profile,
    record: Arc<Record>,
}

impl Reader {
    fn run(mut self) {
        while let Ok(message) = self.lines.next_message(&mut self.tor, QUIET) {
            let goes_on = match message.first() {
                Some(first) if first.starts_with('6') => self.event(message),
                _ => self.replies.send(message).is_ok(),
            };
            if !goes_on {
                break;
            }
        }
        self.to_client.lock().shutdown(Shutdown::Both).ok();
    }

    /// Sends an event to the client, replaced if the profile says so.
    fn event(&self, mut lines: Vec<String>) -> bool {
        let name = lines[0][4..].split(' ').next().unwrap_or_default().to_owned();
        let rule = self.profile.events.iter().find(|(event, _)| *event == name);
        if let (Some((_, EventRule::Replace(replacements))), [line]) = (rule, &mut lines[..]) {
            let new = replaced(replacements, line.clone());
            if new != *line {
                self.record.replaced_events.lock().push(new.clone());
            }
            if new.trim().is_empty() {
                return true;
            }
            *line = new;
        }
        self.to_client.lock().write_lines(&lines).is_ok()
    }
}
