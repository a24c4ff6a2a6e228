//! The parameters of the network.

use std::fmt;

/// A parameter that a consensus may set: its name, default and limits.
///
/// The table has the parameters of tor 0.4.9, with its defaults, and older ones with those of the
/// specification (`param-spec.txt`). A few defaults depend on the configuration of the relay or on
/// the number of authorities, and a few limits on the value of another parameter, such as
/// `onion-key-grace-period-days`; the limits here are the widest.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ConsensusParam;
///
/// let window = ConsensusParam::named("circwindow").unwrap();
/// assert_eq!(window.default(), Some(1000));
/// assert_eq!((window.min(), window.max()), (100, 1000));
/// assert_eq!(window.clamp(5000), 1000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsensusParam {
    name: &'static str,
    default: Option<i32>,
    min: i32,
    max: i32,
}

impl ConsensusParam {
    /// Every parameter that this version knows, sorted by name.
    pub const KNOWN: &'static [Self] = KNOWN;

    /// Returns the parameter with this name; `None` if this version does not know it. Names are
    /// compared exactly, as tor does.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let position = KNOWN.binary_search_by(|param| param.name.cmp(name)).ok()?;
        KNOWN.get(position).copied()
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the value that applies if the consensus has none; `None` if it depends on the relay's
    /// configuration or on the number of authorities.
    #[must_use]
    pub fn default(&self) -> Option<i32> {
        self.default
    }

    /// Returns the lowest value.
    #[must_use]
    pub fn min(&self) -> i32 {
        self.min
    }

    /// Returns the highest value.
    #[must_use]
    pub fn max(&self) -> i32 {
        self.max
    }

    /// Returns the value that tor uses for a value of the consensus: the nearest within the limits.
    #[must_use]
    pub fn clamp(&self, value: i32) -> i32 {
        value.max(self.min).min(self.max)
    }
}

impl fmt::Debug for ConsensusParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsensusParam({})", self.name)
    }
}

const fn param(name: &'static str, default: Option<i32>, min: i32, max: i32) -> ConsensusParam {
    ConsensusParam { name, default, min, max }
}

