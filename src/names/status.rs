//! Keywords of tor's status events.

super::keywords! {
    /// The action of a status event.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StatusAction;
    ///
    /// assert_eq!(StatusAction::from("CIRCUIT_ESTABLISHED"), StatusAction::CircuitEstablished);
    /// assert_eq!(StatusAction::CircuitEstablished.as_str(), "CIRCUIT_ESTABLISHED");
    /// assert!(!StatusAction::from("FUTURE").is_recognized());
    /// ```
    pub enum StatusAction {
        /// Bootstrap progress.
        Bootstrap = "BOOTSTRAP",
        /// tor can build circuits.
        CircuitEstablished = "CIRCUIT_ESTABLISHED",
        /// tor can no longer build circuits.
        CircuitNotEstablished = "CIRCUIT_NOT_ESTABLISHED",
        /// A new consensus arrived.
        ConsensusArrived = "CONSENSUS_ARRIVED",
        /// tor knows enough relays to build circuits.
        EnoughDirInfo = "ENOUGH_DIR_INFO",
        /// tor knows too few relays to build circuits.
        NotEnoughDirInfo = "NOT_ENOUGH_DIR_INFO",
        /// An application connects to a port whose protocol sends data in the clear.
        DangerousPort = "DANGEROUS_PORT",
        /// An application asked for an IP address, so it may have resolved the name outside of Tor.
        DangerousSocks = "DANGEROUS_SOCKS",
        /// An application sent something that is not SOCKS.
        SocksUnknownProtocol = "SOCKS_UNKNOWN_PROTOCOL",
        /// An application asked for an invalid host name.
        SocksBadHostname = "SOCKS_BAD_HOSTNAME",
        /// tor found a bug in itself.
        Bug = "BUG",
        /// The clock jumped.
        ClockJumped = "CLOCK_JUMPED",
        /// The clock is wrong.
        ClockSkew = "CLOCK_SKEW",
        /// This version of tor should not be used.
        DangerousVersion = "DANGEROUS_VERSION",
        /// tor is out of sockets.
        TooManyConnections = "TOO_MANY_CONNECTIONS",
        /// libevent has a known fault, as very old versions of tor report it.
        BadLibevent = "BAD_LIBEVENT",
        /// No directory can be reached.
        DirAllUnreachable = "DIR_ALL_UNREACHABLE",
        /// The relay learned its external address, or the address changed.
        ExternalAddress = "EXTERNAL_ADDRESS",
        /// The relay tests whether it can be reached.
        CheckingReachability = "CHECKING_REACHABILITY",
        /// The relay can be reached.
        ReachabilitySucceeded = "REACHABILITY_SUCCEEDED",
        /// The relay cannot be reached.
        ReachabilityFailed = "REACHABILITY_FAILED",
        /// The directories accept the descriptor of the relay.
        GoodServerDescriptor = "GOOD_SERVER_DESCRIPTOR",
        /// A directory accepted the descriptor of the relay.
        AcceptedServerDescriptor = "ACCEPTED_SERVER_DESCRIPTOR",
        /// A directory rejected the descriptor of the relay.
        BadServerDescriptor = "BAD_SERVER_DESCRIPTOR",
        /// The relay was added to the consensus or removed from it; no tor sends this yet.
        ServerDescriptorStatus = "SERVER_DESCRIPTOR_STATUS",
        /// A name server of the relay went up or down.
        NameserverStatus = "NAMESERVER_STATUS",
        /// No name server of the relay answers.
        NameserverAllDown = "NAMESERVER_ALL_DOWN",
        /// The relay's name server invents answers.
        DnsHijacked = "DNS_HIJACKED",
        /// The relay's name server gives no useful answers.
        DnsUseless = "DNS_USELESS",
        /// The relay began or ended hibernating, to stay within its bandwidth limit.
        HibernationStatus = "HIBERNATION_STATUS",
    }
}

