//! Finding tor: the environment, the port file, given streams, the cookie and the `SocksPort`.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Duration;

use torcon::error::{AuthProblem, ConnectProblem};
use torcon::socks::SocksProxy;
use torcon::{CancelToken, ConnectOptions, Controller, Endpoint, Error, Password, Supervisor};

use super::{as_another_user, chain, controller, refusal};
use crate::support::exclusive::{exclusive, this_program};
use crate::support::named_thread::named;
use crate::support::real_tor::{RealTor, shared};
use crate::support::watchdog::within;

/// Set in the child processes of [`in_environment`].
const MARK: &str = "TORCON_TEST_ENVIRONMENT";
/// Marks the report in the standard output, which the test harness writes to as well.
const REPORT: &str = "torcon test report: ";

const VARIABLES: [&str; 8] = [
    "TOR_CONTROL_IPC_PATH",
    "TOR_CONTROL_HOST",
    "TOR_CONTROL_PORT",
    "TOR_CONTROL_PASSWD",
    "TOR_CONTROL_COOKIE_AUTH_FILE",
    "TOR_SOCKS_IPC_PATH",
    "TOR_SOCKS_HOST",
    "TOR_SOCKS_PORT",
];

/// Runs the test `name` in another process with these of the variables, and returns its report.
fn in_environment(name: &str, variables: &[(&str, &str)]) -> String {
    let mut command = this_program();
    command.args(["--exact", name, "--nocapture"]).env(MARK, "1").stdin(Stdio::null());
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report = text.lines().find_map(|line| Some(line.split_once(REPORT)?.1.to_owned()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    report.unwrap_or_else(|| panic!("no report: {text}\n{stderr}"))
}

/// Prints the report of a child process; returns whether this is one.
fn report(body: impl FnOnce() -> Result<String, Error>) -> bool {
    if env::var_os(MARK).is_none() {
        return false;
    }
    println!("{REPORT}{}", body().unwrap_or_else(|error| format!("{error:?}")));
    true
}

#[track_caller]
fn assert_is(controller: &Controller, pid: u32) {
    assert_eq!(controller.get_info_one("process/pid").unwrap(), pid.to_string());
}

#[test]
fn the_environment_names_the_control_port() {
    if report(|| ConnectOptions::from_env()?.connect_default()?.get_info_one("process/pid")) {
        return;
    }
    let run = |variables: &[(&str, &str)]| {
        in_environment("real_tor::finding::the_environment_names_the_control_port", variables)
    };
    let hashed = Password::from("pass \"word\"").hashed().unwrap();
    let tor =
        RealTor::builder().control_port().line(format!("HashedControlPassword {hashed}")).start();
    let pid = tor.pid().to_string();
    let port = tor.control_addr().port().to_string();
    let port = ("TOR_CONTROL_PORT", port.as_str());
    let path = tor.socket_path();
    let path = ("TOR_CONTROL_IPC_PATH", path.to_str().unwrap());
    assert_eq!(run(&[port]), pid);
    assert_eq!(run(&[port, ("TOR_CONTROL_HOST", "localhost")]), pid);
    assert_eq!(run(&[path]), pid);
    assert_eq!(run(&[path, ("TOR_CONTROL_PORT", "1")]), pid, "the path takes precedence");

    // tor's cookie elsewhere: by the password, and by the path of the cookie.
    let cookie = tor.directory().join("elsewhere");
    fs::rename(tor.cookie_path(), &cookie).unwrap();
    let cookie = ("TOR_CONTROL_COOKIE_AUTH_FILE", cookie.to_str().unwrap());
    let missing = run(&[port]);
    assert!(missing.contains("; hint: tor sees other files"), "{missing}");
    assert_eq!(run(&[port, cookie]), pid);
    assert_eq!(run(&[port, ("TOR_CONTROL_PASSWD", "\"pass \\\"word\\\"\"")]), pid);
    assert_eq!(run(&[port, ("TOR_CONTROL_PASSWD", "706173732022776f726422")]), pid);
    let wrong = run(&[port, cookie, ("TOR_CONTROL_PASSWD", "\"wrong\"")]);
    assert!(wrong.contains("check the password"), "the password takes precedence: {wrong}");
    assert!(!wrong.contains("wrong"), "{wrong}");

    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    assert_eq!(
        run(&[("TOR_CONTROL_PORT", &closed)]),
        format!(
            "cannot connect to 127.0.0.1:{closed}: Connection refused (os error 111); hint: start \
             tor, or open its control port with two lines in its torrc: ControlPort 9051, and \
             CookieAuthentication 1"
        ),
        "only the endpoint of the environment is tried"
    );
    assert_eq!(
        run(&[port, ("TOR_SOCKS_PORT", "none")]),
        "invalid argument \"TOR_SOCKS_PORT\": the environment variable is not a port number from 1 \
         to 65535"
    );
    assert_eq!(
        run(&[("TOR_CONTROL_PORT", "9051x")]),
        "invalid argument \"TOR_CONTROL_PORT\": the environment variable is not a port number from \
         1 to 65535"
    );
}

#[test]
fn the_environment_names_the_socks_port() {
    if report(|| {
        let proxy = SocksProxy::from_env()?.endpoint().to_string();
        let controller = ConnectOptions::from_env()?.connect(shared_of_parent())?;
        let endpoints = controller.socks_endpoints()?;
        Ok(format!("{proxy} {}", endpoints.first().map_or("none".into(), Endpoint::to_string)))
    }) {
        return;
    }
    let tor = shared();
    let endpoint = tor.endpoint();
    let run = |variables: &[(&str, &str)]| {
        let variables = [variables, &[(ENDPOINT, endpoint.as_str())]].concat();
        in_environment("real_tor::finding::the_environment_names_the_socks_port", &variables)
    };
    assert_eq!(run(&[]), "127.0.0.1:9050 none");
    assert_eq!(run(&[("TOR_SOCKS_PORT", "9150")]), "127.0.0.1:9150 127.0.0.1:9150");
    assert_eq!(
        run(&[("TOR_SOCKS_HOST", "10.152.152.10")]),
        "10.152.152.10:9150 10.152.152.10:9150"
    );
    let path = ("TOR_SOCKS_IPC_PATH", "/run/a b/socks");
    assert_eq!(
        run(&[path, ("TOR_SOCKS_PORT", "x")]),
        "unix:/run/a b/socks unix:/run/a b/socks",
        "the path takes precedence"
    );
}

/// The endpoint of a tor of the parent process.
const ENDPOINT: &str = "TORCON_TEST_ENDPOINT";

fn shared_of_parent() -> String {
    env::var(ENDPOINT).unwrap()
}

#[test]
fn a_supervisor_takes_the_default_endpoints() {
    if report(|| {
        let options = ConnectOptions::from_env()?;
        let supervisor = Supervisor::connect(options.default_endpoints(), options)?;
        let tor = supervisor.wait_tor(Duration::from_secs(60))?;
        tor.controller().get_info_one("process/pid")
    }) {
        return;
    }
    let tor = shared();
    let name = "real_tor::finding::a_supervisor_takes_the_default_endpoints";
    let path = tor.endpoint().strip_prefix("unix:").unwrap().to_owned();
    let found = in_environment(name, &[("TOR_CONTROL_IPC_PATH", path.as_str())]);
    assert_eq!(found, tor.pid().to_string());
}

#[test]
fn every_control_port_is_in_the_file_that_tor_writes() {
    // `RealTor` sets ControlPortWriteToFile.
    let mut builder = RealTor::builder().control_port().line("ControlPort 127.0.0.2:auto");
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    if has_ipv6 {
        builder = builder.line("ControlPort [::1]:auto");
    }
    let tor = builder.start();
    let endpoints = Endpoint::read_port_file(tor.directory().join("control-port")).unwrap();
    assert_eq!(endpoints.len(), if has_ipv6 { 4 } else { 3 }, "{endpoints:?}");
    let texts: Vec<_> = endpoints.iter().map(Endpoint::to_string).collect();
    for host in ["127.0.0.1:", "127.0.0.2:", "[::1]:", "unix:"] {
        let is_there = texts.iter().any(|text| text.starts_with(host));
        assert_eq!(is_there, has_ipv6 || host != "[::1]:", "{texts:?}");
    }
    for endpoint in &endpoints {
        assert_is(&torcon::connect(endpoint).unwrap(), tor.pid());
    }
    let first = ConnectOptions::new().connect_first(&endpoints).unwrap();
    assert_is(&first, tor.pid());
}

#[test]
fn a_port_file_that_names_no_port_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control-port");
    let error = Endpoint::read_port_file(&path).unwrap_err();
    let text = format!("cannot connect to {}: ", path.display());
    assert_eq!(chain(&error), format!("{text}No such file or directory (os error 2)"));
    assert!(matches!(&error, Error::Connect(_)), "{error:?}");
    fs::write(&path, "PORT=127.0.0.1:").unwrap();
    assert_eq!(refusal(Endpoint::read_port_file(&path)), format!("{text}the file names no port"));
}

#[test]
fn the_cookie_file_of_tor_is_known() {
    let tor = RealTor::start();
    let named = controller(&tor);
    assert_eq!(named.cookie_path(), Some(tor.cookie_path().as_path()));
    let copy = tor.directory().join("copy");
    fs::copy(tor.cookie_path(), &copy).unwrap();
    let options = ConnectOptions::new().cookie_file(&copy);
    let of_options = options.connect(tor.endpoint()).unwrap();
    assert_eq!(of_options.cookie_path(), Some(copy.as_path()));

    let open = RealTor::builder().without_cookie().start();
    assert_eq!(options.connect(open.endpoint()).unwrap().cookie_path(), None);
}

#[test]
fn the_socks_ports_of_tor_are_found() {
    // Its network is on, and leads to a closed port of this machine.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tor = RealTor::builder()
        .line("DisableNetwork 0")
        .line("UseBridges 1")
        .line(format!("Bridge {closed}"))
        .line("SocksPort 127.0.0.2:auto")
        .line("SocksPort 0.0.0.0:auto")
        .start();
    let shown: Vec<_> = controller(&tor).socks_endpoints().unwrap();
    let hosts: Vec<_> =
        shown.iter().map(|e| e.to_string().rsplit_once(':').unwrap().0.to_owned()).collect();
    assert_eq!(hosts, ["127.0.0.2", "127.0.0.1"]);
    for endpoint in shown {
        let mut socket = TcpStream::connect(endpoint.to_string()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.write_all(b"\x05\x01\x00").unwrap();
        let mut answer = [0; 2];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"\x05\x00", "it is a SOCKS proxy");
    }
    assert_eq!(super::reader().socks_endpoints().unwrap(), []);
}

#[test]
fn a_given_stream_becomes_a_control_connection() {
    let tor = RealTor::builder().control_port().start();
    let options = ConnectOptions::new();
    let tcp = TcpStream::connect(tor.control_addr()).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let by_tcp = options.connect_stream(tcp).unwrap();
    assert_is(&by_tcp, tor.pid());
    assert_eq!(by_tcp.endpoint(), &Endpoint::from(tor.control_addr()));

    let unix = UnixStream::connect(tor.socket_path()).unwrap();
    // Longer than the connection is idle below.
    unix.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let by_unix = options.connect_stream(unix).unwrap();
    assert_eq!(by_unix.endpoint(), &Endpoint::unix(tor.socket_path()));
    assert!(by_unix.wait_closed(Duration::from_millis(200)).is_err(), "it is not idle too long");
    assert_is(&by_unix, tor.pid());

    let descriptor = OwnedFd::from(UnixStream::connect(tor.socket_path()).unwrap());
    let by_descriptor = options.connect_stream(descriptor).unwrap();
    assert_is(&by_descriptor, tor.pid());
    assert_eq!(by_descriptor.cookie_path(), Some(tor.cookie_path().as_path()));
    by_descriptor.close();
}

#[test]
fn a_given_stream_without_a_tor_is_an_error() {
    let options = ConnectOptions::new().timeout(Duration::from_millis(300));
    let directory = tempfile::tempdir().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
    let file = File::create(directory.path().join("file")).unwrap();
    let no_stream: [(OwnedFd, &str); 4] = [
        (file.into(), "Socket operation on non-socket (os error 88)"),
        (udp.into(), "ESOCKTNOSUPPORT"),
        (listener.into(), "not connected (os error 107)"),
        (unix.into(), "not connected (os error 107)"),
    ];
    for (descriptor, reason) in no_stream {
        let text = refusal(options.connect_stream(descriptor));
        let start = "invalid argument \"stream\": is not a connected TCP or unix socket: ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains(reason) || reason.starts_with('E'), "{text}");
    }
    let (one, other) = UnixStream::pair().unwrap();
    let error = options.connect_stream(one).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let (one, _) = UnixStream::pair().unwrap();
    let error = options.connect_stream(one).unwrap_err();
    let Error::Connect(connect) = &error else { panic!("{error:?}") };
    let problem = connect.attempts()[0].problem();
    assert!(
        matches!(problem, ConnectProblem::NotAControlPort { .. } | ConnectProblem::Closed(_)),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("cannot connect to an unnamed unix socket: "), "{error}");
    drop(other);
}

#[test]
fn a_given_stream_can_be_canceled() {
    let token = CancelToken::new();
    let options = ConnectOptions::new().cancel_token(&token);
    let (one, mut other) = UnixStream::pair().unwrap();
    let connecting = named("connecting", move || {
        (options.connect_stream(one), options.connect_stream(UnixStream::pair().unwrap().0))
    });
    // The first command was sent.
    other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    other.read_exact(&mut [0; 14]).unwrap();
    token.cancel();
    let (first, second) = within(Duration::from_secs(20), "connect", || connecting.join().unwrap());
    assert!(matches!(first, Err(Error::Canceled(_))), "{first:?}");
    assert!(matches!(second, Err(Error::Canceled(_))), "{second:?}");
}

#[test]
fn a_given_stream_is_used_for_one_attempt() {
    let hashed = Password::from("swordfish").hashed().unwrap();
    let tor = RealTor::builder().line(format!("HashedControlPassword {hashed}")).start();
    let wrong = tor.directory().join("wrong");
    fs::write(&wrong, [7; 32]).unwrap();
    let open = || UnixStream::connect(tor.socket_path()).unwrap();
    let options = ConnectOptions::new().cookie_file(wrong).password("swordfish");
    let Err(Error::Auth(error)) = options.connect_stream(open()) else { panic!("it has a cookie") };
    assert!(matches!(error.problem(), AuthProblem::WrongServerProof { .. }), "{error:?}");
    let controller = options.without_cookie().connect_stream(open()).unwrap();
    assert_is(&controller, tor.pid());
}

#[test]
fn a_socket_that_is_closed_to_this_user_has_a_hint() {
    exclusive(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let _listener = UnixListener::bind(&path).unwrap();
        let tor = RealTor::start();
        // The directory of the packages is closed to other users, and so is this one.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o000)).unwrap();
        let text = as_another_user(&tor, || refusal(torcon::connect(path.as_path())));
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(
            text,
            format!(
                "cannot connect to unix:{}: Permission denied (os error 13); hint: join the group \
                 of the socket (on Debian and Ubuntu: sudo adduser $USER debian-tor) and log in \
                 again",
                path.display()
            )
        );
    });
}
