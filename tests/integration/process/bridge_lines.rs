//! Bridge lines, transport plugins and upstream proxies: what torcon accepts, tor accepts.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use torcon::config::Config;
use torcon::error::LaunchProblem;
use torcon::names::{BridgeLine, TransportPlugin, UpstreamProxy};
use torcon::{Error, Launcher};

use super::real::offline;
use crate::support::real_tor::tor_binary;

const FINGERPRINT: &str = "2B280B23E1107BB62ABFC40DDCC8824814F80A72";

/// Every form in which bridges are given out: by bridges.torproject.org, by Tor Browser, and by the
/// documentation of each transport. The addresses are those of the documentation ranges.
const LINES: &[(&str, Option<&str>, usize)] = &[
    ("192.0.2.7:9001", None, 0),
    ("Bridge 192.0.2.7:9001 F", None, 0),
    ("192.0.2.7 F", None, 0),
    ("192.0.2.7:443 2B28 0B23 E110 7BB6 2ABF C40D DCC8 8248 14F8 0A72", None, 0),
    ("[2001:db8::7]:9001 F", None, 0),
    ("[2001:db8::7]", None, 0),
    (
        "obfs4 192.0.2.7:443 F cert=ssH+9rP8dG2NLDN2XuFw63hIO/9MNNinLmxQDpVa+7kTOa9/m+tGWT1SmSYpQ9uTBGa6Hw \
         iat-mode=0",
        Some("obfs4"),
        2,
    ),
    (
        "Bridge obfs4 [2001:db8::7]:9443 F cert=pCF+qYUnMPJRfOAGJtrFYKIuGnEfvbFLEeSzoGYpLkBD9xRLaZ1u \
         iat-mode=2",
        Some("obfs4"),
        2,
    ),
    ("obfs3 192.0.2.7:40035 F", Some("obfs3"), 0),
    (
        "scramblesuit 192.0.2.7:40035 F password=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        Some("scramblesuit"),
        1,
    ),
    (
        "snowflake 192.0.2.3:80 F fingerprint=2B280B23E1107BB62ABFC40DDCC8824814F80A72 \
         url=https://1098762253.rsc.cdn77.org/ fronts=www.cdn77.com,www.phpmyadmin.net \
         ice=stun:stun.antisip.com:3478,stun:stun.epygi.com:3478,stun:stun.uls.co.za:3478,\
         stun:stun.voipgate.com:3478,stun:stun.mixvoip.com:3478,stun:stun.nextcloud.com:3478,\
         stun:stun.bethesda.net:3478,stun:stun.nextcloud.com:443 \
         utls-imitate=hellorandomizedalpn",
        Some("snowflake"),
        5,
    ),
    (
        "snowflake 192.0.2.4:80 F url=https://snowflake-broker.torproject.net/ \
         ampcache=https://cdn.ampproject.org/ front=www.google.com sqsqueue=https://sqs.us-east-1.\
         amazonaws.com/893902434899/snowflake-broker sqscreds=eyJhd3MtYWNjZXNzLWtleS1pZCI6IkFLIn0=",
        Some("snowflake"),
        5,
    ),
    ("snowflake 192.0.2.3:1", Some("snowflake"), 0),
    (
        "meek_lite 192.0.2.20:80 F url=https://1603026938.rsc.cdn77.org front=www.phpmyadmin.net \
         utls=HelloRandomizedALPN",
        Some("meek_lite"),
        3,
    ),
    (
        "meek 0.0.2.0:2 F url=https://d2cly7j4zqgua7.cloudfront.net/ front=a0.awsstatic.com",
        Some("meek"),
        2,
    ),
    (
        "webtunnel [2001:db8:bd81:42b9:c65d:5a26:4a54:c7b7]:443 F url=https://a.example/0sJd-x ver=0.0.1",
        Some("webtunnel"),
        2,
    ),
    ("webtunnel 192.0.2.3:1 url=https://a.example/path?x=1&y=2#z", Some("webtunnel"), 1),
    (
        "conjure 192.0.2.8:80 F url=https://registration.refraction.network.global.prod.fastly.net/api \
         fronts=cdn.sstatic.net,assets.guim.co.uk transport=prefix \
         registrar=dns;bidirectional=true",
        Some("conjure"),
        4,
    ),
    ("dnstt 192.0.2.9:80 F doh=https://dns.example/dns-query domain=t.example", Some("dnstt"), 2),
    (r"x_1 192.0.2.7:1 a= back=\;semi c='\x22", Some("x_1"), 3),
];

