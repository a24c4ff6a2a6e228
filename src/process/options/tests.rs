use std::path::Path;

use super::{Options, quoted_unix_path};
use crate::process::ControlVia;
use crate::process::directory::{DataDirectory, Directories};

fn options(lines: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    for (name, value) in lines {
        options.push((*name).to_owned(), value.into());
    }
    options
}

/// Returns the torrc, with the paths of this run replaced.
fn torrc(via: &ControlVia, lines: &[(&str, &str)]) -> String {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories::prepare(DataDirectory::Temporary, root.path(), None).unwrap();
    let torrc = options(lines).torrc(via, &directories).unwrap();
    let text = String::from_utf8(torrc.as_bytes().to_owned()).unwrap();
    let private = directories.torrc().parent().unwrap().to_str().unwrap().to_owned();
    text.replace(&private, "/private").replace(&std::process::id().to_string(), "PID")
}

#[test]
fn the_lines_of_torcon_precede_those_of_the_user() {
    let lines = [("SocksPort", "0"), ("Log", "info file /x"), ("SocksPort", "auto")];
    assert_eq!(
        torrc(&ControlVia::UnixSocket, &lines),
        "DataDirectory /private/data\n\
         Log notice stdout\n\
         CookieAuthentication 1\n\
         __OwningControllerProcess PID\n\
         ControlSocket unix:\"/private/data/control\"\n\
         SocksPort 0\n\
         Log info file /x\n\
         SocksPort auto\n"
    );
}

#[test]
fn the_socks_port_is_auto_unless_the_user_sets_one() {
    let socks = |lines: &[(&str, &str)]| {
        let text = torrc(&ControlVia::None, lines);
        let is_it = |line: &&str| line.to_ascii_lowercase().contains("socksport");
        text.lines().filter(is_it).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(socks(&[("Nickname", "x")]), ["SocksPort auto ExtendedErrors"]);
    for own in [("SocksPort", "0"), ("socksport", "9050"), ("__SocksPort", "unix:/x")] {
        assert_eq!(socks(&[own]), [format!("{} {}", own.0, own.1)]);
    }
}

#[test]
fn each_kind_of_control_connection_has_its_lines() {
    let control = |via| {
        let text = torrc(&via, &[]);
        text.lines().filter(|line| line.starts_with("Control")).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        control(ControlVia::Tcp),
        "ControlPort 127.0.0.1:auto; ControlPortWriteToFile /private/control-port"
    );
    assert_eq!(control(ControlVia::None), "");
    assert_eq!(control(ControlVia::custom(|| unreachable!("it is not called"))), "");
}

#[test]
fn the_path_of_the_socket_is_quoted() {
    assert_eq!(quoted_unix_path(Path::new(r#"/a b/"c"\d"#)), br#"unix:"/a b/\"c\"\\d""#);
}

#[test]
fn options_that_torcon_sets_are_refused_under_every_abbreviation() {
    for (name, problem) in [
        ("DataDirectory", "torcon sets DataDirectory; use Launcher::data_directory"),
        ("datadirectory", "torcon sets DataDirectory; use Launcher::data_directory"),
        ("DataDir", "torcon sets DataDirectory; use Launcher::data_directory"),
        ("CookieAuthentication", "torcon always sets CookieAuthentication"),
        ("ControlPortWriteToFile", "torcon sets ControlPortWriteToFile; use Launcher::control"),
        ("RunAsDaemon", "a daemon cannot be supervised; leave RunAsDaemon out"),
        ("__OwningControllerProcess", "torcon sets __OwningControllerProcess to this process"),
    ] {
        assert_eq!(
            options(&[(name, "1")]).check().unwrap_err().to_string(),
            format!("invalid argument \"option name\": {problem}")
        );
    }
    for name in ["ControlPort", "ControlSocket", "CookieAuthFile", "DataDirectoryGroupReadable"] {
        options(&[(name, "1")]).check().unwrap();
    }
}

#[test]
fn a_line_break_is_refused() {
    for (name, value, message) in [
        ("Nick\nLog", "x", "\"option name\": must be made of letters, digits and underscores"),
        ("%include", "/x", "\"option name\": must be made of letters, digits and underscores"),
        ("Nickname", "x\nLog debug", "\"Nickname\": must not contain a line break"),
        ("Nickname", "x\r", "\"Nickname\": must not contain a line break"),
        ("Nickname", "x\0y", "\"Nickname\": must not contain NUL"),
    ] {
        assert_eq!(
            options(&[(name, value)]).check().unwrap_err().to_string(),
            format!("invalid argument {message}")
        );
    }
}

#[test]
fn options_that_concern_the_launch_are_found() {
    for (lines, disabled, on_stderr) in [
        (&[("DisableNetwork", "1")][..], true, false),
        (&[("disablenetwork", " 1 ")], true, false),
        (&[("DisableNetwork", "1"), ("DisableNetwork", "0")], false, false),
        (&[("DisableNetworkX", "1")], false, false),
        (&[("Log", "notice stderr")], false, true),
        (&[("log", "[net]debug [*]notice STDERR ")], false, true),
        (&[("Log", "stderr")], false, true),
        (&[("Log", "notice stdout"), ("Log", "notice file stderr")], false, false),
    ] {
        let options = options(lines);
        assert_eq!(options.disable_network(), disabled, "{lines:?}");
        assert_eq!(options.log_to_stderr(), on_stderr, "{lines:?}");
    }
}