super::keywords! {
    /// A phase of tor's bootstrap. Phases may be skipped.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BootstrapTag;
    ///
    /// assert_eq!(BootstrapTag::from("conn_pt"), BootstrapTag::ConnPt);
    /// assert_eq!(BootstrapTag::ConnPt.as_str(), "conn_pt");
    /// assert!(!BootstrapTag::from("FUTURE").is_recognized());
    /// ```
    pub enum BootstrapTag {
        /// 0: tor starts.
        Starting = "starting",
        /// 1: connecting to the pluggable transport.
        ConnPt = "conn_pt",
        /// 2: connected to the pluggable transport.
        ConnDonePt = "conn_done_pt",
        /// 3: connecting to the proxy.
        ConnProxy = "conn_proxy",
        /// 4: connected to the proxy.
        ConnDoneProxy = "conn_done_proxy",
        /// 5: connecting to a relay.
        Conn = "conn",
        /// 10: connected to a relay.
        ConnDone = "conn_done",
        /// 14: shaking hands with a relay.
        Handshake = "handshake",
        /// 15: the handshake is done.
        HandshakeDone = "handshake_done",
        /// 20: building the connection to a directory.
        OnehopCreate = "onehop_create",
        /// 25: asking for the consensus.
        RequestingStatus = "requesting_status",
        /// 30: loading the consensus.
        LoadingStatus = "loading_status",
        /// 40: loading the keys of the authorities.
        LoadingKeys = "loading_keys",
        /// 45: asking for the descriptors of relays.
        RequestingDescriptors = "requesting_descriptors",
        /// 50 to 74: loading the descriptors of relays.
        LoadingDescriptors = "loading_descriptors",
        /// 75: enough relays are known to build circuits.
        EnoughDirInfo = "enough_dirinfo",
        /// 76: connecting to the pluggable transport, to build circuits.
        ApConnPt = "ap_conn_pt",
        /// 77: connected to the pluggable transport, to build circuits.
        ApConnDonePt = "ap_conn_done_pt",
        /// 78: connecting to the proxy, to build circuits.
        ApConnProxy = "ap_conn_proxy",
        /// 79: connected to the proxy, to build circuits.
        ApConnDoneProxy = "ap_conn_done_proxy",
        /// 80: connecting to a relay, to build circuits.
        ApConn = "ap_conn",
        /// 85: connected to a relay, to build circuits.
        ApConnDone = "ap_conn_done",
        /// 89: shaking hands with a relay, to build circuits.
        ApHandshake = "ap_handshake",
        /// 90: the handshake is done, to build circuits.
        ApHandshakeDone = "ap_handshake_done",
        /// 95: building a circuit.
        CircuitCreate = "circuit_create",
        /// 100: the first circuit is built.
        Done = "done",
    }
}

super::keywords! {
    /// tor's recommendation about a bootstrap problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::Recommendation;
    ///
    /// assert_eq!(Recommendation::from("warn"), Recommendation::Warn);
    /// assert_eq!(Recommendation::Warn.as_str(), "warn");
    /// assert!(!Recommendation::from("FUTURE").is_recognized());
    /// ```
    pub enum Recommendation {
        /// Nothing: it may resolve without help.
        Ignore = "ignore",
        /// Tell the user.
        Warn = "warn",
    }
}

super::keywords! {
    /// Why a version of tor should not be used.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::VersionReason;
    ///
    /// assert_eq!(VersionReason::from("OBSOLETE"), VersionReason::Obsolete);
    /// assert_eq!(VersionReason::Obsolete.as_str(), "OBSOLETE");
    /// assert!(!VersionReason::from("FUTURE").is_recognized());
    /// ```
    pub enum VersionReason {
        /// It is newer than every recommended one.
        New = "NEW",
        /// It is older than every recommended one.
        Obsolete = "OBSOLETE",
        /// It is older than every recommended one, as very old versions of tor report it.
        Old = "OLD",
        /// Some recommended ones are newer, and some are older.
        Unrecommended = "UNRECOMMENDED",
    }
}

