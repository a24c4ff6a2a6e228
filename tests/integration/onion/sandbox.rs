use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use torcon::onion::{OnionEndpoint, OnionListener, Publication};
use torcon::{Error, Signal};

use super::{LONG, refusal};
use crate::support::real_tor::tor_binary;
use crate::support::watchdog::eventually;

/// The number of the unprivileged user, which is the same on every system.
const UNPRIVILEGED: u32 = 65534;

/// Mounts as the packaged unit of tor does: a private /tmp, and everything read-only but the data
/// directory.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$D" "$D"
mount -t tmpfs tmpfs /tmp
mount -o remount,bind,ro /
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$TOR" -f "$D/torrc" --defaults-torrc "$D/empty"
"#;

/// A tor that sees other files than this program, as another user.
struct Sandbox {
    child: Child,
    directory: tempfile::TempDir,
}

impl Sandbox {
    /// Returns `None`, and says so, where namespaces are not permitted.
    fn start() -> Option<Self> {
        let permitted = Command::new("unshare").args(["-m", "true"]).output();
        if !permitted.is_ok_and(|output| output.status.success()) {
            println!("NOT RUN: a mount namespace is not permitted here");
            return None;
        }
        // Not below /tmp, since the tor has a private one.
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let d = directory.path();
        fs::write(d.join("empty"), "").unwrap();
        let lines = [
            format!("DataDirectory {}/data", d.display()),
            format!("ControlSocket {}/control", d.display()),
            "ControlPort 127.0.0.1:auto".to_owned(),
            format!("ControlPortWriteToFile {}/port", d.display()),
            format!("Log notice file {}/log", d.display()),
            "CookieAuthentication 0".to_owned(),
            "DisableNetwork 1".to_owned(),
            "SocksPort 0".to_owned(),
            format!("__OwningControllerProcess {}", std::process::id()),
        ];
        fs::write(d.join("torrc"), lines.join("\n")).unwrap();
        fs::set_permissions(d, Permissions::from_mode(0o700)).unwrap();
        chown(d, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c", SCRIPT])
            .env("D", d)
            .env("TOR", tor_binary())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut sandbox = Self { child, directory };
        eventually(LONG, "the tor in the sandbox has its control port", || {
            assert!(sandbox.child.try_wait().unwrap().is_none(), "{}", sandbox.log());
            fs::read_to_string(sandbox.path("port")).is_ok_and(|text| text.ends_with('\n'))
        });
        Some(sandbox)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn endpoints(&self) -> [String; 2] {
        let port = fs::read_to_string(self.path("port")).unwrap();
        let port = port.lines().find_map(|line| line.strip_prefix("PORT=")).unwrap().to_owned();
        [format!("unix:{}", self.path("control").display()), port]
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let control = format!("unix:{}", self.path("control").display());
        if let Ok(controller) = torcon::connect(control.as_str()) {
            let _ = controller.signal(Signal::Halt);
        }
        let _ = self.child.wait();
    }
}

fn try_listen(
    tor: &str,
    change: impl FnOnce(OnionEndpoint) -> OnionEndpoint,
) -> Result<OnionListener, Error> {
    change(OnionEndpoint::system_tor(tor, 80).publication(Publication::None)).listen()
}

#[test]
fn a_tor_in_a_sandbox_gets_a_service_or_the_error_has_the_reason() {
    // The packaged tor exited for a directory that it cannot see.
    let Some(mut sandbox) = Sandbox::start() else { return };
    let outside = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(outside.path(), Permissions::from_mode(0o777)).unwrap();
    let closed = sandbox.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    for tor in sandbox.endpoints() {
        try_listen(&tor, |endpoint| endpoint).unwrap().close().unwrap();
        let refused = |path: &Path| {
            let refused = try_listen(&tor, |endpoint| endpoint.hidden_service_dir(path));
            let text = refusal(refused);
            assert!(!path.exists());
            let start = format!("the directory {path:?} may not be usable for tor: ");
            let reason = text.strip_prefix(&start).unwrap_or_else(|| panic!("{text}"));
            reason.replace("; use an ephemeral service", "")
        };
        let elsewhere = "tor sees another file system there";
        assert_eq!(refused(Path::new("/tmp/a service of a sandbox")), elsewhere);
        assert_eq!(refused(&outside.path().join("service")), "tor may only read there");
        assert_eq!(
            refused(&closed.join("service")),
            "tor's user may not enter the parent directory"
        );
        let temporary = refusal(try_listen(&tor, OnionEndpoint::temporary_dir));
        assert!(temporary.contains(elsewhere), "{temporary}");
        // In its data directory.
        let path = sandbox.path("service");
        let given = try_listen(&tor, |endpoint| endpoint.hidden_service_dir(&path)).unwrap();
        let address = given.onion_address();
        given.close().unwrap();
        let again = try_listen(&tor, |endpoint| {
            endpoint.hidden_service_dir(&path).authorize_client("alice")
        });
        assert_eq!(again.unwrap().onion_address(), address);
        assert!(sandbox.child.try_wait().unwrap().is_none(), "{}", sandbox.log());
    }
}

#[test]
fn the_user_of_tor_can_connect_to_a_unix_socket_of_root() {
    let Some(sandbox) = Sandbox::start() else { return };
    let [tor, _] = sandbox.endpoints();
    let outside = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(outside.path(), Permissions::from_mode(0o711)).unwrap();
    let owner = |path: &Path| fs::symlink_metadata(path).unwrap().uid();
    let path = outside.path().join("socket");
    let listener = try_listen(&tor, |endpoint| endpoint.local_unix(&path)).unwrap();
    assert_eq!(owner(&path), UNPRIVILEGED);
    drop(listener);
    // Other users may replace the file there.
    let path = sandbox.path("socket");
    let listener = try_listen(&tor, |endpoint| endpoint.local_unix(&path)).unwrap();
    assert_eq!(owner(&path), 0);
    drop(listener);
}

#[test]
fn nothing_outside_a_service_directory_is_given_to_the_user_of_tor() {
    // As root, torcon gave any directory to tor's user by a link in the directory of a service.
    let Some(sandbox) = Sandbox::start() else { return };
    let [tor, _] = sandbox.endpoints();
    let (victim, path) = (sandbox.path("victim"), sandbox.path("service"));
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("file"), "").unwrap();
    let listen = || {
        try_listen(&tor, |endpoint| endpoint.hidden_service_dir(&path).authorize_client("alice"))
    };
    listen().unwrap().close().unwrap();
    let clients = path.join("authorized_clients");
    fs::remove_dir_all(&clients).unwrap();
    std::os::unix::fs::symlink(&victim, &clients).unwrap();
    refusal(listen());
    fs::remove_file(&clients).unwrap();
    fs::create_dir(&clients).unwrap();
    // A directory of another user is not given away either.
    assert_eq!(
        refusal(listen()),
        format!("{clients:?} belongs to user 0, and tor runs as user {UNPRIVILEGED}")
    );
    chown(&clients, Some(UNPRIVILEGED), None).unwrap();
    std::os::unix::fs::symlink(victim.join("file"), clients.join("alice.auth")).unwrap();
    refusal(listen());
    let owners = [&victim, &victim.join("file")].map(|path| fs::metadata(path).unwrap().uid());
    assert_eq!(owners, [0, 0]);
}
