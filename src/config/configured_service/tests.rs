use super::{ConfiguredService, known_schema, port_value};
use crate::config::service_lines::{ConfiguredLine, ServiceLines};
use crate::names::OnionPort;

fn service(lines: &[(&str, &str)]) -> ConfiguredService {
    let owned = |(name, value): &(&str, &str)| -> ConfiguredLine {
        ((*name).to_owned(), value.as_bytes().to_vec())
    };
    ServiceLines { lines: lines.iter().map(owned).collect() }.services().remove(0)
}

#[test]
fn a_changed_option_stays_in_its_place() {
    let mut service = service(&[
        ("HiddenServiceDir", "/b b"),
        ("HiddenServicePort", "80 unix:\"/x y\""),
        ("HiddenServiceNovelty", "1"),
        ("HiddenServicePort", "81"),
    ]);
    service.set_ports([OnionPort::new(90, 9090)]);
    service.set_option("HIDDENSERVICENOVELTY", ["2", "3"]).unwrap();
    service.set_option("HiddenServiceMaxStreams", ["5"]).unwrap();
    let lines: Vec<_> = service
        .lines()
        .map(|(name, value)| format!("{name} {}", String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(
        lines,
        [
            "HiddenServiceDir /b b",
            "HiddenServicePort 90 9090",
            "HiddenServiceNovelty 2",
            "HiddenServiceNovelty 3",
            "HiddenServiceMaxStreams 5",
        ]
    );
    service.set_option::<&str>("HiddenServiceNovelty", []).unwrap();
    assert_eq!(service.option("HiddenServiceNovelty"), [""; 0]);
}

#[test]
fn debug_shows_each_line_escaped_and_no_secret() {
    let service = service(&[
        ("HiddenServiceDir", "/a\n[notice] forged\u{1b}[31m\u{202e}"),
        ("HiddenServiceAuthorizeClient", "stealth alice"),
        ("HiddenServiceX\u{1b}", "1"),
    ]);
    assert_eq!(
        format!("{service:?}"),
        [
            r"[HiddenServiceDir /a\n[notice] forged\u{1b}[31m\u{202e}",
            "HiddenServiceAuthorizeClient [redacted]",
            r"HiddenServiceX\u{1b} 1]",
        ]
        .join(", ")
    );
}

#[test]
fn an_option_of_no_service_is_refused() {
    let mut service = ConfiguredService::new("/a");
    for (name, value, text) in [
        ("SocksPort", "1", "\"SocksPort\": is not an option of an onion service"),
        ("HiddenServiceX Y", "1", "\"HiddenServiceX Y\": is not an option of an onion service"),
        (
            "HiddenServiceStatistics",
            "1",
            "\"HiddenServiceStatistics\": is not an option of an onion service",
        ),
        (
            "hiddenservicedi",
            "/b",
            "\"hiddenservicedi\": is the beginning of HiddenServiceDir: write the whole name",
        ),
        (
            "HiddenServiceMaxStream",
            "5",
            "\"HiddenServiceMaxStream\": is the beginning of HiddenServiceMaxStreams: write the \
             whole name",
        ),
        ("hiddenservicedir", "/b", "\"option\": names the service and cannot be changed"),
        ("HiddenServiceX", "a\nb", "\"HiddenServiceX\": contains a line feed"),
    ] {
        let error = service.set_option(name, [value]).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid argument {text}"));
    }
    assert!(ConfiguredService::new("/a\nb").check(known_schema()).is_err());
}

#[test]
fn every_port_that_tor_accepts_is_parsed_and_kept_as_written() {
    for (value, canonical) in [
        ("81", "81"),
        ("80 localhost:8080", "80 localhost:8080"),
        ("82 127.0.0.1", "82 127.0.0.1"),
        ("83 8083", "83 8083"),
        ("84 unix:/path", "84 unix:/path"),
        ("85 unix:\"/pa th\"", "85 unix:\"/pa th\""),
        ("86 [::1]:80", "86 [::1]:80"),
        ("87 [::1]", "87 [::1]"),
        ("88 ::1", "88 [::1]"),
        ("89 127.0.0.1:89", "89 127.0.0.1:89"),
        ("+90", "90"),
        ("091", "91"),
        ("  92  93", "92 93"),
        ("94 +95", "94 95"),
        ("96 unix:relative", "96 unix:relative"),
        ("97 web.example", "97 web.example"),
        ("98 unix:\"/plain\"", "98 unix:/plain"),
    ] {
        let lines = [("HiddenServiceDir", "/a"), ("HiddenServicePort", value)];
        let mut service = service(&lines);
        let ports = service.ports();
        assert_eq!(ports.len(), 1, "{value}");
        assert_eq!(String::from_utf8(port_value(&ports[0])).unwrap(), canonical);
        service.set_ports(ports.into_iter().chain([OnionPort::new(1, 2)]));
        assert_eq!(service.option("HiddenServicePort"), [value, "1 2"]);
    }
}

#[test]
fn a_port_that_cannot_be_parsed_stays() {
    let lines = [("HiddenServiceDir", "/a"), ("HiddenServicePort", "80 of-a-new:kind")];
    let mut service = service(&lines);
    assert_eq!(service.ports(), []);
    service.set_ports([OnionPort::same(90)]);
    assert_eq!(service.option("HiddenServicePort"), ["90", "80 of-a-new:kind"]);
}