super::keywords! {
    /// The source of the time by which tor found that the clock is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClockSourceType;
    ///
    /// assert_eq!(ClockSourceType::from("NETWORKSTATUS"), ClockSourceType::NetworkStatus);
    /// assert_eq!(ClockSourceType::NetworkStatus.as_str(), "NETWORKSTATUS");
    /// assert!(!ClockSourceType::from("FUTURE").is_recognized());
    /// ```
    pub enum ClockSourceType {
        /// A connection to a directory.
        Dirserv = "DIRSERV",
        /// A network status of a version that is no longer in use.
        NetworkStatus = "NETWORKSTATUS",
        /// A connection to a relay.
        Or = "OR",
        /// The consensus.
        Consensus = "CONSENSUS",
    }
}

super::keywords! {
    /// How bad a bug of libevent is.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::LibeventBadness;
    ///
    /// assert_eq!(LibeventBadness::from("BUGGY"), LibeventBadness::Buggy);
    /// assert_eq!(LibeventBadness::Buggy.as_str(), "BUGGY");
    /// assert!(!LibeventBadness::from("FUTURE").is_recognized());
    /// ```
    pub enum LibeventBadness {
        /// It does not work.
        Broken = "BROKEN",
        /// It may work.
        Buggy = "BUGGY",
        /// It works slowly.
        Slow = "SLOW",
    }
}

super::keywords! {
    /// tor's action on a stream to a dangerous port.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PortResult;
    ///
    /// assert_eq!(PortResult::from("WARN"), PortResult::Warn);
    /// assert_eq!(PortResult::Warn.as_str(), "WARN");
    /// assert!(!PortResult::from("FUTURE").is_recognized());
    /// ```
    pub enum PortResult {
        /// tor refused the stream.
        Reject = "REJECT",
        /// tor allowed the stream.
        Warn = "WARN",
    }
}

super::keywords! {
    /// How a relay learned its address.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::AddressMethod;
    ///
    /// assert_eq!(AddressMethod::from("CONFIGURED_ORPORT"), AddressMethod::ConfiguredOrport);
    /// assert_eq!(AddressMethod::ConfiguredOrport.as_str(), "CONFIGURED_ORPORT");
    /// assert!(!AddressMethod::from("FUTURE").is_recognized());
    /// ```
    pub enum AddressMethod {
        /// From the option `Address`.
        Configured = "CONFIGURED",
        /// From the option `ORPort`.
        ConfiguredOrport = "CONFIGURED_ORPORT",
        /// From a directory.
        Dirserv = "DIRSERV",
        /// By resolving the name in the option `Address`.
        Resolved = "RESOLVED",
        /// From a network interface.
        Interface = "INTERFACE",
        /// By resolving the name of this host.
        Gethostname = "GETHOSTNAME",
    }
}

super::keywords! {
    /// Whether a relay is in the consensus.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::DescriptorListing;
    ///
    /// assert_eq!(DescriptorListing::from("UNLISTED"), DescriptorListing::Unlisted);
    /// assert_eq!(DescriptorListing::Unlisted.as_str(), "UNLISTED");
    /// assert!(!DescriptorListing::from("FUTURE").is_recognized());
    /// ```
    pub enum DescriptorListing {
        /// The relay is in the consensus.
        Listed = "LISTED",
        /// The relay is no longer in the consensus.
        Unlisted = "UNLISTED",
    }
}

super::keywords! {
    /// Whether a name server answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::NameserverStatus;
    ///
    /// assert_eq!(NameserverStatus::from("DOWN"), NameserverStatus::Down);
    /// assert_eq!(NameserverStatus::Down.as_str(), "DOWN");
    /// assert!(!NameserverStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum NameserverStatus {
        /// The name server answers.
        Up = "UP",
        /// The name server does not answer.
        Down = "DOWN",
    }
}

super::keywords! {
    /// The hibernation state of a relay.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::HibernationStatus;
    ///
    /// assert_eq!(HibernationStatus::from("SOFT"), HibernationStatus::Soft);
    /// assert_eq!(HibernationStatus::Soft.as_str(), "SOFT");
    /// assert!(!HibernationStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum HibernationStatus {
        /// Awake.
        Awake = "AWAKE",
        /// Accepts no new connections.
        Soft = "SOFT",
        /// Hibernating.
        Hard = "HARD",
        /// About to exit, as after `SIGNAL SHUTDOWN`.
        Exiting = "EXITING",
    }
}