/// Sorted by name.
const KNOWN: &[ConsensusParam] = &[
    param("AllowNonearlyExtend", Some(0), 0, 1),
    param("AuthDirNumSRVAgreements", None, 1, i32::MAX),
    param("CircuitPriorityHalflifeMsec", Some(30_000), 1, i32::MAX),
    param("CircuitPriorityTickSecs", Some(10), 1, 600),
    param("DoSCircuitCreationBurst", Some(90), 1, i32::MAX),
    param("DoSCircuitCreationDefenseTimePeriod", Some(3600), 0, i32::MAX),
    param("DoSCircuitCreationDefenseType", Some(2), 1, 2),
    param("DoSCircuitCreationEnabled", Some(0), 0, 1),
    param("DoSCircuitCreationMinConnections", Some(3), 1, i32::MAX),
    param("DoSCircuitCreationRate", Some(3), 1, i32::MAX),
    param("DoSConnectionConnectBurst", Some(40), 1, i32::MAX),
    param("DoSConnectionConnectDefenseTimePeriod", Some(86_400), 10, i32::MAX),
    param("DoSConnectionConnectRate", Some(20), 1, i32::MAX),
    param("DoSConnectionDefenseType", Some(2), 1, 2),
    param("DoSConnectionEnabled", Some(0), 0, 1),
    param("DoSConnectionMaxConcurrentCount", Some(100), 1, i32::MAX),
    param("DoSRefuseSingleHopClientRendezvous", Some(0), 0, 1),
    param("DoSStreamCreationBurst", Some(300), 1, i32::MAX),
    param("DoSStreamCreationDefenseType", Some(2), 1, 3),
    param("DoSStreamCreationEnabled", Some(0), 0, 1),
    param("DoSStreamCreationRate", Some(100), 1, i32::MAX),
    param("ExtendByEd25519ID", Some(0), 0, 1),
    param("FastFlagMaxThreshold", Some(i32::MAX), 4, i32::MAX),
    param("FastFlagMinThreshold", Some(4), 4, i32::MAX),
    param("GuardLifetime", Some(5_184_000), 2_592_000, 157_766_400),
    param("HSV3MaxDescriptorSize", Some(50_000), 1, i32::MAX),
    param("HiddenServiceEnableIntroDoSBurstPerSec", Some(200), 0, i32::MAX),
    param("HiddenServiceEnableIntroDoSDefense", Some(0), 0, 1),
    param("HiddenServiceEnableIntroDoSRatePerSec", Some(25), 0, i32::MAX),
    param("KISTSchedRunInterval", Some(2), 2, 100),
    param("KISTSchedRunIntervalClient", Some(2), 2, 100),
    param("MaxOnionQueueDelay", Some(1750), 1, i32::MAX),
    param("NumDirectoryGuards", Some(0), 0, 10),
    param("NumEntryGuards", Some(3), 1, 10),
    param("NumNTorsPerTAP", Some(10), 1, 100_000),
    param("Support022HiddenServices", Some(1), 0, 1),
    param("UseGuardFraction", Some(0), 0, 1),
    param("UseNTorHandshake", Some(1), 0, 1),
    param("UseOptimisticData", Some(1), 0, 1),
    param("allow-network-reentry", Some(0), 0, 1),
    param("assume-reachable", Some(0), 0, 1),
    param("assume-reachable-ipv6", Some(0), 0, 1),
    param("bwweightscale", Some(10_000), 1, i32::MAX),
    param("cbtclosequantile", Some(99), 10, 99),
    param("cbtdisabled", Some(0), 0, 1),
    param("cbtinitialtimeout", Some(60_000), 10, i32::MAX),
    param("cbtlearntimeout", Some(180), 10, 60_000),
    param("cbtmaxopencircs", Some(10), 0, 14),
    param("cbtmaxtimeouts", Some(18), 3, 10_000),
    param("cbtmincircs", Some(100), 1, 10_000),
    param("cbtmintimeout", Some(10), 10, i32::MAX),
    param("cbtnummodes", Some(10), 1, 20),
    param("cbtquantile", Some(80), 10, 99),
    param("cbtrecentcount", Some(20), 3, 1000),
    param("cbttestfreq", Some(10), 1, i32::MAX),
    param("cc_alg", Some(2), 0, 3),
    param("cc_bwe_min", Some(5), 2, 20),
    param("cc_cwnd_full_gap", Some(4), 0, 32_767),
    param("cc_cwnd_full_minpct", Some(25), 0, 100),
    param("cc_cwnd_full_per_cwnd", Some(1), 0, 1),
    param("cc_cwnd_inc", Some(1), 1, 1000),
    param("cc_cwnd_inc_pct_ss", Some(100), 1, 500),
    param("cc_cwnd_inc_rate", Some(31), 1, 250),
    param("cc_cwnd_init", Some(124), 31, 10_000),
    param("cc_cwnd_max", Some(i32::MAX), 500, i32::MAX),
    param("cc_cwnd_min", Some(124), 31, 1000),
    param("cc_ewma_cwnd_pct", Some(50), 1, 255),
    param("cc_ewma_max", Some(10), 2, i32::MAX),
    param("cc_ewma_ss", Some(2), 2, i32::MAX),
    param("cc_rtt_reset_pct", Some(100), 0, 100),
    param("cc_sendme_inc", Some(31), 1, 254),
    param("cc_ss_max", Some(5000), 500, i32::MAX),
    param("cc_sscap_exit", Some(600), 100, i32::MAX),
    param("cc_sscap_onion", Some(475), 100, i32::MAX),
    param("cc_sscap_sbws", Some(400), 100, i32::MAX),
    param("cc_vegas_alpha_exit", Some(186), 0, 1000),
    param("cc_vegas_alpha_onion", Some(186), 0, 1000),
    param("cc_vegas_alpha_sbws", Some(93), 0, 1000),
    param("cc_vegas_beta_exit", Some(248), 0, 1000),
    param("cc_vegas_beta_onion", Some(372), 0, 1000),
    param("cc_vegas_beta_sbws", Some(155), 0, 1000),
    param("cc_vegas_delta_exit", Some(310), 0, i32::MAX),
    param("cc_vegas_delta_onion", Some(434), 0, i32::MAX),
    param("cc_vegas_delta_sbws", Some(248), 0, i32::MAX),
    param("cc_vegas_gamma_exit", Some(186), 0, 1000),
    param("cc_vegas_gamma_onion", Some(248), 0, 1000),
    param("cc_vegas_gamma_sbws", Some(124), 0, 1000),
    param("cc_xoff_client", Some(500), 1, 10_000),
    param("cc_xoff_exit", Some(500), 1, 10_000),
    param("cc_xon_change_pct", Some(25), 1, 99),
    param("cc_xon_ewma_cnt", Some(2), 2, 100),
    param("cc_xon_rate", Some(500), 1, 5000),
    param("cellq_high", Some(256), 1, 1000),
    param("cellq_low", Some(10), 1, 1000),
    param("cfx_drain_pct", Some(0), 0, 255),
    param("cfx_enabled", Some(1), 0, 1),
    param("cfx_low_exit_threshold", Some(6000), 0, 10_000),
    param("cfx_max_legs_set", Some(8), 3, 255),
    param("cfx_max_linked_set", Some(10), 0, 255),
    param("cfx_max_oooq_bytes", Some(i32::MAX), 0, i32::MAX),
    param("cfx_max_prebuilt_set", Some(3), 0, 255),
    param("cfx_max_unlinked_leg_retry", Some(3), 0, 255),
    param("cfx_num_legs_set", Some(2), 0, 255),
    param("cfx_send_pct", Some(100), 0, 255),
    param("circ_max_cell_queue_size", Some(2500), 50, i32::MAX),
    param("circ_max_cell_queue_size_out", Some(2500), 50, i32::MAX),
    param("circpad_global_allowed_cells", Some(0), 0, 65_534),
    param("circpad_global_max_padding_pct", Some(0), 0, 100),
    param("circpad_max_circ_queued_cells", Some(1000), 0, 50_000),
    param("circpad_padding_disabled", Some(0), 0, 1),
    param("circpad_padding_reduced", Some(0), 0, 1),
    param("circwindow", Some(1000), 100, 1000),
    param("dos_num_circ_max_outq", Some(3), 0, i32::MAX),
    param("exit_dns_num_attempts", Some(2), 0, 255),
    param("exit_dns_timeout", Some(1000), 1, 120_000),
    param("guard-confirmed-min-lifetime-days", Some(60), 1, 3650),
    param("guard-extreme-restriction-percent", Some(1), 1, 100),
    param("guard-hs-l2-lifetime-max", Some(1_036_800), 1, i32::MAX),
    param("guard-hs-l2-lifetime-min", Some(86_400), 1, i32::MAX),
    param("guard-hs-l2-number", Some(4), 1, 19),
    param("guard-internet-likely-down-interval", Some(600), 1, i32::MAX),
    param("guard-lifetime-days", Some(120), 1, 3650),
    param("guard-max-sample-size", Some(60), 1, i32::MAX),
    param("guard-max-sample-threshold-percent", Some(20), 1, 100),
    param("guard-meaningful-restriction-percent", Some(20), 1, i32::MAX),
    param("guard-min-filtered-sample-size", Some(20), 1, i32::MAX),
    param("guard-n-primary-dir-guards-to-use", Some(3), 1, i32::MAX),
    param("guard-n-primary-guards", Some(3), 1, i32::MAX),
    param("guard-n-primary-guards-to-use", Some(1), 1, i32::MAX),
    param("guard-nonprimary-guard-connect-timeout", Some(15), 1, i32::MAX),
    param("guard-nonprimary-guard-idle-timeout", Some(600), 1, i32::MAX),
    param("guard-remove-unlisted-guards-after-days", Some(20), 1, 3650),
    param("hs_intro_max_introduce2", Some(32_768), 0, i32::MAX),
    param("hs_intro_max_lifetime", Some(86_400), 0, i32::MAX),
    param("hs_intro_min_introduce2", Some(16_384), 0, i32::MAX),
    param("hs_intro_min_lifetime", Some(64_800), 0, i32::MAX),
    param("hs_intro_num_extra", Some(2), 0, 128),
    param("hs_service_max_rdv_failures", Some(2), 1, 10),
    param("hsdir_interval", Some(1440), 5, 14_400),
    param("hsdir_n_replicas", Some(2), 1, 16),
    param("hsdir_spread_fetch", Some(3), 1, 128),
    param("hsdir_spread_store", Some(4), 1, 128),
    param("max-consensus-age-to-cache-for-diff", Some(8192), 0, 8192),
    param("max_pending_tasks_per_cpu", Some(64), 1, i32::MAX),
    param("maxunmeasuredbw", Some(20), 1, i32::MAX),
    param("min_paths_for_circs_pct", Some(60), 25, 95),
    param("nf_conntimeout_clients", Some(1800), 60, 86_400),
    param("nf_conntimeout_relays", Some(3600), 60, 604_800),
    param("nf_ito_high", Some(9500), 0, 60_000),
    param("nf_ito_high_reduced", Some(14_000), 0, 60_000),
    param("nf_ito_low", Some(1500), 0, 60_000),
    param("nf_ito_low_reduced", Some(9000), 0, 60_000),
    param("nf_pad_before_usage", Some(1), 0, 1),
    param("nf_pad_relays", Some(0), 0, 1),
    param("nf_pad_single_onion", Some(1), 0, 1),
    param("onion-key-grace-period-days", Some(7), 1, 90),
    param("onion-key-rotation-days", Some(28), 1, 90),
    param("onion_queue_wait_cutoff", Some(5), 1, i32::MAX),
    param("orconn_high", Some(32_768), 509, i32::MAX),
    param("orconn_low", Some(16_384), 509, i32::MAX),
    param("overload_dns_timeout_period_secs", Some(600), 0, i32::MAX),
    param("overload_dns_timeout_scale_percent", Some(1000), 0, 100_000),
    param("overload_onionskin_ntor_period_secs", Some(21_600), 0, i32::MAX),
    param("overload_onionskin_ntor_scale_percent", Some(1000), 0, 100_000),
    param("pb_dropguards", Some(0), 0, 1),
    param("pb_extremepct", Some(30), 0, 100),
    param("pb_extremeusepct", Some(60), 0, 100),
    param("pb_mincircs", Some(150), 5, i32::MAX),
    param("pb_minuse", Some(20), 3, i32::MAX),
    param("pb_multfactor", Some(1), 1, i32::MAX),
    param("pb_noticepct", Some(70), 0, 100),
    param("pb_noticeusepct", Some(80), 0, 100),
    param("pb_scalecircs", Some(300), 10, i32::MAX),
    param("pb_scalefactor", Some(2), 2, i32::MAX),
    param("pb_scaleuse", Some(100), 10, i32::MAX),
    param("pb_warnpct", Some(50), 0, 100),
    param("perconnbwburst", None, 1, i32::MAX),
    param("perconnbwrate", None, 1, i32::MAX),
    param("publish-dummy-tap-key", Some(1), 0, 1),
    param("publish-family-list", Some(1), 0, 1),
    param("refuseunknownexits", Some(1), 0, 1),
    param("sendme_accept_min_version", Some(0), 0, 255),
    param("sendme_emit_min_version", Some(1), 0, 255),
    param("try-diff-for-consensus-newer-than", Some(72), 0, 8192),
    param("use-family-ids", Some(1), 0, 1),
    param("use-family-lists", Some(1), 0, 1),
    param("usecreatefast", Some(1), 0, 1),
    param("vanguards-lite-enabled", Some(1), 0, 1),
];

#[cfg(test)]
mod tests {
    use super::{ConsensusParam, KNOWN};

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_within_the_limits() {
        assert!(KNOWN.is_sorted_by(|one, next| one.name < next.name));
        for param in KNOWN {
            assert!(param.min <= param.max, "{param:?}");
            assert!(param.default.is_none_or(|value| param.clamp(value) == value), "{param:?}");
            assert_eq!(ConsensusParam::named(param.name()), Some(*param));
        }
    }

    #[test]
    fn an_unknown_parameter_is_none() {
        assert_eq!(ConsensusParam::named("bwauthpid"), None);
        assert_eq!(ConsensusParam::named("CIRCWINDOW"), None);
        assert_eq!(
            format!("{:?}", ConsensusParam::named("cc_alg")),
            "Some(ConsensusParam(cc_alg))"
        );
    }
}
