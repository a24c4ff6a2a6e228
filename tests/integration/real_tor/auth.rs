//! Each method of authentication with a real tor, and the problems of its cookie.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use torcon::error::AuthProblem;
use torcon::names::AuthMethod;
use torcon::{ConnectOptions, Disconnect, Error, Password};

use super::{as_another_user, controller, refusal};
use crate::support::log_capture::LogCapture;
use crate::support::real_tor::{RealTor, RealTorBuilder};
use crate::support::recording_proxy::RecordingProxy;

fn with_password(builder: RealTorBuilder, password: &Password) -> RealTorBuilder {
    builder.line(format!("HashedControlPassword {}", password.hashed().unwrap()))
}

/// Connects through a recording proxy and returns the keywords of the commands.
fn keywords(tor: &RealTor, options: &ConnectOptions) -> Vec<String> {
    let tap = RecordingProxy::before(tor.address());
    let controller = options.connect(tap.endpoint()).unwrap();
    assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
    let keyword = |line: &String| line.split(' ').next().unwrap().to_owned();
    tap.sent().iter().take_while(|line| !line.starts_with("GETINFO")).map(keyword).collect()
}

#[test]
fn a_tor_without_authentication_accepts_every_connection() {
    let tor = RealTor::builder().without_cookie().start();
    let options = ConnectOptions::new().password("unwanted");
    assert_eq!(keywords(&tor, &options), ["PROTOCOLINFO", "AUTHENTICATE"]);
    let info = controller(&tor).protocol_info().unwrap();
    assert_eq!((info.auth_methods, info.cookie_file), (vec![AuthMethod::Null], None));
}

#[test]
fn any_password_can_be_hashed_and_sent() {
    // A backslash was refused, short octal escapes made `a 1` into something else, and `%` was
    // mangled (peers 18).
    let passwords = [
        Password::from("foo"),
        Password::from("cafe"),
        Password::from(""),
        Password::from(" leading and trailing "),
        Password::from("say \"hi\" \\ \\\\ 'x' %s %41"),
        Password::from("a 1\u{1}1"),
        Password::from("p\u{e9} \u{1f9c5} = , ;"),
        Password::from(&b"\xff\xfe\x01\t\x7f"[..]),
        Password::from("line\nbreak\r"),
        Password::from("x".repeat(2000)),
    ];
    let builder = passwords.iter().fold(RealTor::builder().without_cookie(), with_password);
    let tor = builder.start();
    for password in &passwords {
        let options = ConnectOptions::new().password(password.clone());
        assert_eq!(keywords(&tor, &options), ["PROTOCOLINFO", "AUTHENTICATE"]);
    }
    let info = ConnectOptions::new().password("foo").connect(tor.endpoint()).unwrap();
    assert_eq!(info.protocol_info().unwrap().auth_methods, [AuthMethod::HashedPassword]);
}

#[test]
fn a_hash_of_tor_accepts_the_password() {
    let output = std::process::Command::new(crate::support::real_tor::tor_binary())
        .args(["--quiet", "--hash-password", "a \"b\""])
        .output()
        .unwrap();
    let hashed = String::from_utf8(output.stdout).unwrap();
    let hashed = hashed.lines().last().unwrap();
    let line = format!("HashedControlPassword {hashed}");
    let tor = RealTor::builder().without_cookie().line(line).start();
    let options = ConnectOptions::new().password("a \"b\"");
    assert!(options.connect(tor.endpoint()).unwrap().is_alive());
}

#[test]
fn a_wrong_password_is_reported_and_shown_nowhere() {
    let logged = LogCapture::start();
    let tor = with_password(RealTor::builder().without_cookie(), &"right".into()).start();
    let options = ConnectOptions::new().password("wr0ng-4711");
    let error = options.connect(tor.endpoint()).unwrap_err();
    assert_eq!(error.status_code(), Some(515));
    let Error::Auth(auth) = &error else { panic!("{error:?}") };
    assert_eq!(auth.offered(), [AuthMethod::HashedPassword]);
    assert_eq!(auth.tried(), Some(&AuthMethod::HashedPassword));
    let said = auth.rejection().unwrap();
    assert_eq!(said.command(), "AUTHENTICATE");
    assert!(
        said.text().starts_with(
            "Authentication failed: Password did not match HashedControlPassword value from \
             configuration"
        ),
        "{said}"
    );
    let text = super::chain(&error);
    assert!(
        text.starts_with(
            "cannot authenticate by HASHEDPASSWORD (tor offers HASHEDPASSWORD): tor refused the \
             authentication: tor refused AUTHENTICATE: 515 \"Authentication failed: "
        ),
        "{text}"
    );
    let hint = "; hint: check the password against tor's HashedControlPassword";
    assert!(text.ends_with(hint), "{text}");
    let hex = data_encoding::HEXUPPER.encode(b"wr0ng-4711");
    for secret in ["wr0ng-4711", hex.as_str()] {
        assert!(!format!("{error:?} {options:?} {text}").contains(secret));
    }
    logged.assert_holds_none_of(&["wr0ng-4711", &hex]);
}

