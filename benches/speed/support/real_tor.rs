//! A real tor without network, in a private directory.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use tempfile::TempDir;

use super::raw::Address;
use super::report;

/// A running tor with cookie authentication, on a unix socket and on a TCP port. It is ended and
/// reaped when the value is dropped.
#[derive(Debug)]
pub(crate) struct RealTor {
    child: Child,
    pub(crate) unix: Address,
    pub(crate) tcp: Address,
    pub(crate) cookie: PathBuf,
    directory: TempDir,
}

impl RealTor {
    /// Starts tor; `None`, which is reported, if `tor` is not on the path.
    pub(crate) fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            report::skip("tor is not on the path");
            return None;
        };
        let directory = tempfile::Builder::new()
            // tor refuses to create a socket in a directory that other users can enter.
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let root = directory.path();
        let at = root.display();
        let torrc = format!(
            "DataDirectory {at}/data\nControlSocket {at}/control\nControlPort 127.0.0.1:auto\n\
             ControlPortWriteToFile {at}/port\nCookieAuthentication 1\nCookieAuthFile {at}/cookie\n\
             DisableNetwork 1\nSocksPort 0\nLog warn stdout\n__OwningControllerProcess {}\n",
            process::id()
        );
        fs::write(root.join("torrc"), torrc).unwrap();
        fs::write(root.join("defaults-torrc"), "").unwrap();
        let child = Command::new(binary)
            .arg("--defaults-torrc")
            .arg(root.join("defaults-torrc"))
            .arg("-f")
            .arg(root.join("torrc"))
            .stdin(Stdio::null())
            .stdout(File::create(root.join("log")).unwrap())
            .spawn()
            .expect("tor can be started");
        let unix = Address::Unix(root.join("control"));
        let unknown = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let cookie = root.join("cookie");
        let mut tor = Self { child, unix, tcp: unknown, cookie, directory };
        let end = Instant::now() + Duration::from_secs(60);
        // tor creates the socket and the file before it answers.
        while torcon::connect(tor.unix.to_string().as_str()).is_err() || !tor.find_port() {
            assert!(Instant::now() < end, "tor did not answer");
            assert_eq!(tor.child.try_wait().unwrap(), None, "tor ended");
            thread::sleep(Duration::from_millis(10));
        }
        Some(tor)
    }

    fn find_port(&mut self) -> bool {
        let text = fs::read_to_string(self.directory.path().join("port")).unwrap_or_default();
        let port = text.lines().find_map(|line| line.strip_prefix("PORT=")?.parse().ok());
        port.map(|port| self.tcp = Address::Tcp(port)).is_some()
    }
}

impl Drop for RealTor {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn binary() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|directory| directory.join("tor")).find(|tor| tor.is_file())
}
