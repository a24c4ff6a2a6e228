//! A program in a pseudoterminal, and its screen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use parking_lot::Mutex;

use super::{LIMIT, MONITOR};

/// The monitor in a pseudoterminal.
pub(crate) struct Session {
    child: Child,
    keys: File,
    /// The other end, which keeps the settings of the terminal after the end of the program.
    terminal: File,
    output: Arc<Mutex<Output>>,
    changed: Receiver<()>,
}

struct Output {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Session {
    /// Starts the monitor with a terminal of some columns and rows.
    pub(crate) fn start(size: (u16, u16), arguments: &[&str]) -> Self {
        Self::start_with(size, arguments, &[])
    }

    pub(crate) fn start_with(
        (columns, rows): (u16, u16),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname_r(&master).unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(path).unwrap();
        set_size(&terminal, (columns, rows));
        let stdio = || terminal.try_clone().unwrap();
        // Otherwise the terminal of the test run, if there is one, would be the controlling one.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(MONITOR)
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let parser = vt100::Parser::new(rows, columns, 0);
        let output = Arc::new(Mutex::new(Output { parser, bytes: Vec::new() }));
        let keys = duplicate(&master);
        let (sender, changed) = bounded(1);
        let written = Arc::clone(&output);
        // It ends with the test run, since this process keeps the terminal open.
        thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let (mut master, mut buffer) = (master, [0; 4096]);
                while let Ok(length) = master.read(&mut buffer) {
                    let mut output = written.lock();
                    let bytes = buffer.get(..length).unwrap();
                    output.parser.process(bytes);
                    output.bytes.extend(bytes);
                    drop(output);
                    let _ = sender.try_send(());
                }
            })
            .unwrap();
        Self { child, keys, terminal, output, changed }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, (columns, rows): (u16, u16)) {
        self.output.lock().parser.set_size(rows, columns);
        set_size(&self.terminal, (columns, rows));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Returns the screen as text.
    pub(crate) fn screen(&self) -> String {
        self.output.lock().parser.screen().contents()
    }

    /// Returns everything that the program has written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.output.lock().bytes.clone()
    }

    /// Waits for a text on the screen, and returns the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what:?} on the screen:\n{screen}");
            // The screen may have changed before.
            let _ = self.changed.recv_timeout(Duration::from_millis(200));
        }
    }

    /// Waits for the end of the program, and checks that it has restored the terminal.
    #[track_caller]
    pub(crate) fn wait_end(mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen());
            thread::park_timeout(Duration::from_millis(20));
        };
        assert_eq!(status.signal(), None);
        let flags = tcgetattr(&self.terminal).unwrap().local_flags;
        assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{flags:?}");
        // The last bytes may still be on their way through the terminal.
        self.wait_until("the main screen", |_| {
            let output = self.output.lock();
            let screen = output.parser.screen();
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        status
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A failed test leaves no program, and so no tors.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: &File, (columns, rows): (u16, u16)) {
    let status = Command::new("stty")
        .args(["rows", &rows.to_string(), "cols", &columns.to_string()])
        .stdin(terminal.try_clone().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
}

fn duplicate(master: &PtyMaster) -> File {
    use std::os::fd::AsFd;
    File::from(master.as_fd().try_clone_to_owned().unwrap())
}