#[test]
fn a_cookie_is_proved_and_never_sent() {
    let logged = LogCapture::start();
    let tor = RealTor::start();
    let cookie = data_encoding::HEXUPPER.encode(&fs::read(tor.cookie_path()).unwrap());
    let tap = RecordingProxy::before(tor.address());
    let controller = torcon::connect(tap.endpoint()).unwrap();
    assert!(controller.is_alive());
    assert!(tap.sent()[1].starts_with("AUTHCHALLENGE SAFECOOKIE "));
    assert!(!tap.sent().concat().to_uppercase().contains(&cookie));
    logged.assert_holds_none_of(&[&cookie]);
}

#[test]
fn a_readable_cookie_is_preferred_to_a_password() {
    let tor = with_password(RealTor::builder(), &"swordfish".into()).start();
    let options = ConnectOptions::new().password_with(|| panic!("the closure must not be called"));
    let by_cookie = ["PROTOCOLINFO", "AUTHCHALLENGE", "AUTHENTICATE"];
    assert_eq!(keywords(&tor, &options), by_cookie);
    let info = controller(&tor).protocol_info().unwrap();
    let methods = [AuthMethod::Cookie, AuthMethod::SafeCookie, AuthMethod::HashedPassword];
    assert_eq!(info.auth_methods, methods);

    // Row `password_function`: called only without a usable cookie.
    fs::remove_file(tor.cookie_path()).unwrap();
    let options = ConnectOptions::new().password("swordfish");
    assert_eq!(keywords(&tor, &options), ["PROTOCOLINFO", "AUTHENTICATE"]);
    let text = refusal(torcon::connect(tor.endpoint()));
    assert_eq!(
        text,
        format!(
            "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE, HASHEDPASSWORD): \
             the cookie file {:?} cannot be read: No such file or directory (os error 2); hint: \
             tor sees other files, or has just ended: name the path at which this program sees the \
             cookie with ConnectOptions::cookie_file, or use a password",
            tor.cookie_path()
        )
    );
    // After a wrong password nothing else is tried: tor has closed the connection.
    let error = ConnectOptions::new().password("wrong").connect(tor.endpoint()).unwrap_err();
    let Error::Auth(auth) = &error else { panic!("{error:?}") };
    assert_eq!(auth.tried(), Some(&AuthMethod::HashedPassword));
    assert_eq!(error.status_code(), Some(515));
}

#[test]
fn the_path_of_a_cookie_can_contain_any_bytes() {
    // tor writes the path as a CString, with octal escapes for bytes that are not ASCII.
    let parent = tempfile::tempdir().unwrap();
    for name in [
        &b"a b  c "[..],
        b"say \"hi\"",
        b"back\\slash\\",
        b"\\\"",
        "caf\u{e9} \u{1f9c5}".as_bytes(),
        b"not \xff utf-8 \xe9 1",
        b"octal \\303\\251 \\n # 'x' =;%",
        b"tab\there",
    ] {
        let directory = parent.path().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let path = directory.join("cookie");
        let escaped: String = path
            .as_os_str()
            .as_bytes()
            .iter()
            .map(|byte| match byte {
                b'"' | b'\\' => format!("\\{}", char::from(*byte)),
                0x20..0x7f => char::from(*byte).to_string(),
                _ => format!("\\{byte:03o}"),
            })
            .collect();
        let tor = RealTor::builder()
            .without_cookie()
            .line("CookieAuthentication 1")
            .line(format!("CookieAuthFile \"{escaped}\""))
            .start();
        let controller = controller(&tor);
        assert_eq!(controller.protocol_info().unwrap().cookie_file, Some(path));
    }
}

/// Returns the error for the cookie of a tor, and requires that no secret was sent.
#[track_caller]
fn cookie_problem(tor: &RealTor) -> AuthProblem {
    let tap = RecordingProxy::before(tor.address());
    let error = torcon::connect(tap.endpoint()).unwrap_err();
    let Error::Auth(auth) = &error else { panic!("{error:?}") };
    assert_eq!(auth.tried(), Some(&AuthMethod::SafeCookie));
    assert_eq!(auth.cookie_path(), Some(tor.cookie_path().as_path()));
    assert!(!tap.sent().iter().any(|line| line.starts_with("AUTHENTICATE")), "{:?}", tap.sent());
    auth.problem().clone()
}

