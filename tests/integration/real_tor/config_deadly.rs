//! Settings that would end tor are refused before they are sent, in every notation.
//!
//! The sample is what a sweep over all options found on tor 0.4.9.11. The whole sweep runs with
//! `TORCON_SWEEP=1`; it sets every option that names no file to odd values.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use torcon::config::{Config, OptionType};
use torcon::{Controller, Error};

use super::{controller, refusal};
use crate::support::capability::Capability;
use crate::support::real_tor::RealTor;

/// Settings that end tor 0.4.9.11.
const DEADLY: [(&str, &str); 14] = [
    ("MetricsPortPolicy", "x"),
    ("MetricsPortPolicy", "accept private"),
    ("MetricsPortPolicy", "accept 127.0.0.1,accept *:0"),
    ("metricsportpol", "x"),
    ("MinimalAcceptedServerVersion", ""),
    ("AccountingMax", "nan"),
    ("AccountingMax", " -NaN(x) MB"),
    ("ConstrainedSockSize", "nan"),
    ("MaxHSDirCacheBytes", "nan"),
    ("MaxMemInQueues", "nan"),
    ("MaxMemInQ", "nan"),
    ("MaxUnparseableDescSizeToLog", "nan"),
    ("TestingMinExitFlagThreshold", "nan"),
    ("TestingMinFastFlagThreshold", "nan"),
];

#[track_caller]
fn alive(tor: &RealTor, controller: &Controller) {
    assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
}

#[track_caller]
fn is_refused_here(outcome: torcon::Result<()>, what: &str) {
    let error = outcome.expect_err(what);
    assert!(matches!(error, Error::InvalidInput(_)), "{what}: {error:?}");
}

#[test]
fn a_value_that_would_end_tor_is_refused_by_every_command() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let config = Config::new(&controller);
    for (option, value) in DEADLY {
        let what = format!("{option} {value}");
        is_refused_here(controller.set_conf([(option, value)]), &what);
        is_refused_here(controller.reset_conf([("ContactInfo", "x"), (option, value)]), &what);
        is_refused_here(controller.load_conf(format!("{option} {value}\n")), &what);
        let command = format!("SETCONF ContactInfo=x {option}=\"{value}\"");
        is_refused_here(controller.command(&command).map(drop), &what);
        if config.option_type(option).is_ok() {
            config.set(option, value).unwrap();
            is_refused_here(config.save(), &what);
            config.revert();
        }
        alive(&tor, &controller);
    }
    let option = "MinimalAcceptedServerVersion";
    let has_option = Capability::MinimalAcceptedServerVersion.is_available();
    if has_option {
        config.clear(option).unwrap();
        is_refused_here(config.save(), "cleared");
        config.revert();
    } else {
        let missing = format!(
            "invalid argument \"{option}\": is not an option of this tor; tor 0.4.9.15 has it"
        );
        assert_eq!(refusal(config.clear(option)), missing);
    }
    // Other values are left to tor.
    controller.set_conf([("MetricsPortPolicy", "accept 127.0.0.1:80, reject *:*")]).unwrap();
    controller.set_conf([("MetricsPortPolicy", None::<&str>)]).unwrap();
    let outcome = controller.reset_conf([(option, None::<&str>)]);
    assert_eq!(outcome.is_ok(), has_option, "{outcome:?}");
    let error = controller.set_conf([("BandwidthRate", "nan")]).unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error:?}");
    alive(&tor, &controller);
}

