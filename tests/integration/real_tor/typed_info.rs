//! The typed values of `GETINFO`, compared with the raw ones.

use std::time::{Duration, SystemTime};

use torcon::Launcher;
use torcon::info::{
    DownloadBackoff, DownloadIncrement, DownloadSchedule, DownloadSource, DownloadStatus,
    MappingOrigin, VersionStanding,
};
use torcon::names::{ConsensusFlavor, Fingerprint, ListenerKind, NetworkLiveness, OnionAddress};
use torcon::process::Ready;

use super::{controller, reader, refusal};
use crate::support::raw_control::RawControl;
use crate::support::real_tor::{RealTor, shared};

/// Reads a flag as tor writes it.
pub(super) fn flag(raw: &mut RawControl, key: &str) -> bool {
    match raw.get_info(key).as_str() {
        "0" => false,
        "1" => true,
        other => panic!("{key} is {other:?}"),
    }
}

fn number(raw: &mut RawControl, key: &str) -> u64 {
    raw.get_info(key).parse().unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[test]
fn the_process_info_equals_the_raw_values() {
    let controller = reader();
    let mut raw = shared().raw();
    let version = controller.full_version().unwrap();
    assert_eq!(version.as_str(), raw.get_info("version"));
    assert_eq!(&version, controller.version());

    let process = controller.process_info().unwrap();
    assert_eq!(process.pid, shared().pid());
    assert_eq!(process.uid.map(|uid| uid.to_string()), Some(raw.get_info("process/uid")));
    assert_eq!(process.user, Some(raw.get_info("process/user")));
    assert_eq!(process.descriptor_limit, Some(number(&mut raw, "process/descriptor-limit")));
    assert_eq!(process.uid, Some(nix::unistd::Uid::effective().as_raw()));

    let before = number(&mut raw, "uptime");
    let uptime = controller.uptime().unwrap().as_secs();
    assert!(before <= uptime && uptime <= number(&mut raw, "uptime"));
    let limit = controller.max_mem_in_queues().unwrap();
    assert_eq!(limit, number(&mut raw, "limits/max-mem-in-queues"));
    assert!(limit > 1 << 20);

    let time = controller.current_time().unwrap();
    let difference = match SystemTime::now().duration_since(time.utc) {
        Ok(difference) => difference,
        Err(error) => error.duration(),
    };
    assert!(difference < Duration::from_secs(30), "{time:?}");
    let same_zone =
        raw.get_info("current-time/utc")[..16] == raw.get_info("current-time/local")[..16];
    assert!(!same_zone || time.utc_offset == 0, "{time:?}");
}

#[test]
fn the_time_zone_is_an_offset() {
    let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "0");
    // Tor takes its time zone from its environment; this one is east of Greenwich.
    let launcher = launcher.env("TZ", "XYZ-5:45").wait_for(Ready::Controller);
    let tor = launcher.launch().unwrap();
    let controller = tor.controller().unwrap();
    assert_eq!(controller.current_time().unwrap().utc_offset, 345);
    tor.quit().unwrap();
}

