//! A program in a pseudoterminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

/// The limit of each wait.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Pseudoterminal {
    child: Child,
    keyboard: File,
    /// The terminal's side of the program.
    terminal: OwnedFd,
    before: Termios,
    output: Receiver<Vec<u8>>,
    /// The output behind the last text that was expected.
    unseen: String,
}

impl Pseudoterminal {
    pub(crate) fn spawn(mut program: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let side = || pair.slave.try_clone().unwrap();
        let before = tcgetattr(&pair.slave).unwrap();
        let child = program.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        // The command has copies of the terminal's side.
        drop(program);
        let keyboard = File::from(pair.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, output) = unbounded();
        thread::Builder::new()
            .spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = screen.read(&mut bytes) {
                    if sender.send(bytes[..count].to_vec()).is_err() {
                        return;
                    }
                }
            })
            .unwrap();
        Self { child, keyboard, terminal: pair.slave, before, output, unseen: String::new() }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a text as a person does: each letter is shown before the next key.
    pub(crate) fn type_slowly(&mut self, text: &str) {
        for letter in text.chars().map(String::from) {
            self.press(&letter);
            self.expect(&letter);
        }
    }

    /// Waits until a text is shown, and returns everything that was shown before it.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some((before, after)) = self.unseen.split_once(text) {
                let before = before.to_owned();
                self.unseen = after.to_owned();
                return before;
            }
            let Ok(bytes) = self.output.recv_deadline(end) else {
                panic!("{text:?} is not shown: {:?}", self.unseen);
            };
            self.unseen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Returns whether a text is shown within a tenth of a second.
    pub(crate) fn shows(&mut self, text: &str) -> bool {
        while !self.unseen.contains(text) {
            let Ok(bytes) = self.output.recv_timeout(LIMIT / 600) else { return false };
            self.unseen.push_str(&String::from_utf8_lossy(&bytes));
        }
        true
    }

    /// Waits for the end of the program, and returns its exit status. The settings of the terminal
    /// are those from before the program.
    pub(crate) fn wait(mut self) -> i32 {
        let (sender, ended) = unbounded();
        let mut child = self.child;
        let pid = child.id();
        thread::Builder::new()
            .spawn(move || {
                let _ = sender.send(child.wait().unwrap());
            })
            .unwrap();
        // The output has to be read, or the program could not end.
        let status = ended.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{pid} does not end"));
        self.unseen.clear();
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before);
        status.code().unwrap()
    }
}