#[test]
fn a_path_that_would_end_tor_is_refused_if_tor_shares_the_file_system() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let there = tempfile::tempdir().unwrap();
    let path = |name: &str| there.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("dir")).unwrap();
    fs::write(path("file"), "").unwrap();
    symlink("dir", path("to-dir")).unwrap();
    let fifo = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&*path("fifo"), fifo).unwrap();
    let ends = "is in a directory that does not exist, and tor would exit";
    let long = "n".repeat(252);
    for (option, name, problem) in [
        ("ExtORPortCookieAuthFile", "missing/x", ends),
        ("ExtORPortCookieAuthFile", "file/x", ends),
        ("ExtORPortCookieAuthFile", "dir", "names a directory, and tor would exit"),
        ("extorportcookieauthfil", "dir/", "names a directory, and tor would exit"),
        ("CookieAuthFile", "missing/x", ends),
        ("CookieAuthFile", "dir", "names a directory, and tor would exit"),
        ("CookieAuthFile", &long, "has a name that is too long, and tor would exit"),
        ("HiddenServiceDir", "missing/x", ends),
        ("HiddenServiceDir", "fifo", "names a FIFO, and tor would wait forever"),
        ("ServerDNSResolvConfFile", "to-dir", "names a directory, and tor would exit"),
        ("ClientOnionAuthDir", "fifo", "names a FIFO, and tor would wait forever"),
        ("DirPortFrontPage", "fifo", "names a FIFO, and tor would wait forever"),
        ("GeoIPFile", "fifo", "names a FIFO, and tor would wait forever"),
        ("GeoIPv6File", "fifo", "names a FIFO, and tor would wait forever"),
        ("GeoIPFile", "/dev/zero", "names a device, and tor would read it forever"),
        ("GeoIPv6File", "/dev/zero", "names a device, and tor would read it forever"),
    ] {
        let more = match option {
            "HiddenServiceDir" => ("HiddenServicePort", "80"),
            _ => ("ExtORPort", "auto"),
        };
        let outcome = controller.set_conf([(option, &*path(name)), more]);
        let text = refusal(outcome);
        assert!(text.ends_with(problem), "{option} {name}: {text}");
        alive(&tor, &controller);
    }
    // tor accepts these.
    for (option, name) in [
        ("ExtORPortCookieAuthFile", "dir/new"),
        ("ServerDNSResolvConfFile", "file"),
        ("GeoIPFile", "file"),
    ] {
        controller.set_conf([(option, &*path(name)), ("ExtORPort", "auto")]).unwrap();
        alive(&tor, &controller);
    }
    assert!(fs::exists(path("dir/new")).unwrap());
}

// `ExtORPortC`, `ClientO` and `Min` were too short to be noticed.
#[test]
fn every_abbreviation_that_tor_accepts_is_checked() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let missing = tor.directory().join("missing/x").to_str().unwrap().to_owned();
    let fifo = tor.directory().join("fifo").to_str().unwrap().to_owned();
    nix::unistd::mkfifo(&*fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let paths = [
        ("HiddenServiceDir", &*missing),
        ("CookieAuthFile", &missing),
        ("ExtORPortCookieAuthFile", &missing),
        ("ServerDNSResolvConfFile", &fifo),
        ("ClientOnionAuthDir", &fifo),
        ("DirPortFrontPage", &fifo),
        ("GeoIPFile", &fifo),
        ("GeoIPv6File", &fifo),
    ];
    let texts = DEADLY.into_iter().filter(|(option, _)| option.starts_with(char::is_uppercase));
    let mut taken = 0;
    for (option, value) in paths.into_iter().chain(texts) {
        for length in 1..option.len() {
            let short = &option[..length];
            // tor answers with the full name of the option.
            let reply = controller.get_conf_raw([short]);
            let names = |text: &str| text.split('=').next() == Some(option);
            if reply.is_ok_and(|reply| reply.lines().any(|line| names(&line.text()))) {
                is_refused_here(controller.set_conf([(short, value)]), short);
                taken += 1;
            }
        }
    }
    assert!(taken > 100, "{taken}");
    alive(&tor, &controller);
}

/// Odd values for options of any type.
const ODD: [&str; 44] = [
    "",
    "0",
    "1",
    "-1",
    "2",
    "x",
    "auto",
    "65536",
    "4294967296",
    "99999999999999999999",
    "1 month",
    "100 years",
    "0.5",
    "-0.1",
    "1e309",
    "nan",
    "-NaN MB",
    "nan(x)",
    "inf",
    "0x1p3",
    ".",
    " ",
    "a b",
    "*",
    "*:*",
    "accept *:*",
    "accept 1.2.3.4/99:1",
    "0.0.0.0:0",
    "127.0.0.1",
    "[::1]:1",
    "{us}",
    "{",
    "$",
    "x=y",
    "x y z w",
    "a,b",
    ",",
    ",,,",
    "\"",
    "\\",
    "%",
    "#",
    "9999-99-99 99:99:99",
    "18446744073709551615",
];

