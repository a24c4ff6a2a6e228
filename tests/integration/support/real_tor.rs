//! A real tor, one per test, which writes only to a private directory.
//!
//! The network is off unless a test enables it, and nothing of the system's configuration is read
//! or written: the torrc and the defaults-torrc are private files.

use std::env;
use std::fmt::Write;
use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::raw_control::RawControl;
use super::socket::{Address, DEADLINE, Incoming, Lines};
use super::watchdog::eventually;

/// The countries that a tor of the tests knows: XY has 1.2.3.0/24 and 192.0.2.0/24, YZ has
/// `2001:db8::/112`. Debian packages the data of the whole world separately.
const GEOIP: &str = "16909056,16909311,XY\n3221225984,3221226239,XY\n";
const GEOIP6: &str = "2001:db8::,2001:db8::ffff,YZ\n";

/// How long a tor may take from its start to its first answer. It takes about half a second on
/// an idle machine; the limit is for a loaded one.
const START: Duration = Duration::from_secs(60);

/// The configuration of a tor.
#[derive(Debug)]
pub(crate) struct RealTorBuilder {
    lines: Vec<String>,
    has_socket: bool,
    has_port: bool,
    has_cookie: bool,
    owned: bool,
}

impl RealTorBuilder {
    /// Adds a line to the torrc, such as `SocksPort auto`. A line for `SocksPort`,
    /// `DisableNetwork`, `GeoIPFile` or `GeoIPv6File` replaces the default; the network may be on
    /// only on the private loopback network.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Opens a control port on a free port of 127.0.0.1 beside the unix socket.
    pub(crate) fn control_port(mut self) -> Self {
        self.has_port = true;
        self
    }

    /// Leaves the unix control socket out; a control port is then required.
    pub(crate) fn without_socket(mut self) -> Self {
        self.has_socket = false;
        self
    }

    /// Leaves cookie authentication off: without another line tor accepts every client.
    pub(crate) fn without_cookie(mut self) -> Self {
        self.has_cookie = false;
        self
    }

    /// Leaves out the line that ends tor, within 15 seconds, when the test program has died.
    pub(crate) fn without_owner(mut self) -> Self {
        self.owned = false;
        self
    }

    /// Starts tor and waits until it really answers on its control port.
    #[track_caller]
    pub(crate) fn start(self) -> RealTor {
        assert!(self.has_socket || self.has_port, "a tor of the tests has a control port");
        let directory = tempfile::Builder::new()
            .prefix("torcon-test-")
            // tor refuses to create a socket where others could reach it.
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let directory = directory.expect("a temporary directory can be made");
        let root = directory.path();
        // tor refuses to start if they are missing, and refuses /dev/null as a torrc.
        fs::write(root.join("torrc"), self.torrc(root)).expect("the torrc can be written");
        fs::write(root.join("defaults-torrc"), "").expect("the file can be written");
        fs::write(root.join("geoip"), GEOIP).expect("the file can be written");
        fs::write(root.join("geoip6"), GEOIP6).expect("the file can be written");
        let log = File::create(root.join("log")).expect("the log can be made");
        let child = spawn(root, log);
        let mut tor = RealTor {
            child: Mutex::new(child),
            control_port: None,
            has_socket: self.has_socket,
            has_cookie: self.has_cookie,
            directory,
        };
        tor.wait_until_it_answers(self.has_port);
        tor
    }

    fn torrc(&self, root: &Path) -> String {
        let root = root.display();
        let mut torrc = format!("DataDirectory {root}/data\n");
        let mut add = |line: &str| writeln!(torrc, "{line}").unwrap();
        if self.has_socket {
            add(&format!("ControlSocket {root}/control"));
        }
        if self.has_port {
            add("ControlPort 127.0.0.1:auto");
            add(&format!("ControlPortWriteToFile {root}/control-port"));
        }
        if self.has_cookie {
            add("CookieAuthentication 1");
            add(&format!("CookieAuthFile {root}/cookie"));
        }
        if self.owned {
            add(&format!("__OwningControllerProcess {}", std::process::id()));
        }
        // No network, no port that another tor could have and no data of this machine, unless the
        // test asks for them.
        let (geoip, geoip6) = (format!("{root}/geoip"), format!("{root}/geoip6"));
        for (option, value) in [
            ("DisableNetwork", "1"),
            ("SocksPort", "0"),
            ("GeoIPFile", geoip.as_str()),
            ("GeoIPv6File", geoip6.as_str()),
        ] {
            let names_it = |line: &String| {
                line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(option))
            };
            if !self.lines.iter().any(names_it) {
                add(&format!("{option} {value}"));
            }
        }
        for line in &self.lines {
            add(line);
        }
        torrc
    }
}

