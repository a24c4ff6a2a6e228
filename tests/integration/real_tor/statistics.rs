//! The extra-info document of a relay that has statistics.
//!
//! tor collects statistics for a day before it publishes them. Here it finds those of the last day
//! in its data directory, as after a restart, and formats them itself or checks them before it puts
//! them into its document.

use std::fs;
use std::time::Duration;

use torcon::descriptor::{BandwidthHistory, ExtraInfo, MeasurementInterval};
use torcon::names::{DirDownload, DirResponse, IpVersion};

use super::controller;
use crate::support::real_tor::{RealTor, RealTorBuilder};

/// The files in `stats`, in the form in which tor writes them; `{}` is the time.
const FILES: &[(&str, &str)] = &[
    (
        "dirreq-stats",
        "dirreq-stats-end {} (86400 s)\ndirreq-v3-ips xy=24,??=8\ndirreq-v3-reqs xy=32\n\
         dirreq-v3-resp ok=32,not-enough-sigs=0,unavailable=0,not-found=8,not-modified=0,busy=0\n\
         dirreq-v3-direct-dl complete=0,timeout=0,running=0\n\
         dirreq-v3-tunneled-dl complete=16,timeout=4,running=0,min=741,d1=742,d2=743,q1=744,d3=745,\
         d4=746,md=747,d6=748,d7=749,q3=750,d8=751,d9=752,max=753\n",
    ),
    (
        "hidserv-stats",
        "hidserv-stats-end {} (86400 s)\n\
         hidserv-rend-relayed-cells -1266 delta_f=2048 epsilon=0.30 bin_size=1024\n\
         hidserv-dir-onions-seen 27 delta_f=8 epsilon=0.30 bin_size=8\n",
    ),
    (
        "hidserv-v3-stats",
        "hidserv-v3-stats-end {} (86400 s)\n\
         hidserv-rend-v3-relayed-cells 3170 delta_f=2048 epsilon=0.30 bin_size=1024\n\
         hidserv-dir-v3-onions-seen -43 delta_f=8 epsilon=0.30 bin_size=8\n",
    ),
    ("entry-stats", "entry-stats-end {} (86400 s)\nentry-ips xy=8\n"),
    (
        "buffer-stats",
        "cell-stats-end {} (86400 s)\ncell-processed-cells 20,0,0,0,0,0,0,0,0,0\n\
         cell-queued-cells 2.00,0.00,0.00,0.00,0.00,0.00,0.00,0.00,0.00,0.00\n\
         cell-time-in-queue 2,0,0,0,0,0,0,0,0,0\ncell-circuits-per-decile 1\n",
    ),
    (
        "exit-stats",
        "exit-stats-end {} (86400 s)\nexit-kibibytes-written 80=1,443=1,other=0\n\
         exit-kibibytes-read 80=10,443=20,other=0\nexit-streams-opened 80=4,443=4,other=0\n",
    ),
    (
        "conn-stats",
        "conn-bi-direct {} (86400 s) 12,34,56,78\nipv6-conn-bi-direct {} (86400 s) 21,43,65,87\n",
    ),
    (
        "bridge-stats",
        "bridge-stats-end {} (86400 s)\nbridge-ips xy=8\nbridge-ip-versions v4=8,v6=0\n\
         bridge-ip-transports <OR>=8\n",
    ),
];

const DAY: Duration = Duration::from_secs(86400);

/// The traffic of a day at 1 KiB per second.
const STEADY: u64 = 86400 * 1024;

/// Starts a relay, and again with statistics in its data directory. Returns its extra-info document.
fn document(configure: impl FnOnce(RealTorBuilder) -> RealTorBuilder) -> ExtraInfo {
    let builder = RealTor::builder()
        .line("ORPort 127.0.0.1:12345")
        .line("Address 192.0.2.7")
        .line("AssumeReachable 1")
        .line("PublishServerDescriptor 0");
    let tor = configure(builder).start();
    let mut raw = tor.raw();
    let now = raw.get_info("current-time/utc").replace('T', " ");
    assert_eq!(raw.ask("SIGNAL HALT"), ["250 OK"]);
    tor.wait(Duration::from_secs(60));

    let stats = tor.data_dir().join("stats");
    fs::create_dir_all(&stats).unwrap();
    for (name, text) in FILES {
        fs::write(stats.join(name), text.replace("{}", &now)).unwrap();
    }
    let path = tor.data_dir().join("state");
    let old = fs::read_to_string(&path).unwrap();
    let mut state: String =
        old.split_inclusive('\n').filter(|line| !line.starts_with("BWHistory")).collect();
    let names = ["Write", "Read", "IPv6Write", "IPv6Read", "DirWrite", "DirRead"];
    for (name, factor) in names.into_iter().zip(1..) {
        // The last value is that of the current day, which tor does not publish.
        let (first, second) = (STEADY * factor, STEADY * (factor + 10));
        state += &format!(
            "BWHistory{name}Ends {now}\nBWHistory{name}Interval 86400\n\
             BWHistory{name}Values {first},{second},0\nBWHistory{name}Maxima 1024,1024,1024\n"
        );
    }
    fs::write(&path, state).unwrap();
    tor.start_again();
    let (_, extra) = controller(&tor).fresh_relay_descriptors().unwrap().unwrap();
    extra.unwrap()
}