#[test]
fn every_problem_of_a_cookie_has_its_own_error() {
    let tor = RealTor::start();
    let path = tor.cookie_path();
    let cookie = fs::read(&path).unwrap();
    let path_text = format!("{path:?}");
    let text = |problem: AuthProblem| super::chain(&problem).replace(&path_text, "PATH");

    // The cookie of another tor: the server must know the same cookie (peers 19).
    fs::write(&path, [7; 32]).unwrap();
    assert_eq!(
        text(cookie_problem(&tor)),
        "the peer does not know the cookie in PATH: it is not the tor that wrote the file"
    );
    fs::write(&path, &cookie[..31]).unwrap();
    let short = text(cookie_problem(&tor));
    assert_eq!(short, "the cookie file PATH has 31 bytes instead of 32");
    fs::write(&path, [&cookie[..], b"\n"].concat()).unwrap();
    let long = text(cookie_problem(&tor));
    assert_eq!(long, "the cookie file PATH has 33 bytes instead of 32");
    fs::write(&path, []).unwrap();
    let empty = text(cookie_problem(&tor));
    assert_eq!(empty, "the cookie file PATH has 0 bytes instead of 32");

    // The peer names the path: it must not make the client read another file, or
    // wait (peers 20).
    let elsewhere = tor.directory().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    fs::write(&elsewhere, &cookie).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let linked = text(cookie_problem(&tor));
    assert_eq!(linked, "the cookie path PATH is a symbolic link, not a regular file");
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let fifo = text(cookie_problem(&tor));
    assert_eq!(fifo, "the cookie path PATH is a named pipe, not a regular file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let directory = text(cookie_problem(&tor));
    assert_eq!(directory, "the cookie path PATH is a directory, not a regular file");
    fs::remove_dir(&path).unwrap();
    let missing = text(cookie_problem(&tor));
    assert_eq!(
        missing,
        "the cookie file PATH cannot be read: No such file or directory (os error 2)"
    );

    // The right cookie at the path works again.
    fs::rename(&elsewhere, &path).unwrap();
    assert!(controller(&tor).is_alive());
}

#[test]
fn the_cookie_of_a_restarted_tor_is_read_again() {
    let tor = RealTor::start();
    let options = ConnectOptions::new();
    let before = options.connect(tor.endpoint()).unwrap();
    // Disabling and enabling the method creates a new cookie.
    before.set_conf([("CookieAuthentication", "0")]).unwrap();
    before.set_conf([("CookieAuthentication", "1")]).unwrap();
    assert!(options.connect(tor.endpoint()).unwrap().is_alive());
}

// Row `authenticate(passphrase)`.
#[test]
fn authentication_can_be_repeated_and_a_failure_closes_the_connection() {
    let tor = with_password(RealTor::builder().without_cookie(), &"right".into()).start();
    let controller = ConnectOptions::new().password("right").connect(tor.endpoint()).unwrap();
    controller.authenticate("right").unwrap();
    controller.authenticate("right").unwrap();
    assert!(controller.is_alive());
    let error = controller.authenticate("wrong").unwrap_err();
    assert_eq!(error.status_code(), Some(515));
    assert!(matches!(&error, Error::Rejected(refused) if refused.command() == "AUTHENTICATE"));
    let reason = controller.wait_closed(Duration::from_secs(30)).unwrap();
    assert!(matches!(reason, Disconnect::EndOfStream), "{reason:?}");
}

#[test]
fn a_cookie_in_a_directory_without_access_is_reported() {
    crate::support::exclusive::exclusive(|| {
        let tor = RealTor::builder()
            .without_cookie()
            .without_socket()
            .control_port()
            .line("CookieAuthentication 1")
            .start();
        let text = as_another_user(&tor, || refusal(torcon::connect(tor.control_addr())));
        let path = tor.data_dir().join("control_auth_cookie");
        assert_eq!(
            text,
            format!(
                "cannot authenticate by SAFECOOKIE (tor offers COOKIE, SAFECOOKIE): the cookie \
                 file {path:?} cannot be read: Permission denied (os error 13); hint: join tor's \
                 group (on Debian and Ubuntu: sudo adduser $USER debian-tor) and set \
                 CookieAuthFileGroupReadable 1 in the torrc, run as tor's user, or use a password"
            )
        );
        assert!(torcon::connect(tor.control_addr()).unwrap().is_alive());
    });
}