fn spawn(root: &Path, log: File) -> Child {
    Command::new(tor_binary())
        .arg("--defaults-torrc")
        .arg(root.join("defaults-torrc"))
        .arg("-f")
        .arg(root.join("torrc"))
        .stdin(Stdio::null())
        .stderr(log.try_clone().expect("the log can be shared"))
        // A file never fills up as a pipe does, and it has the lines that tor prints before it has read
        // its log options.
        .stdout(log)
        .spawn()
        .expect("tor can be started")
}

/// A running tor; it is ended and reaped when the value is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct RealTor {
    child: Mutex<Child>,
    control_port: Option<SocketAddr>,
    has_socket: bool,
    has_cookie: bool,
    directory: TempDir,
}

impl RealTor {
    /// Returns a builder: unix control socket, cookie authentication, network off.
    pub(crate) fn builder() -> RealTorBuilder {
        RealTorBuilder {
            lines: Vec::new(),
            has_socket: true,
            has_port: false,
            has_cookie: true,
            owned: true,
        }
    }

    /// Starts a tor with the builder's defaults.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::builder().start()
    }

    /// Starts a tor that has ended again, with the same files and control port, and waits until it
    /// answers. It fails to start while another program has the port.
    #[track_caller]
    pub(crate) fn start_again(&self) {
        assert!(self.try_wait().is_some(), "tor still runs");
        let end = Instant::now() + START;
        if let Some(address) = self.control_port {
            let torrc = fs::read_to_string(self.torrc_path()).expect("the torrc can be read");
            let torrc = torrc.replace("127.0.0.1:auto", &address.to_string());
            fs::write(self.torrc_path(), torrc).expect("the torrc can be written");
        }
        loop {
            if self.try_wait().is_some() {
                let log = File::options().append(true).open(self.directory.path().join("log"));
                *self.child.lock() = spawn(self.directory(), log.expect("the log can be opened"));
            }
            if self.answers(end) {
                return;
            }
            assert!(Instant::now() < end, "tor did not start again; its log:\n{}", self.log_text());
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self, has_port: bool) {
        let end = Instant::now() + START;
        loop {
            // The socket and the file exist half a second before tor answers.
            if has_port && self.control_port.is_none() {
                let text = fs::read_to_string(self.directory.path().join("control-port"));
                self.control_port = text.ok().and_then(|text| {
                    text.lines().find_map(|line| line.strip_prefix("PORT=")?.parse().ok())
                });
            }
            let is_known = !has_port || self.control_port.is_some();
            if is_known && self.answers(end) {
                return;
            }
            if let Some(status) = self.try_wait() {
                panic!("tor ended at its start, {status}; its log:\n{}", self.log_text());
            }
            assert!(
                Instant::now() < end,
                "tor did not answer within {START:?}; its log:\n{}",
                self.log_text()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn answers(&self, end: Instant) -> bool {
        let Ok(mut socket) = self.address().connect(DEADLINE) else { return false };
        let line = socket
            .write_all(b"PROTOCOLINFO 1\r\n", end)
            .and_then(|()| Lines::default().next(&mut socket, end));
        matches!(line, Ok(Incoming::Line(line)) if line == b"250-PROTOCOLINFO 1\r\n")
    }

    /// Returns the address of the control connection: the unix socket, if any.
    pub(crate) fn address(&self) -> Address {
        if self.has_socket {
            Address::Unix(self.socket_path())
        } else {
            Address::Tcp(self.control_addr())
        }
    }

    /// Returns the address of the control connection as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.address().to_string()
    }

    /// Returns the address of the control port.
    pub(crate) fn control_addr(&self) -> SocketAddr {
        self.control_port.expect("this tor was started with control_port()")
    }

    pub(crate) fn socket_path(&self) -> PathBuf {
        self.directory.path().join("control")
    }

    pub(crate) fn cookie_path(&self) -> PathBuf {
        self.directory.path().join("cookie")
    }

    pub(crate) fn torrc_path(&self) -> PathBuf {
        self.directory.path().join("torrc")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns the directory that holds everything of this tor.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the output of tor so far.
    pub(crate) fn log_text(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().id()
    }

    /// Opens an authenticated control connection without torcon.
    pub(crate) fn raw(&self) -> RawControl {
        let mut raw = RawControl::connect(&self.address());
        if self.has_cookie {
            raw.authenticate_by_cookie(&self.cookie_path());
        } else {
            raw.authenticate();
        }
        raw
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&self) {
        self.send(Signal::SIGKILL);
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.send(Signal::SIGTERM);
    }

    /// Stops the process with SIGSTOP: it keeps its sockets and answers nothing.
    pub(crate) fn stop(&self) {
        self.send(Signal::SIGSTOP);
    }

    /// Sends SIGHUP, as a rotation of logs does: tor reads its torrc again.
    pub(crate) fn hang_up(&self) {
        self.send(Signal::SIGHUP);
    }

    /// Continues a stopped process.
    pub(crate) fn cont(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Waits until tor has ended, and returns how.
    #[track_caller]
    pub(crate) fn wait(&self, limit: Duration) -> ExitStatus {
        let mut status = None;
        eventually(limit, "tor has ended", || {
            status = self.try_wait();
            status.is_some()
        });
        status.unwrap()
    }

    /// Returns how tor has ended, or `None` if it still runs.
    pub(crate) fn try_wait(&self) -> Option<ExitStatus> {
        self.child.lock().try_wait().expect("our child can be waited for")
    }

    fn send(&self, signal: Signal) {
        let mut child = self.child.lock();
        // The PID of a reaped process may belong to another process.
        if child.try_wait().expect("our child can be waited for").is_none() {
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            kill(pid, signal).expect("our child can be signaled");
        }
    }
}

impl Drop for RealTor {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the log of the tor of this test:\n{}", self.log_text());
        }
        let child = self.child.get_mut();
        child.kill().ok();
        child.wait().ok();
    }
}

/// Returns the tor that is shared by all tests that only read.
///
/// It has a control port and a unix socket, cookie authentication, and no network. It ends with the
/// test program, however that ends: a connection of the program takes ownership of tor, and a shell
/// that waits for it removes the directory.
pub(crate) fn shared() -> &'static SharedTor {
    static SHARED: OnceLock<SharedTor> = OnceLock::new();
    SHARED.get_or_init(SharedTor::start)
}

/// See [`shared`].
#[derive(Debug)]
pub(crate) struct SharedTor {
    tor: RealTor,
    /// tor exits when this connection ends.
    _owner: Mutex<RawControl>,
    /// Waits for the end of its standard input.
    _tidy_up: Child,
}

impl SharedTor {
    fn start() -> Self {
        let mut tor = RealTor::builder().control_port().start();
        // A static is never dropped, so another process has to clean up after tor.
        tor.directory.disable_cleanup(true);
        let mut owner = tor.raw();
        assert_eq!(owner.ask("TAKEOWNERSHIP"), ["250 OK"]);
        let tidy_up = Command::new("/bin/sh")
            // The pipe ends with this program, and a second later tor has written its last file.
            .args(["-c", "read -r _; sleep 1; rm -rf \"$1\"", "torcon-tidy-up"])
            .arg(tor.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        Self { tor, _owner: Mutex::new(owner), _tidy_up: tidy_up }
    }

    /// Returns the address of the unix control socket.
    pub(crate) fn address(&self) -> Address {
        self.tor.address()
    }

    /// Returns the address of the unix control socket as users write it.
    pub(crate) fn endpoint(&self) -> String {
        self.tor.endpoint()
    }

    pub(crate) fn control_addr(&self) -> SocketAddr {
        self.tor.control_addr()
    }

    pub(crate) fn cookie_path(&self) -> PathBuf {
        self.tor.cookie_path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.tor.pid()
    }

    /// Opens an authenticated control connection without torcon.
    pub(crate) fn raw(&self) -> RawControl {
        self.tor.raw()
    }
}

/// Requires that tor exited with this code. Now and then another thread of tor aborts the process while
/// it exits ("Error locking a mutex").
#[track_caller]
pub(crate) fn assert_exited(code: i32, status: ExitStatus) {
    let has_aborted = status.signal() == Some(Signal::SIGABRT as i32);
    assert!(status.code() == Some(code) || has_aborted, "{status}");
}

/// Returns the tor to test with, which is the first on the path, as for everything else that
/// starts tor by its name.
///
/// Without one the tests fail: a suite that passes because tor is missing shows nothing.
#[track_caller]
pub(crate) fn tor_binary() -> PathBuf {
    find_on(&env::var_os("PATH").unwrap_or_default()).unwrap_or_else(|| panic!("{NO_TOR}"))
}

const NO_TOR: &str = "these tests need tor, and there is none on the path: install it \
    (`apt-get install tor` on Debian and Ubuntu, `brew install tor` on macOS)";

fn find_on(path: &std::ffi::OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|directory| directory.join("tor")).find(|tor| tor.is_file())
}

#[test]
fn without_tor_the_suite_says_how_to_install_it() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(find_on(empty.path().as_os_str()), None);
    assert!(NO_TOR.contains("apt-get install tor"), "{NO_TOR}");
}