#[test]
fn a_tor_without_network_is_not_ready() {
    let controller = reader();
    let mut raw = shared().raw();
    assert!(!controller.is_circuit_established().unwrap());
    assert!(!flag(&mut raw, "status/circuit-established"));
    assert!(!controller.has_enough_dir_info().unwrap());
    assert!(!flag(&mut raw, "status/enough-dir-info"));
    assert_eq!(controller.is_dormant().unwrap(), flag(&mut raw, "dormant"));
    assert_eq!(controller.network_liveness().unwrap(), NetworkLiveness::Down);
    assert_eq!(raw.get_info("network-liveness"), "down");
    let status = controller.version_status().unwrap();
    assert_eq!(status.current, VersionStanding::Unknown);
    assert_eq!(
        (status.recommended, raw.get_info("status/version/recommended")),
        (vec![], "?".into())
    );
    let traffic = controller.traffic().unwrap();
    assert_eq!((traffic.read, traffic.written), (0, 0));
    assert_eq!(raw.get_info("traffic/read"), "0");
    let cached = raw.get_info("bw-event-cache");
    assert_eq!(cached.is_empty(), controller.bw_event_cache().unwrap().is_empty(), "{cached}");
    assert!(controller.circuit_status().unwrap().is_empty());
    assert!(controller.stream_status().unwrap().is_empty());
    assert!(controller.orconn_status().unwrap().is_empty());
    assert!(controller.entry_guards().unwrap().is_empty());
    let listeners = controller.listeners(&ListenerKind::Control).unwrap();
    let listed: Vec<_> = listeners.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    assert_eq!(listed.join(" "), raw.get_info("net/listeners/control"));
    assert!(controller.listeners(&ListenerKind::Socks).unwrap().is_empty());
    assert_eq!(
        refusal(controller.listeners(&"pigeon".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"net/listeners/pigeon\\\"\""
    );
}

#[test]
fn features_and_configuration_files_equal_the_raw_values() {
    let tor = RealTor::builder().line("ContactInfo \"a \\\"b\\\" \\303\\251\"").start();
    let controller = controller(&tor);
    let mut raw = tor.raw();
    let features = controller.valid_features().unwrap();
    assert_eq!(features.join(" "), raw.get_info("features/names"));
    controller.use_feature(&features).unwrap();

    assert_eq!(controller.config_file().unwrap(), tor.torrc_path());
    let defaults_file = controller.config_defaults_file().unwrap();
    assert_eq!(defaults_file, tor.directory().join("defaults-torrc"));
    let text = controller.config_text().unwrap();
    assert_eq!(text, raw.get_info("config-text"));
    assert!(text.lines().any(|line| line == "DisableNetwork 1"), "{text}");
    // The returned value is accepted by the setter.
    controller.load_conf(&text).unwrap();
    assert_eq!(controller.config_text().unwrap(), text);

    let defaults = controller.config_defaults().unwrap();
    let lines = raw.get_info("config/defaults");
    assert_eq!(defaults.lines().count(), lines.lines().count());
    for ((name, value), line) in defaults.lines().zip(lines.lines()) {
        let value = String::from_utf8_lossy(value.unwrap()).replace('\\', "\\\\");
        assert_eq!(format!("{name} \"{}\"", value.replace('"', "\\\"")), line);
    }
    assert_eq!(defaults.get("maxcircuitdirtiness").unwrap().first(), Some("10 minutes"));
    assert!(defaults.get("DirAuthority").unwrap().values().len() > 5);
    assert!(defaults.get("ContactInfo").is_none(), "it has no default");
}

#[test]
fn a_configuration_with_includes_cannot_be_saved() {
    let tor = RealTor::start();
    assert!(controller(&tor).can_save_conf().unwrap());
    let included = tempfile::NamedTempFile::new().unwrap();
    let line = format!("%include {}", included.path().display());
    let tor = RealTor::builder().line(line).start();
    assert!(!controller(&tor).can_save_conf().unwrap());
    assert!(!flag(&mut tor.raw(), "config-can-saveconf"));
    assert!(controller(&tor).save_conf().is_err());
}

#[test]
fn a_torrc_that_tor_cannot_write_is_noticed_only_by_saving() {
    let tor = RealTor::start();
    std::fs::remove_file(tor.torrc_path()).unwrap();
    std::fs::create_dir(tor.torrc_path()).unwrap();
    assert!(controller(&tor).can_save_conf().unwrap());
    assert!(controller(&tor).save_conf().is_err());
}

#[test]
fn address_mappings_have_their_origin() {
    let tor = RealTor::builder().line("MapAddress a.example b.example").start();
    let controller = controller(&tor);
    controller.map_address([("c.example", "d.example")]).unwrap();
    let mut raw = tor.raw();
    let from = |origin: &str| {
        let mappings = controller.address_mappings_from(&origin.into()).unwrap();
        assert!(mappings.iter().all(|mapping| mapping.expires.is_none()), "{mappings:?}");
        let text = |mapping: &torcon::info::AddressMapping| {
            format!("{} {} NEVER", mapping.address, mapping.new_address)
        };
        mappings.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(from("config"), ["a.example b.example NEVER"]);
    assert_eq!(from("control"), ["c.example d.example NEVER"]);
    assert!(from("cache").is_empty());
    for origin in MappingOrigin::KNOWN {
        let expected = raw.get_info(&format!("address-mappings/{origin}"));
        assert_eq!(from(origin.as_str()).join("\n"), expected);
    }
    assert_eq!(controller.address_mappings().unwrap().len(), 2);
    assert_eq!(
        refusal(controller.address_mappings_from(&"nowhere".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"address-mappings/nowhere\\\"\""
    );
}
#[test]
fn without_a_consensus_its_queries_return_nothing() {
    let controller = reader();
    let mut raw = shared().raw();
    assert_eq!(raw.get_info("consensus/valid-after"), "");
    assert_eq!(controller.consensus_lifetime().unwrap(), None);
    let random = controller.shared_random().unwrap();
    assert_eq!((random.current, random.previous), (None, None));
    for flavor in ConsensusFlavor::KNOWN {
        assert_eq!(controller.consensus(flavor).unwrap(), None);
    }
    assert_eq!(
        refusal(controller.consensus(&"nope".into())),
        "tor refused GETINFO: 552 \"Unrecognized key \
         \\\"dir/status-vote/current/consensus-nope\\\"\""
    );
    assert!(!controller.fetches_server_descriptors().unwrap());
    assert!(controller.fetches_microdescriptors().unwrap());
    assert!(controller.served_descriptors().unwrap().is_empty());
    assert_eq!(controller.own_server_descriptor().unwrap(), None);
    assert_eq!(controller.extra_info([1; 20]).unwrap(), None);
    assert_eq!(controller.descriptor_annotations(Fingerprint::from([1; 20])).unwrap(), None);
}

/// Writes a status as tor does.
fn download_text(status: &DownloadStatus) -> String {
    let delay = status.last_delay_used.unwrap().as_secs();
    format!(
        "n-download-failures {}\nn-download-attempts {}\nschedule {}\nwant-authority {}\n\
         increment-on {}\nbackoff {}\nlast-backoff-position {}\nlast-delay-used {delay}",
        status.failures,
        status.attempts,
        status.schedule,
        status.source,
        status.increment_on,
        status.backoff,
        status.last_backoff_position.unwrap(),
    )
}

#[test]
fn the_download_status_equals_the_raw_values() {
    let controller = reader();
    let mut raw = shared().raw();
    for flavor in ConsensusFlavor::KNOWN {
        let download = controller.consensus_download(flavor).unwrap();
        let three = [
            ("", &download.current),
            ("/bootstrap", &download.bootstrap),
            ("/running", &download.running),
        ];
        for (phase, status) in three {
            let text = raw.get_info(&format!("downloads/networkstatus/{flavor}{phase}"));
            // The time may differ in the next query.
            assert_eq!(text.split_once('\n').unwrap().1.trim_end(), download_text(status));
            assert_eq!(status.schedule, DownloadSchedule::Consensus);
            assert_eq!(status.backoff, DownloadBackoff::RandomExponential);
            assert!(status.next_attempt_at > SystemTime::UNIX_EPOCH);
        }
        assert_eq!(download.running.increment_on, DownloadIncrement::Failure);
        assert_eq!(download.bootstrap.increment_on, DownloadIncrement::Attempt);
        assert!(DownloadSource::KNOWN.contains(&download.current.source));
    }
    assert_eq!(
        refusal(controller.consensus_download(&"nope".into())),
        "tor refused GETINFO: 551 \"Unknown flavor\""
    );
    let nobody = Fingerprint::from([1; 20]);
    assert!(controller.certificate_downloads().unwrap().is_empty());
    assert_eq!(controller.certificate_download(nobody).unwrap(), None);
    assert_eq!(controller.certificate_signing_keys(nobody).unwrap(), None);
    assert_eq!(controller.certificate_download_for_key(nobody, nobody).unwrap(), None);
    assert_eq!(controller.descriptor_download([1; 20]).unwrap(), None);
    assert!(controller.bridge_downloads().unwrap().is_empty());
    assert_eq!(controller.bridge_download(nobody).unwrap(), None);
}

#[test]
fn the_descriptors_of_bridges_have_a_download_status() {
    let bridge = "5D028C16CE4A164287E9565F5EAFB67890978463";
    let tor = RealTor::builder()
        .line("UseBridges 1")
        .line(format!("Bridge 192.0.2.1:443 {bridge}"))
        .start();
    let controller = controller(&tor);
    let bridge: Fingerprint = bridge.parse().unwrap();
    assert_eq!(controller.bridge_downloads().unwrap(), [bridge]);
    let status = controller.bridge_download(bridge).unwrap().unwrap();
    assert_eq!(status.schedule, DownloadSchedule::Bridge);
    let text = tor.raw().get_info(&format!("downloads/bridge/{bridge}"));
    assert!(text.ends_with(&download_text(&status)), "{text}");
    assert_eq!(controller.bridge_download(Fingerprint::from([1; 20])).unwrap(), None);
}

#[test]
fn countries_are_known_if_tor_has_geoip_data() {
    let tor = RealTor::start();
    let with_data = controller(&tor);
    let data = with_data.geoip_data().unwrap();
    assert_eq!((data.ipv4, data.ipv6), (true, true));
    let country = |address: &str| with_data.country(address.parse().unwrap()).unwrap();
    assert_eq!(country("192.0.2.77"), "xy".parse().ok());
    assert_eq!(country("2001:db8::1"), "yz".parse().ok());
    assert_eq!((country("127.0.0.1"), country("::1")), (None, None));
    assert_eq!(tor.raw().get_info("ip-to-country/127.0.0.1"), "??");

    let tor = RealTor::builder()
        .line("GeoIPFile /nonexistent/geoip")
        .line("GeoIPv6File /nonexistent/geoip6");
    let tor = tor.start();
    let without = controller(&tor);
    let data = without.geoip_data().unwrap();
    assert_eq!((data.ipv4, data.ipv6), (false, false));
    for address in ["192.0.2.77", "2001:db8::1"] {
        assert_eq!(without.country(address.parse().unwrap()).unwrap(), None);
    }
}

#[test]
fn an_unknown_service_has_no_descriptor() {
    let controller = reader();
    let address: OnionAddress =
        "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd".parse().unwrap();
    assert_eq!(controller.hs_client_descriptor(address).unwrap(), None);
    assert_eq!(controller.hs_service_descriptor(address).unwrap(), None);
    let key = format!("hs/client/desc/id/{}", address.service_id());
    assert_eq!(shared().raw().ask(&format!("GETINFO {key}")), ["551 Not found in cache"]);
}