/// Checks what relays and bridges have in common, and that the document has the lines of the files
/// that are not in `without`.
#[track_caller]
fn check(info: &ExtraInfo, without: &[&str]) {
    info.check().unwrap();
    assert_eq!(info.unrecognized().count(), 0, "{info}");
    let text = info.to_string();
    for (name, lines) in FILES.iter().filter(|(name, _)| !without.contains(name)) {
        for keyword in lines.lines().filter_map(|line| line.split(' ').next()) {
            assert!(text.contains(&format!("\n{keyword} ")), "{name} {keyword}");
        }
    }
    assert!(info.ed25519_certificate().is_some() && info.ed25519_signature().is_some());
    assert!(info.geoip_db_digest().is_some() && info.geoip6_db_digest().is_some());
    let end = info.dirreq_stats_interval().unwrap().end;
    let histories: [Option<BandwidthHistory>; 6] = [
        info.write_history(),
        info.read_history(),
        info.ipv6_write_history(),
        info.ipv6_read_history(),
        info.dirreq_write_history(),
        info.dirreq_read_history(),
    ];
    for (history, factor) in histories.into_iter().zip(1..) {
        let history = history.unwrap();
        assert_eq!(history.bytes, [STEADY * factor, STEADY * (factor + 10)]);
        let days: Vec<_> = history.samples().map(|(start, _)| start).collect();
        assert_eq!((history.interval, history.end), (DAY, end - DAY));
        assert_eq!(days, [end - 3 * DAY, end - 2 * DAY]);
    }
    let clients = info.dirreq_v3_ips().unwrap();
    assert_eq!(
        (clients.get(&Some("xy".parse().unwrap())), clients.get(&None)),
        (Some(24), Some(8))
    );
    assert_eq!(info.dirreq_v3_reqs().unwrap().total(), 32);
    assert_eq!(info.dirreq_v3_resp().unwrap().get(&DirResponse::NotFound), Some(8));
    assert_eq!(info.dirreq_v3_direct_dl().unwrap().entries().len(), 3);
    assert_eq!(info.dirreq_v3_tunneled_dl().unwrap().get(&DirDownload::Median), Some(747));
    assert_eq!(info.hidserv_rend_relayed_cells().unwrap().value, -1266);
    assert_eq!(info.hidserv_dir_v3_onions_seen().unwrap().value, -43);
    assert!(is_last_day(info.hidserv_stats_interval(), info));
    assert!(is_last_day(info.hidserv_v3_stats_interval(), info));
}

/// Returns whether an interval is that of the directory requests, and a day.
fn is_last_day(interval: Option<MeasurementInterval>, info: &ExtraInfo) -> bool {
    interval == info.dirreq_stats_interval() && interval.is_some_and(|it| it.length == DAY)
}

#[test]
fn every_statistic_of_a_relay_is_read() {
    let info = document(|tor| {
        ["DirReq", "HiddenService", "Entry", "Cell", "ExitPort", "ConnDirection", "Padding"]
            .into_iter()
            .fold(tor.line("ExitRelay 1"), |tor, name| tor.line(format!("{name}Statistics 1")))
    });
    check(&info, &["bridge-stats"]);
    assert_eq!(info.entry_ips().unwrap().total(), 8);
    assert_eq!(info.cell_processed_cells().unwrap()[..2], [20.0, 0.0]);
    assert_eq!(info.cell_queued_cells().unwrap().len(), 10);
    assert_eq!(info.cell_circuits_per_decile(), Some(1));
    assert_eq!(info.exit_kibibytes_read().unwrap().get(&Some(443)), Some(20));
    assert_eq!(info.exit_streams_opened().unwrap().total(), 8);
    let connections = info.conn_bi_direct().unwrap();
    assert_eq!([connections.below, connections.both], [12, 78]);
    assert_eq!(info.ipv6_conn_bi_direct().unwrap().read, 43);
    for interval in [
        info.entry_stats_interval(),
        info.cell_stats_interval(),
        info.exit_stats_interval(),
        Some(connections.interval),
    ] {
        assert!(is_last_day(interval, &info), "{interval:?}");
    }
}

#[test]
fn every_statistic_of_a_bridge_is_read() {
    let info = document(|tor| tor.line("BridgeRelay 1"));
    check(&info, &["entry-stats", "buffer-stats", "exit-stats", "conn-stats"]);
    assert!(is_last_day(info.bridge_stats_interval(), &info));
    assert_eq!(info.bridge_ips().unwrap().total(), 8);
    assert_eq!(info.bridge_ip_versions().unwrap().get(&IpVersion::V4), Some(8));
    assert_eq!(info.bridge_ip_transports().unwrap().get("<OR>"), Some(8));
}
