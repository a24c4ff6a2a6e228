//! The lines of an extra-info document that a method returns as one value.

use std::time::SystemTime;

use super::ExtraInfo;
use super::statistics::{
    BridgeTransport, ConnectionDirections, NoisyCount, OverloadRateLimits, PaddingCounts,
    StatisticMap, countries, decimals, ports, share, texts,
};
use crate::descriptor::certificate::{ED25519_SIGNATURE, IDENTITY};
use crate::descriptor::history::{BandwidthHistory, MeasurementInterval};
use crate::descriptor::item::{DescriptorItem, number};
use crate::descriptor::rule::{Place, Rule};
use crate::names::{CountryCode, DirDownload, DirResponse, Fingerprint, IpVersion, Nickname};

/// Defines the rules of the document and, for each row, the method that returns the line's value.
///
/// A row has the keyword, the form of the line, the method with its type, and the function that reads
/// the item both for the method and for the check.
macro_rules! lines {
    ($rules:ident = [$($rule:expr,)*], {
        $( $(#[$attribute:meta])* $keyword:literal $form:literal => $method:ident: $type:ty = $read:expr; )*
    }) => {
        /// The lines that have methods.
        pub(super) const $rules: &[Rule] = &[
            $( $rule, )*
            $( Rule::optional($keyword.as_bytes(), concat!($keyword, " ", $form), |item| {
                let read: fn(&DescriptorItem<'_>) -> Option<$type> = $read;
                read(item).is_some()
            }), )*
        ];

        impl ExtraInfo {
            $(
                $(#[$attribute])*
                #[must_use]
                pub fn $method(&self) -> Option<$type> {
                    let read: fn(&DescriptorItem<'_>) -> Option<$type> = $read;
                    read(&self.find($keyword.as_bytes())?)
                }
            )*
        }
    };
}

lines! { RULES = [
    Rule::once(b"extra-info", "extra-info NICKNAME FINGERPRINT", |item| relay(item).is_some()),
    IDENTITY,
    Rule::once(b"published", "published YYYY-MM-DD HH:MM:SS", |item| item.time().is_some()),
    Rule::repeated(b"transport", "transport NAME [ADDRESS:PORT [ARGUMENTS]]", |item| {
        BridgeTransport::read(item).is_some()
    }),
    ED25519_SIGNATURE,
    Rule::once_unless(
        b"router-digest",
        b"router-signature",
        "router-signature and a signature in base64",
        |item| item.labeled_object("SIGNATURE").is_some(),
    )
    .at(Place::Last),
], {
    /// Returns the bytes that the relay sent.
    #[doc(alias = "write_history_values")]
    "write-history" "END (SECONDS s) BYTES,.." =>
        write_history: BandwidthHistory = BandwidthHistory::read;
    /// Returns the bytes that the relay received.
    #[doc(alias = "read_history_values")]
    "read-history" "END (SECONDS s) BYTES,.." =>
        read_history: BandwidthHistory = BandwidthHistory::read;
    /// Returns the bytes that the relay sent over IPv6.
    "ipv6-write-history" "END (SECONDS s) BYTES,.." =>
        ipv6_write_history: BandwidthHistory = BandwidthHistory::read;
    /// Returns the bytes that the relay received over IPv6.
    "ipv6-read-history" "END (SECONDS s) BYTES,.." =>
        ipv6_read_history: BandwidthHistory = BandwidthHistory::read;
    /// Returns the bytes that the relay sent as a directory.
    #[doc(alias = "dir_write_history_values")]
    "dirreq-write-history" "END (SECONDS s) BYTES,.." =>
        dirreq_write_history: BandwidthHistory = BandwidthHistory::read;
    /// Returns the bytes that the relay received as a directory.
    #[doc(alias = "dir_read_history_values")]
    "dirreq-read-history" "END (SECONDS s) BYTES,.." =>
        dirreq_read_history: BandwidthHistory = BandwidthHistory::read;

    /// Returns the SHA-1 digest of the GeoIP file for IPv4.
    "geoip-db-digest" "DIGEST" => geoip_db_digest: [u8; 20] = |item| item.sha1();
    /// Returns the SHA-1 digest of the GeoIP file for IPv6.
    "geoip6-db-digest" "DIGEST" => geoip6_db_digest: [u8; 20] = |item| item.sha1();
    /// Returns when a bridge began to count its clients. Only versions of tor before 0.2.2.4 write it.
    "geoip-start-time" "YYYY-MM-DD HH:MM:SS" => geoip_start_time: SystemTime = |item| item.time();
    /// Returns the number of clients of a bridge by country. Only versions of tor before 0.2.2.4
    /// write it.
    "geoip-client-origins" "COUNTRY=NUMBER,.." =>
        geoip_client_origins: StatisticMap<Option<CountryCode>> = countries;

    /// Returns the time in which a bridge counted its clients.
    #[doc(alias("bridge-stats-end", "bridge_stats_end"))]
    "bridge-stats-end" "END (SECONDS s)" =>
        bridge_stats_interval: MeasurementInterval = interval;
    /// Returns the number of clients of a bridge by country, rounded up to a multiple of 8.
    "bridge-ips" "COUNTRY=NUMBER,.." =>
        bridge_ips: StatisticMap<Option<CountryCode>> = countries;
    /// Returns the number of clients of a bridge by version of IP, rounded up to a multiple of 8.
    #[doc(alias = "ip_versions")]
    "bridge-ip-versions" "VERSION=NUMBER,.." => bridge_ip_versions: StatisticMap<IpVersion> =
        |item| StatisticMap::in_list(item, |key| Some(IpVersion::from_bytes(key)));
    /// Returns the number of clients of a bridge by pluggable transport, rounded up to a multiple
    /// of 8. The key `<OR>` stands for clients without a transport, `<??>` for an unknown transport.
    #[doc(alias = "ip_transports")]
    "bridge-ip-transports" "TRANSPORT=NUMBER,.." =>
        bridge_ip_transports: StatisticMap<String> = texts;

    /// Returns the time in which the relay counted directory requests.
    #[doc(alias("dirreq-stats-end", "dir_stats_end"))]
    "dirreq-stats-end" "END (SECONDS s)" =>
        dirreq_stats_interval: MeasurementInterval = interval;
    /// Returns the number of clients that requested a network status of version 2, by country, rounded
    /// up to a multiple of 8. No version of tor since 0.2.5.2 has such documents.
    #[doc(alias = "dir_v2_ips")]
    "dirreq-v2-ips" "COUNTRY=NUMBER,.." =>
        dirreq_v2_ips: StatisticMap<Option<CountryCode>> = countries;
    /// Returns the number of clients that requested a consensus, by country, rounded up to a multiple
    /// of 8.
    #[doc(alias = "dir_v3_ips")]
    "dirreq-v3-ips" "COUNTRY=NUMBER,.." =>
        dirreq_v3_ips: StatisticMap<Option<CountryCode>> = countries;
    /// Returns the number of requests for a network status of version 2, by country, rounded up to a
    /// multiple of 8.
    #[doc(alias = "dir_v2_requests")]
    "dirreq-v2-reqs" "COUNTRY=NUMBER,.." =>
        dirreq_v2_reqs: StatisticMap<Option<CountryCode>> = countries;
    /// Returns the number of requests for a consensus, by country, rounded up to a multiple of 8.
    #[doc(alias = "dir_v3_requests")]
    "dirreq-v3-reqs" "COUNTRY=NUMBER,.." =>
        dirreq_v3_reqs: StatisticMap<Option<CountryCode>> = countries;
    /// Returns the share of the requests for a network status of version 2 that the relay expected, as
    /// a fraction: 0.01 for one percent.
    #[doc(alias = "dir_v2_share")]
    "dirreq-v2-share" "PERCENT%" => dirreq_v2_share: f64 = share;
    /// Returns the share of the requests for a consensus that the relay expected, as a fraction: 0.01
    /// for one percent. Today's tor does not write it.
    #[doc(alias = "dir_v3_share")]
    "dirreq-v3-share" "PERCENT%" => dirreq_v3_share: f64 = share;
    /// Returns the number of requests for a network status of version 2, by answer.
    #[doc(alias("dir_v2_responses", "dir_v2_responses_unknown"))]
    "dirreq-v2-resp" "STATUS=NUMBER,.." => dirreq_v2_resp: StatisticMap<DirResponse> = responses;
    /// Returns the number of requests for a consensus, by answer, rounded up to a multiple of 8.
    #[doc(alias("dir_v3_responses", "dir_v3_responses_unknown"))]
    "dirreq-v3-resp" "STATUS=NUMBER,.." => dirreq_v3_resp: StatisticMap<DirResponse> = responses;
    /// Returns statistics of the downloads of a network status of version 2 over the directory port.
    #[doc(alias = "dir_v2_direct_dl")]
    "dirreq-v2-direct-dl" "KEY=NUMBER,.." =>
        dirreq_v2_direct_dl: StatisticMap<DirDownload> = downloads;
    /// Returns statistics of the downloads of a consensus over the directory port.
    #[doc(alias = "dir_v3_direct_dl")]
    "dirreq-v3-direct-dl" "KEY=NUMBER,.." =>
        dirreq_v3_direct_dl: StatisticMap<DirDownload> = downloads;
    /// Returns statistics of the downloads of a network status of version 2 over the OR port.
    #[doc(alias = "dir_v2_tunneled_dl")]
    "dirreq-v2-tunneled-dl" "KEY=NUMBER,.." =>
        dirreq_v2_tunneled_dl: StatisticMap<DirDownload> = downloads;
    /// Returns statistics of the downloads of a consensus over the OR port.
    #[doc(alias = "dir_v3_tunneled_dl")]
    "dirreq-v3-tunneled-dl" "KEY=NUMBER,.." =>
        dirreq_v3_tunneled_dl: StatisticMap<DirDownload> = downloads;

    /// Returns the time in which the relay counted its clients.
    #[doc(alias("entry-stats-end", "entry_stats_end"))]
    "entry-stats-end" "END (SECONDS s)" => entry_stats_interval: MeasurementInterval = interval;
    /// Returns the number of clients of the relay by country, rounded up to a multiple of 8.
    "entry-ips" "COUNTRY=NUMBER,.." =>
        entry_ips: StatisticMap<Option<CountryCode>> = countries;

    /// Returns the time in which the relay measured its queues of cells.
    #[doc(alias("cell-stats-end", "cell_stats_end"))]
    "cell-stats-end" "END (SECONDS s)" => cell_stats_interval: MeasurementInterval = interval;
    /// Returns the mean number of processed cells per circuit, by decile of circuits, the busiest
    /// first.
    "cell-processed-cells" "NUMBER,.." => cell_processed_cells: Vec<f64> = decimals;
    /// Returns the mean number of cells in queues, by the deciles of
    /// [`cell_processed_cells`](Self::cell_processed_cells).
    "cell-queued-cells" "NUMBER,.." => cell_queued_cells: Vec<f64> = decimals;
    /// Returns the mean time of cells in queues, in milliseconds, by the deciles of
    /// [`cell_processed_cells`](Self::cell_processed_cells).
    "cell-time-in-queue" "MILLISECONDS,.." => cell_time_in_queue: Vec<f64> = decimals;
    /// Returns the mean number of circuits in a decile, rounded up.
    "cell-circuits-per-decile" "NUMBER" => cell_circuits_per_decile: u64 =
        |item| number(item.words().next()?);

    /// Returns how many connections were used in one direction and in both.
    #[doc(alias("conn_bi_direct_end", "conn_bi_direct_below", "conn_bi_direct_both"))]
    "conn-bi-direct" "END (SECONDS s) BELOW,READ,WRITE,BOTH" =>
        conn_bi_direct: ConnectionDirections = ConnectionDirections::read;
    /// Returns how many connections over IPv6 were used in one direction and in both.
    "ipv6-conn-bi-direct" "END (SECONDS s) BELOW,READ,WRITE,BOTH" =>
        ipv6_conn_bi_direct: ConnectionDirections = ConnectionDirections::read;

    /// Returns the time in which an exit counted its traffic.
    #[doc(alias("exit-stats-end", "exit_stats_end"))]
    "exit-stats-end" "END (SECONDS s)" => exit_stats_interval: MeasurementInterval = interval;
    /// Returns the KiB that an exit sent, by port; the key `None` stands for the other ports.
    "exit-kibibytes-written" "PORT=NUMBER,.." =>
        exit_kibibytes_written: StatisticMap<Option<u16>> = ports;
    /// Returns the KiB that an exit received, by port; the key `None` stands for the other ports.
    "exit-kibibytes-read" "PORT=NUMBER,.." =>
        exit_kibibytes_read: StatisticMap<Option<u16>> = ports;
    /// Returns the number of streams of an exit, by port, rounded up to a multiple of 4; the key `None`
    /// stands for the other ports.
    "exit-streams-opened" "PORT=NUMBER,.." =>
        exit_streams_opened: StatisticMap<Option<u16>> = ports;

    /// Returns the time in which the relay collected statistics of onion services of version 2.
    #[doc(alias("hidserv-stats-end", "hs_stats_end"))]
    "hidserv-stats-end" "END (SECONDS s)" =>
        hidserv_stats_interval: MeasurementInterval = interval;
    /// Returns the number of cells that the relay passed on as a rendezvous point of onion services of
    /// version 2.
    #[doc(alias("hs_rend_cells", "hs_rend_cells_attr"))]
    "hidserv-rend-relayed-cells" "NUMBER KEY=VALUE .." =>
        hidserv_rend_relayed_cells: NoisyCount = NoisyCount::read;
    /// Returns the number of onion services of version 2 whose descriptors the relay stored.
    #[doc(alias("hs_dir_onions_seen", "hs_dir_onions_seen_attr"))]
    "hidserv-dir-onions-seen" "NUMBER KEY=VALUE .." =>
        hidserv_dir_onions_seen: NoisyCount = NoisyCount::read;
    /// Returns the time in which the relay collected statistics of onion services of version 3.
    #[doc(alias = "hidserv-v3-stats-end")]
    "hidserv-v3-stats-end" "END (SECONDS s)" =>
        hidserv_v3_stats_interval: MeasurementInterval = interval;
    /// Returns the number of cells that the relay passed on as a rendezvous point of onion services of
    /// version 3.
    "hidserv-rend-v3-relayed-cells" "NUMBER KEY=VALUE .." =>
        hidserv_rend_v3_relayed_cells: NoisyCount = NoisyCount::read;
    /// Returns the number of onion services of version 3 whose descriptors the relay stored.
    "hidserv-dir-v3-onions-seen" "NUMBER KEY=VALUE .." =>
        hidserv_dir_v3_onions_seen: NoisyCount = NoisyCount::read;

    /// Returns the cells of the relay, of which some are padding.
    #[doc(alias("padding_counts_end", "padding_counts_interval"))]
    "padding-counts" "END (SECONDS s) KEY=NUMBER .." =>
        padding_counts: PaddingCounts = PaddingCounts::read;
    /// Returns how often the configured limits of bandwidth were reached in the last day.
    "overload-ratelimits" "VERSION YYYY-MM-DD HH:MM:SS RATE BURST READ-COUNT WRITE-COUNT" =>
        overload_ratelimits: OverloadRateLimits = OverloadRateLimits::read;
    /// Returns the last hour in which the relay had no file descriptor left for a socket, if that was
    /// in the last three days.
    "overload-fd-exhausted" "VERSION YYYY-MM-DD HH:MM:SS" =>
        overload_fd_exhausted: SystemTime = |item| item.overload_time();
    /// Returns the last hour in which the relay was overloaded. Only tor 0.4.6.1 has the line here;
    /// later ones have it in the server descriptor.
    "overload-general" "VERSION YYYY-MM-DD HH:MM:SS" => overload_general: SystemTime = |item| item.overload_time();

    /// Returns the SHA-256 digest of the Ed25519 identity of the bridge. Only sanitized documents of
    /// `CollecTor` have it.
    #[doc(alias = "ed25519_certificate_hash")]
    "master-key-ed25519" "DIGEST in base64" => master_key_ed25519: [u8; 32] = |item| item.base64();
    /// Returns the SHA-1 digest of the document before it was sanitized. Only sanitized documents of
    /// `CollecTor` have it.
    "router-digest" "DIGEST" => router_digest: [u8; 20] = |item| item.sha1();
    /// Returns the SHA-256 digest of the document before it was sanitized. Only sanitized documents of
    /// `CollecTor` have it.
    "router-digest-sha256" "DIGEST in base64" => router_digest_sha256: [u8; 32] = |item| item.base64();
} }

/// Reads the words of the first line.
fn relay(item: &DescriptorItem<'_>) -> Option<(Nickname, Fingerprint)> {
    let mut words = item.words();
    Some((Nickname::from_bytes(words.next()?)?, Fingerprint::from_hex(words.next()?)?))
}

fn interval(item: &DescriptorItem<'_>) -> Option<MeasurementInterval> {
    MeasurementInterval::read(&mut item.words())
}

fn responses(item: &DescriptorItem<'_>) -> Option<StatisticMap<DirResponse>> {
    StatisticMap::in_list(item, |key| Some(DirResponse::from_bytes(key)))
}

fn downloads(item: &DescriptorItem<'_>) -> Option<StatisticMap<DirDownload>> {
    StatisticMap::in_list(item, |key| Some(DirDownload::from_bytes(key)))
}