/// An executable file, which tor does not run when it checks a configuration.
struct StandIn {
    _directory: TempDir,
    path: PathBuf,
}

impl StandIn {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pt-").tempdir_in("/tmp").unwrap();
        let path = directory.path().join("transport");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Self { _directory: directory, path }
    }
}

/// Returns why tor refuses the configuration.
fn refusal(launcher: &Launcher) -> Option<String> {
    match launcher.verify() {
        Ok(()) => None,
        Err(Error::Launch(error)) => {
            assert!(matches!(error.problem(), LaunchProblem::Refused { .. }), "{error:?}");
            Some(format!("{error}: {}", error.problem()))
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn every_form_of_a_bridge_line_is_read_and_printed_and_taken_by_tor() {
    let program = StandIn::new();
    let mut all = Vec::new();
    for (text, transport, arguments) in LINES {
        let text = text.replace(" F", &format!(" {FINGERPRINT}"));
        let bridge: BridgeLine = text.parse().unwrap();
        assert_eq!(bridge.transport(), *transport, "{text}");
        assert_eq!(bridge.arguments().count(), *arguments, "{text}");
        assert_eq!(bridge.to_string().parse(), Ok(bridge.clone()), "{text}");
        if text.contains(FINGERPRINT) {
            assert_eq!(bridge.fingerprint().unwrap().to_string(), FINGERPRINT);
        }
        // As it is, and as it is printed.
        for line in [text.strip_prefix("Bridge ").unwrap_or(&text), bridge.as_str()] {
            assert_eq!(refusal(&offline().option("Bridge", line)), None, "{line}");
        }
        let launcher = offline().bridge(&bridge);
        let launcher = match bridge.transport() {
            Some(name) => {
                let plugin = TransportPlugin::exec([name], &program.path).unwrap();
                launcher.transport_plugin(&plugin)
            }
            None => launcher,
        };
        assert_eq!(refusal(&launcher), None, "{text}");
        all.push(bridge);
    }
    let names = ["obfs4", "snowflake", "meek_lite", "webtunnel", "conjure"];
    let plugin = TransportPlugin::exec(names, &program.path).unwrap();
    assert_eq!(refusal(&offline().bridges(&all).transport_plugin(&plugin)), None);
}

#[test]
fn everything_that_the_parsers_refuse_is_refused_by_tor_too() {
    let arguments = format!("obfs4 192.0.2.7:1 a={}", ";".repeat(255));
    let bridges = [
        "obfs4",
        "a.example:443",
        "obfs4 a.example:443",
        "obfs-4 192.0.2.7:1",
        "192.0.2.7:0",
        "192.0.2.7:65536",
        "192.0.2.7:",
        "01.0.2.7:1",
        "[192.0.2.7]:1",
        "[fe80::1%1]:443",
        "192.0.2.7:1 $2B280B23E1107BB62ABFC40DDCC8824814F80A72",
        "192.0.2.7:1 2B28",
        "192.0.2.7:1 a=b",
        "obfs4 192.0.2.7:1 2B280B23E1107BB62ABF C40DDCC8824814F80A72",
        "obfs4 192.0.2.7:1 a=b c",
        "obfs4 192.0.2.7:1 a=b 2B280B23E1107BB62ABFC40DDCC8824814F80A72",
        "obfs4 192.0.2.7:1 =b",
        &arguments,
    ];
    for line in bridges {
        line.parse::<BridgeLine>().unwrap_err();
        let reason = refusal(&offline().option("Bridge", line)).unwrap();
        assert!(reason.contains("the option Bridge is not valid"), "{line}: {reason}");
    }
    for line in
        ["obfs4 exec", "a-b exec /x", "a foo /x", "a,b socks5 127.0.0.1:1", "a socks5 127.0.0.1"]
    {
        line.parse::<TransportPlugin>().unwrap_err();
        assert!(refusal(&offline().option("ClientTransportPlugin", line)).is_some(), "{line}");
    }
    // The limits of credentials.
    let long = "x".repeat(256);
    for options in [
        [("Socks5ProxyUsername", "a"), ("Socks5ProxyPassword", &*long)],
        [("Socks5ProxyUsername", "a"), ("Nickname", "x")],
        [("HTTPSProxyAuthenticator", &*long.repeat(2)), ("Nickname", "x")],
    ] {
        let add = |launcher: Launcher, (name, value)| launcher.option(name, value);
        assert!(refusal(&options.into_iter().fold(offline(), add)).is_some());
    }
}

#[test]
fn every_form_of_a_plugin_and_a_proxy_is_taken_by_tor() {
    let program = StandIn::new();
    let exec = TransportPlugin::exec(["obfs4", "obfs3", "_x"], &program.path).unwrap();
    let exec = exec.with_argument("-enableLogging").unwrap().with_argument("-log=#1").unwrap();
    for plugin in [
        exec.clone(),
        TransportPlugin::socks4("obfs3", ([127, 0, 0, 1], 9).into()).unwrap(),
        TransportPlugin::socks5("snowflake", "[::1]:1234".parse().unwrap()).unwrap(),
        "a socks5 localhost:1".parse().unwrap(),
    ] {
        let launcher = offline().transport_plugin(&plugin);
        assert_eq!(refusal(&launcher), None, "{plugin}");
    }
    let longest = "p".repeat(255);
    for url in [
        "socks4://192.0.2.1:1080",
        "socks5://192.0.2.1:1080",
        "socks5://[2001:db8::1]:1080",
        "socks5://a%20%22:%23%5c@localhost:1",
        &format!("socks5://{longest}:{longest}@192.0.2.1:1"),
        "http://192.0.2.1:3128",
        "http://a%20b:c%23@192.0.2.1:3128",
        &format!("http://{longest}:{longest}@192.0.2.1:1"),
    ] {
        let proxy: UpstreamProxy = url.parse().unwrap();
        let launcher = offline().upstream_proxy(&proxy).transport_plugin(&exec);
        assert_eq!(refusal(&launcher), None, "{url}");
    }
}

#[test]
fn a_running_tor_takes_bridges_plugins_and_proxies() {
    let program = StandIn::new();
    let bridge: BridgeLine = "obfs4 192.0.2.7:443 cert=a#b;\\ iat-mode=0".parse().unwrap();
    let plugin = TransportPlugin::exec(["obfs4"], &program.path).unwrap();
    let proxy: UpstreamProxy = "socks5://a%20b:%22c%5c@192.0.2.1:1080".parse().unwrap();
    let plain: BridgeLine = "192.0.2.7:443".parse().unwrap();

    let tor = offline().launch().unwrap();
    let controller = tor.controller().unwrap();
    let bridges = [("UseBridges", "1"), ("Bridge", bridge.as_str()), ("Bridge", plain.as_str())];
    controller.set_conf(bridges).unwrap();
    controller.set_conf([("ClientTransportPlugin", plugin.as_str())]).unwrap();
    controller.set_conf(proxy.reveal_options()).unwrap();
    let names = ["Bridge", "ClientTransportPlugin", "Socks5ProxyUsername", "Socks5ProxyPassword"];
    let values = controller.get_conf(names).unwrap();
    let values = |name| values.get(name).unwrap().values().to_vec();
    assert_eq!(values("Bridge"), [bridge.as_str(), plain.as_str()]);
    assert_eq!(values("ClientTransportPlugin"), [plugin.as_str()]);
    assert_eq!(values("Socks5ProxyUsername"), ["a b"]);
    assert_eq!(values("Socks5ProxyPassword"), ["\"c\\"]);

    let config = Config::new(controller);
    config.set("Bridge", [&plain]).unwrap();
    config.set("UseBridges", true).unwrap();
    config.save().unwrap();
    let values = controller.get_conf(["Bridge"]).unwrap();
    assert_eq!(values.get("Bridge").unwrap().values(), [plain.as_str()]);
    tor.quit().unwrap();

    // Of a configuration without a tor.
    let config = Config::offline();
    config.set("UseBridges", true).unwrap();
    config.set("Bridge", vec![&bridge, &plain]).unwrap();
    let launcher = Launcher::new().program(tor_binary()).config(&config).unwrap();
    assert_eq!(refusal(&launcher), None);
}

#[test]
fn no_bridge_and_no_password_shows_in_debug() {
    let launcher = Launcher::new()
        .bridge(&"obfs4 192.0.2.7:443 cert=hush".parse().unwrap())
        .transport_plugin(&"obfs4 exec /hush hush".parse().unwrap())
        .upstream_proxy(&"socks5://hush:hush@192.0.2.7:1080".parse().unwrap());
    let shown = format!("{launcher:?} {launcher:#?}");
    assert!(!shown.contains("hush") && !shown.contains("192.0.2.7"), "{shown}");
}