#[test]
fn a_real_tor_answers_a_raw_connection_and_is_gone_after_its_drop() {
    let tor = RealTor::builder().control_port().line("ContactInfo somebody").start();
    let pid = tor.pid();
    let directory = tor.directory().to_owned();
    let mut raw = tor.raw();
    assert_eq!(raw.get_info("process/pid"), pid.to_string());
    assert_eq!(raw.get_conf("ContactInfo"), ["250 ContactInfo=somebody"]);
    assert_eq!(raw.get_conf("DisableNetwork"), ["250 DisableNetwork=1"]);
    assert!(raw.get_info("config-text").lines().count() > 3);
    let listeners = raw.get_info("net/listeners/control");
    assert!(listeners.contains(&tor.control_addr().to_string()), "{listeners}");
    assert!(listeners.contains(tor.socket_path().to_str().unwrap()), "{listeners}");
    assert_eq!(raw.get_info("config-file"), tor.torrc_path().to_str().unwrap());
    assert!(tor.data_dir().is_dir());
    assert!(tor.log_text().contains("[notice] Bootstrapped 0% (starting): Starting"));
    drop(tor);
    raw.expect_end(Duration::from_secs(5));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!directory.exists());
}

#[test]
fn a_stopped_tor_answers_after_it_goes_on() {
    let tor = RealTor::builder().without_cookie().start();
    let mut raw = tor.raw();
    tor.stop();
    raw.send("GETINFO process/pid");
    assert_eq!(tor.try_wait(), None);
    tor.cont();
    assert_eq!(raw.reply(), [format!("250-process/pid={}", tor.pid()), "250 OK".to_owned()]);
    tor.terminate();
    // Not always with code 0: tor 0.4.9.11 has a race at its end, and on a busy machine it can
    // abort there ("Error locking a mutex").
    let status = tor.wait(Duration::from_secs(10));
    assert_eq!(tor.try_wait(), Some(status));
    // A signal to a reaped process has no effect.
    tor.kill();
}