/// Whether odd values are safe: the option names no file or program and cannot end tor.
fn is_swept(name: &str, kind: &OptionType) -> bool {
    const SPECIAL: [&str; 8] = [
        "Log",
        "ControlSocket",
        "DisableNetwork",
        "__Owning",
        "TransportPlugin",
        "HiddenService",
        "DirPortFront",
        "ControlPort",
    ];
    !matches!(kind, OptionType::Filename | OptionType::Virtual)
        && !SPECIAL.iter().any(|special| name.contains(special))
}

/// How many settings tor took, tor refused, and torcon refused.
#[derive(Debug, Default)]
struct Counts {
    taken: u32,
    by_tor: u32,
    here: u32,
}

impl Counts {
    /// Sets an option, with others that it needs, and resets it if tor took it.
    #[track_caller]
    fn set(&mut self, controller: &Controller, option: &str, settings: &[(&str, &str)]) {
        match controller.set_conf(settings.iter().copied()) {
            Ok(()) => {
                self.taken += 1;
                controller.reset_conf([(option, None::<&str>)]).unwrap();
            }
            Err(Error::Rejected(_)) => self.by_tor += 1,
            Err(Error::InvalidInput(_)) => self.here += 1,
            Err(error) => panic!("{settings:?}: {error}"),
        }
    }
}

#[test]
fn no_odd_value_ends_tor() {
    let is_whole = std::env::var_os("TORCON_SWEEP").is_some();
    let tor = RealTor::start();
    let controller = controller(&tor);
    let options = Config::new(&controller).options().unwrap();
    let options: Vec<_> = options.iter().filter(|(name, kind)| is_swept(name, kind)).collect();
    let (start, mut counts) = (Instant::now(), Counts::default());
    for (at, (name, _)) in options.iter().enumerate() {
        let is_deadly = DEADLY.iter().any(|(deadly, _)| deadly == name);
        if !is_whole && !is_deadly && at % 20 != 0 {
            continue;
        }
        for value in ODD {
            // A unix socket would be created in the directory of the test.
            counts.set(&controller, name, &[(name, value)]);
        }
        alive(&tor, &controller);
    }
    let Counts { taken, by_tor, here } = counts;
    println!("{taken} taken, {by_tor} refused by tor, {here} refused here: {:?}", start.elapsed());
    assert!(taken > 50 && by_tor > 50 && here > 20, "{counts:?}");
}

// All files are in a temporary directory, since tor replaces some of them.
#[test]
fn no_odd_file_ends_tor() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let there = tempfile::tempdir().unwrap();
    let path = |name: &str| there.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("dir")).unwrap();
    fs::write(path("file"), "x\n").unwrap();
    fs::write(path("empty"), "").unwrap();
    for (link, target) in [("to-dir", "dir"), ("dangling", "missing"), ("loop", "loop")] {
        symlink(target, path(link)).unwrap();
    }
    nix::unistd::mkfifo(&*path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let long = "n".repeat(252);
    let names = [
        "dir",
        "dir/",
        "dir/new",
        "file",
        "file/x",
        "empty",
        "missing/x",
        "to-dir",
        "to-dir/new",
        "dangling",
        "loop",
        "loop/x",
        "fifo",
        "socket",
        &long,
        "",
    ];
    let options = Config::new(&controller).options().unwrap();
    let is_file = |kind: &OptionType| *kind == OptionType::Filename;
    let options = options.iter().filter(|(_, kind)| is_file(kind)).map(|(name, _)| &**name);
    let mut counts = Counts::default();
    for option in options.chain(["HiddenServiceDir"]) {
        let more: &[(&str, &str)] = match option {
            "HiddenServiceDir" => &[("HiddenServicePort", "80")],
            "CookieAuthFile" => &[("CookieAuthentication", "1")],
            // An option that needs a port.
            _ => &[("ORPort", "auto"), ("DirPort", "auto"), ("ExtORPort", "auto")],
        };
        for name in names {
            let value = if name.is_empty() { String::new() } else { path(name) };
            let settings = [&[(option, &*value)], more].concat();
            counts.set(&controller, option, &settings);
        }
        alive(&tor, &controller);
    }
    let Counts { taken, by_tor, here } = counts;
    println!("{taken} taken, {by_tor} refused by tor, {here} refused here");
    assert!(taken > 20 && by_tor > 20 && here > 20, "{counts:?}");
}
