//! The options of tor 0.4.9.15 and their types, for a configuration without a tor.

use super::schema::OptionType;

/// The names of each type, separated by blanks, as `GETINFO config/names` reports them.
pub(super) const KNOWN_OPTIONS: [(OptionType, &str); 15] = [
    (
        OptionType::Boolean,
        "__AllDirActionsPrivate __AlwaysCongestionControl __DisablePredictedCircuits \
         __DisableSignalHandlers __LeaveStreamsUnattached __ReloadTorrcOnSIGHUP \
         __SbwsExit AddressDisableIPv6 AllowNonRFC953Hostnames AssumeReachable \
         AuthDirHasIPv6Connectivity AuthDirListBadExits AuthDirListMiddleOnly \
         AuthDirPinKeys AuthDirRejectRequestsUnderLoad AuthDirSharedRandomness \
         AuthDirSupport048Clients AuthDirTestEd25519LinkKeys AuthDirTestReachability \
         AuthoritativeDirectory AutomapHostsOnResolve AvoidDiskWrites BridgeAuthoritativeDir \
         BridgeRecordUsageByCountry BridgeRelay CellStatistics CircuitPadding \
         ClientDNSRejectInternalAddresses ClientOnly ClientRejectInternalAddresses \
         ClientUseIPv4 ClientUseIPv6 ConnDirectionStatistics ConstrainedSockets \
         ControlPortFileGroupReadable ControlSocketsGroupWritable CookieAuthentication \
         CookieAuthFileGroupReadable CountPrivateBandwidth DataDirectoryGroupReadable \
         DirAllowPrivateAddresses DirCache DirReqStatistics DisableAllSwap \
         DisableDebuggerAttachment DisableNetwork DisableOOSCheck \
         DormantCanceledByStartup DormantOnFirstStartup \
         DormantTimeoutDisabledByIdleStreams DormantTimeoutEnabled DownloadExtraInfo \
         EnforceDistinctSubnets EntryStatistics ExitPolicyRejectLocalInterfaces \
         ExitPolicyRejectPrivate ExitPortStatistics ExtendAllowPrivateAddresses \
         ExtORPortCookieAuthFileGroupReadable ExtraInfoStatistics FascistFirewall \
         FetchDirInfoEarly FetchDirInfoExtraEarly FetchHidServDescriptors \
         FetchServerDescriptors FetchUselessDescriptors HardwareAccel \
         HiddenServiceNonAnonymousMode HiddenServiceSingleHopMode HiddenServiceStatistics \
         IPv6Exit LearnCircuitBuildTimeout LogMessageDomains MainloopStats NoExec \
         OfflineMasterKey OverloadStatistics PaddingStatistics ProtocolWarnings \
         PublishHidServDescriptors ReconfigDropsBridgeDescs ReducedCircuitPadding \
         ReducedConnectionPadding ReducedExitPolicy ReevaluateExitPolicy RunAsDaemon \
         SafeSocks Sandbox ServerDNSAllowBrokenConfig ServerDNSAllowNonRFC953Hostnames \
         ServerDNSDetectHijacking ServerDNSRandomizeCase ServerDNSSearchDomains \
         StrictNodes TestingDirAuthVoteExitIsStrict TestingDirAuthVoteGuardIsStrict \
         TestingDirAuthVoteHSDirIsStrict TestingEnableCellStatsEvent \
         TestingEnableConnBwEvent TestingTorNetwork TestSocks TruncateLogFile \
         UnixSocksGroupWritable UpdateBridgesFromAuthority UseBridges \
         UseDefaultFallbackDirs UseEntryGuards V3AuthoritativeDirectory \
         V3AuthUseLegacyKey VersioningAuthoritativeDirectory",
    ),
    (
        OptionType::AutoBoolean,
        "AssumeReachableIPv6 CacheDirectoryGroupReadable ClientPreferIPv6DirPort \
         ClientPreferIPv6ORPort CompiledProofOfWorkHash ConfluxEnabled ConnectionPadding \
         DoSBeginDirRateEnabled \
         DoSCircuitCreationEnabled DoSConnectionEnabled \
         DoSRefuseSingleHopClientRendezvous DoSStreamCreationEnabled ExitRelay \
         ExtendByEd25519ID GeoIPExcludeUnknown KeepBindCapabilities \
         KeyDirectoryGroupReadable PathBiasDropGuards RefuseUnknownExits UseGuardFraction \
         UseMicrodescriptors VanguardsLiteEnabled",
    ),
    (
        OptionType::CommaList,
        "AuthDirBadExitCCs AuthDirInvalidCCs AuthDirMiddleOnlyCCs AuthDirRejectCCs \
         AutomapHostsSuffixes FirewallPorts LongLivedPorts PublishServerDescriptor \
         RejectPlaintextPorts Schedulers ServerDNSTestAddresses TrackHostExits \
         WarnPlaintextPorts",
    ),
    (
        OptionType::DataSize,
        "AccountingMax AuthDirFastGuarantee AuthDirGuardBWGuarantee BandwidthBurst \
         BandwidthRate ConstrainedSockSize MaxAdvertisedBandwidth MaxHSDirCacheBytes \
         MaxMemInQueues MaxUnparseableDescSizeToLog PerConnBWBurst PerConnBWRate \
         RelayBandwidthBurst RelayBandwidthRate TestingMinExitFlagThreshold \
         TestingMinFastFlagThreshold",
    ),
    (
        OptionType::Dependent,
        "__ControlPort __DirPort __DNSPort __ExtORPort __HTTPTunnelPort __MetricsPort \
         __NATDPort __ORPort __SocksPort __TransPort ControlPort DirPort DNSPort \
         ExtORPort HiddenServiceAllowUnknownPorts HiddenServiceDir \
         HiddenServiceDirGroupReadable HiddenServiceEnableIntroDoSBurstPerSec \
         HiddenServiceEnableIntroDoSDefense HiddenServiceEnableIntroDoSRatePerSec \
         HiddenServiceExportCircuitID HiddenServiceMaxStreams \
         HiddenServiceMaxStreamsCloseCircuit HiddenServiceNumIntroductionPoints \
         HiddenServiceOnionBalanceInstance HiddenServicePort \
         HiddenServicePoWDefensesEnabled HiddenServicePoWQueueBurst \
         HiddenServicePoWQueueRate HiddenServiceVersion HTTPTunnelPort MetricsPort \
         NATDPort ORPort SocksPort TransPort",
    ),
    (
        OptionType::Filename,
        "AccelDir CacheDirectory ClientOnionAuthDir ControlPortWriteToFile CookieAuthFile \
         DataDirectory DirPortFrontPage ExtORPortCookieAuthFile FamilyKeyDirectory \
         GeoIPFile GeoIPv6File GuardfractionFile KeyDirectory PidFile \
         ServerDNSResolvConfFile V3BandwidthsFile",
    ),
    (
        OptionType::Float,
        "AuthDirVoteGuardBwThresholdFraction AuthDirVoteGuardGuaranteeWFU \
         CircuitPriorityHalflife DirAuthorityFallbackRate KISTSockBufSizeFactor \
         PathBiasExtremeRate PathBiasExtremeUseRate PathBiasNoticeRate \
         PathBiasNoticeUseRate PathBiasWarnRate PathsNeededToBuildCircuits",
    ),
    (
        OptionType::Integer,
        "__OwningControllerFD AuthDirMaxServersPerAddr \
         ClientBootstrapConsensusMaxInProgressTries ConnLimit DoSBeginDirBurst \
         DoSBeginDirRate DoSCircuitCreationBurst \
         DoSCircuitCreationMinConnections DoSCircuitCreationRate \
         DoSConnectionConnectBurst DoSConnectionConnectRate \
         DoSConnectionMaxConcurrentCount DoSStreamCreationBurst DoSStreamCreationRate \
         MaxClientCircuitsPending NumCPUs NumDirectoryGuards NumEntryGuards \
         NumPrimaryGuards V3AuthNIntervalsValid",
    ),
    (
        OptionType::LineList,
        "__HashedControlSessionPassword Address AlternateBridgeAuthority \
         AlternateDirAuthority AuthDirBadExit AuthDirInvalid AuthDirMiddleOnly \
         AuthDirReject Bridge ClientTransportPlugin ConsensusParams ControlSocket \
         DirAuthority DirPolicy ExitPolicy FallbackDir FamilyId HashedControlPassword Log \
         MapAddress MetricsPortPolicy MyFamily NodeFamily OutboundBindAddress \
         OutboundBindAddressExit OutboundBindAddressOR OutboundBindAddressPT \
         ReachableAddresses ReachableDirAddresses ReachableORAddresses \
         RecommendedClientVersions RecommendedServerVersions RecommendedVersions \
         ServerTransportListenAddr ServerTransportOptions ServerTransportPlugin \
         SocksPolicy",
    ),
    (
        OptionType::RouterList,
        "AuthDirVoteGuard EntryNodes ExcludeExitNodes ExcludeNodes ExitNodes \
         HSLayer2Nodes HSLayer3Nodes MiddleNodes TestingDirAuthVoteExit \
         TestingDirAuthVoteGuard TestingDirAuthVoteHSDir",
    ),
    (
        OptionType::SignedInteger,
        "DoSBeginDirDefenseType DoSCircuitCreationDefenseType DoSConnectionDefenseType \
         DoSStreamCreationDefenseType MinMeasuredBWsForAuthToIgnoreAdvertised \
         PathBiasCircThreshold PathBiasScaleThreshold PathBiasScaleUseThreshold \
         PathBiasUseThreshold",
    ),
    (
        OptionType::String,
        "__OwningControllerProcess AccelName AccountingRule AccountingStart \
         BridgeDistribution BridgePassword ConfluxClientUX ContactInfo HTTPProxy \
         HTTPProxyAuthenticator HTTPSProxy HTTPSProxyAuthenticator \
         MinimalAcceptedServerVersion Nickname SafeLogging Socks4Proxy Socks5Proxy \
         Socks5ProxyPassword Socks5ProxyUsername SyslogIdentityTag TCPProxy \
         TransProxyType User VirtualAddrNetworkIPv4 VirtualAddrNetworkIPv6",
    ),
    (
        OptionType::TimeInterval,
        "AuthDirVoteGuardGuaranteeTimeKnown AuthDirVoteStableGuaranteeMinUptime \
         AuthDirVoteStableGuaranteeMTBF CircuitBuildTimeout CircuitsAvailableTimeout \
         CircuitStreamTimeout ClientBootstrapConsensusAuthorityDownloadInitialDelay \
         ClientBootstrapConsensusAuthorityOnlyDownloadInitialDelay \
         ClientBootstrapConsensusFallbackDownloadInitialDelay DormantClientTimeout \
         DoSCircuitCreationDefenseTimePeriod DoSConnectionConnectDefenseTimePeriod \
         GuardLifetime HeartbeatPeriod KeepalivePeriod MaxCircuitDirtiness \
         MaxConsensusAgeForDiffs MinUptimeHidServDirectoryV2 NewCircuitPeriod \
         RephistTrackTime ShutdownWaitLength SigningKeyLifetime SocksTimeout \
         SSLKeyLifetime TestingAuthDirTimeToLearnReachability TestingAuthKeyLifetime \
         TestingAuthKeySlop TestingBridgeBootstrapDownloadInitialDelay \
         TestingBridgeDownloadInitialDelay TestingClientConsensusDownloadInitialDelay \
         TestingClientDownloadInitialDelay TestingClientMaxIntervalWithoutRequest \
         TestingDirConnectionMaxStall TestingLinkCertLifetime TestingLinkKeySlop \
         TestingMinTimeToReportBandwidth TestingServerConsensusDownloadInitialDelay \
         TestingServerDownloadInitialDelay TestingSigningKeySlop \
         TestingV3AuthInitialDistDelay TestingV3AuthInitialVoteDelay \
         TestingV3AuthInitialVotingInterval TestingV3AuthVotingStartOffset \
         TrackHostExitsExpire V3AuthDistDelay V3AuthVoteDelay V3AuthVotingInterval",
    ),
    (
        OptionType::TimeMsecInterval,
        "KISTSchedRunInterval LogTimeGranularity MaxOnionQueueDelay \
         TokenBucketRefillInterval",
    ),
    (
        OptionType::Virtual,
        "ControlPortLines DirPortLines DNSPortLines ExtORPortLines HiddenServiceOptions \
         HTTPTunnelPortLines MetricsPortLines NATDPortLines ORPortLines SocksPortLines \
         TransPortLines",
    ),
];

#[cfg(test)]
mod tests {
    use super::KNOWN_OPTIONS;
    use crate::names::secret::is_secret;

    #[test]
    fn the_options_with_a_secret_are_hidden_and_no_others() {
        let names = KNOWN_OPTIONS.iter().flat_map(|(_, names)| names.split_ascii_whitespace());
        let mut secret: Vec<_> = names.filter(is_secret).collect();
        secret.sort_unstable();
        let expected = [
            "AlternateBridgeAuthority",
            "Bridge",
            "BridgePassword",
            "ClientTransportPlugin",
            "HTTPProxyAuthenticator",
            "HTTPSProxyAuthenticator",
            "HashedControlPassword",
            "ServerTransportOptions",
            "ServerTransportPlugin",
            "Socks5ProxyPassword",
            "Socks5ProxyUsername",
            "__HashedControlSessionPassword",
        ];
        assert_eq!(secret, expected);
    }
}