#[test]
fn a_tor_starts_again_with_the_same_control_port_and_another_cookie() {
    let tor = RealTor::builder().control_port().start();
    let (address, cookie) = (tor.control_addr(), fs::read(tor.cookie_path()).unwrap());
    tor.kill();
    tor.wait(Duration::from_secs(10));
    tor.start_again();
    let mut raw = RawControl::connect(&Address::Tcp(address));
    raw.authenticate_by_cookie(&tor.cookie_path());
    assert_eq!(raw.get_info("process/pid"), tor.pid().to_string());
    assert_ne!(fs::read(tor.cookie_path()).unwrap(), cookie);
}

#[test]
fn a_tor_has_only_the_control_ports_that_were_asked_for() {
    let tor = RealTor::start();
    assert_eq!(tor.raw().get_conf("SocksPort"), ["250 SocksPort=0"]);
    assert_eq!(tor.raw().get_conf("ControlPort"), ["250 ControlPort"]);
    let owner = format!("250 __OwningControllerProcess={}", std::process::id());
    assert_eq!(tor.raw().get_conf("__OwningControllerProcess"), [owner]);

    let builder = RealTor::builder().control_port().without_socket().without_owner();
    let tor = builder.line("SocksPort auto").start();
    assert_eq!(tor.endpoint(), tor.control_addr().to_string());
    assert!(!tor.socket_path().exists());
    assert_eq!(tor.raw().get_conf("SocksPort"), ["250 SocksPort=auto"]);
    let owner = tor.raw().get_conf("__OwningControllerProcess");
    assert_eq!(owner, ["250 __OwningControllerProcess"]);
}

#[test]
fn a_tor_that_cannot_start_shows_its_log() {
    let message = super::failure::panic_of(|| RealTor::builder().line("Bogus 1").start());
    assert!(message.starts_with("tor ended at its start, exit status: 1"), "{message}");
    assert!(message.contains("Unknown option 'Bogus'.  Failing."), "{message}");
}

#[test]
fn the_shared_tor_has_both_kinds_of_control_port() {
    let tor = shared();
    assert_eq!(tor.raw().get_info("process/pid"), tor.pid().to_string());
    let mut raw = RawControl::connect(&Address::Tcp(tor.control_addr()));
    raw.authenticate_by_cookie(&tor.cookie_path());
    assert_eq!(raw.ask("SETEVENTS NOTICE"), ["250 OK"]);
    assert_eq!(tor.address().to_string(), tor.endpoint());
}
