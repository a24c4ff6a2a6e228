//! What tor says of its own condition.

super::keywords! {
    /// What a status event reports.
    pub enum StatusAction {
        /// How far tor has come on its way to its first circuit.
        Bootstrap = "BOOTSTRAP",
        /// tor can build circuits.
        CircuitEstablished = "CIRCUIT_ESTABLISHED",
        /// tor can no longer build circuits.
        CircuitNotEstablished = "CIRCUIT_NOT_ESTABLISHED",
        /// A new consensus is there.
        ConsensusArrived = "CONSENSUS_ARRIVED",
        /// tor knows enough relays to build circuits.
        EnoughDirInfo = "ENOUGH_DIR_INFO",
        /// tor knows too few relays to build circuits.
        NotEnoughDirInfo = "NOT_ENOUGH_DIR_INFO",
        /// An application asked for a port whose protocol does not protect its user.
        DangerousPort = "DANGEROUS_PORT",
        /// An application asked for an address, so it may have leaked the name.
        DangerousSocks = "DANGEROUS_SOCKS",
        /// An application speaks something else than SOCKS.
        SocksUnknownProtocol = "SOCKS_UNKNOWN_PROTOCOL",
        /// An application asked for a host name that cannot be one.
        SocksBadHostname = "SOCKS_BAD_HOSTNAME",
        /// tor found a fault in itself.
        Bug = "BUG",
        /// The clock made a jump.
        ClockJumped = "CLOCK_JUMPED",
        /// The clock is wrong.
        ClockSkew = "CLOCK_SKEW",
        /// This version of tor should not be used.
        DangerousVersion = "DANGEROUS_VERSION",
        /// tor has no sockets left.
        TooManyConnections = "TOO_MANY_CONNECTIONS",
        /// libevent has a known fault, as very old versions of tor say it.
        BadLibevent = "BAD_LIBEVENT",
        /// No directory can be reached.
        DirAllUnreachable = "DIR_ALL_UNREACHABLE",
        /// The address of the relay is known, or has changed.
        ExternalAddress = "EXTERNAL_ADDRESS",
        /// The relay tests whether it can be reached.
        CheckingReachability = "CHECKING_REACHABILITY",
        /// The relay can be reached.
        ReachabilitySucceeded = "REACHABILITY_SUCCEEDED",
        /// The relay cannot be reached.
        ReachabilityFailed = "REACHABILITY_FAILED",
        /// Directories take the descriptor of the relay.
        GoodServerDescriptor = "GOOD_SERVER_DESCRIPTOR",
        /// A directory took the descriptor of the relay.
        AcceptedServerDescriptor = "ACCEPTED_SERVER_DESCRIPTOR",
        /// A directory refused the descriptor of the relay.
        BadServerDescriptor = "BAD_SERVER_DESCRIPTOR",
        /// The relay came into the consensus or left it; no tor sends this yet.
        ServerDescriptorStatus = "SERVER_DESCRIPTOR_STATUS",
        /// A name server of the relay came or went.
        NameserverStatus = "NAMESERVER_STATUS",
        /// No name server of the relay answers.
        NameserverAllDown = "NAMESERVER_ALL_DOWN",
        /// The relay's name server invents answers.
        DnsHijacked = "DNS_HIJACKED",
        /// The relay's name server gives no useful answers.
        DnsUseless = "DNS_USELESS",
        /// The relay went to sleep or woke, to stay within its allowance.
        HibernationStatus = "HIBERNATION_STATUS",
    }
}

super::keywords! {
    /// A step of tor on its way to its first circuit. Steps may be skipped.
    pub enum BootstrapTag {
        /// 0: tor begins.
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
        /// 15: the handshake is over.
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
        /// 90: the handshake is over, to build circuits.
        ApHandshakeDone = "ap_handshake_done",
        /// 95: building a circuit.
        CircuitCreate = "circuit_create",
        /// 100: the first circuit is there.
        Done = "done",
    }
}

super::keywords! {
    /// What tor recommends to do about a problem of bootstrapping.
    pub enum Recommendation {
        /// Nothing: it may yet pass.
        Ignore = "ignore",
        /// Tell the user.
        Warn = "warn",
    }
}

super::keywords! {
    /// Why a version of tor should not be used.
    pub enum VersionReason {
        /// It is newer than every recommended one.
        New = "NEW",
        /// It is older than every recommended one.
        Obsolete = "OBSOLETE",
        /// It is older than every recommended one, as very old versions of tor say it.
        Old = "OLD",
        /// Some recommended ones are newer, and some are older.
        Unrecommended = "UNRECOMMENDED",
    }
}

super::keywords! {
    /// From what tor took the time when it found that the clock is wrong.
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
    /// How bad a fault of libevent is.
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
    /// What tor did with a stream to a dangerous port.
    pub enum PortResult {
        /// It refused it.
        Reject = "REJECT",
        /// It let it pass.
        Warn = "WARN",
    }
}

super::keywords! {
    /// How a relay found its address.
    pub enum AddressMethod {
        /// The option `Address` says it.
        Configured = "CONFIGURED",
        /// The option `ORPort` says it.
        ConfiguredOrport = "CONFIGURED_ORPORT",
        /// A directory said it.
        Dirserv = "DIRSERV",
        /// The name in the option `Address` was resolved.
        Resolved = "RESOLVED",
        /// A network interface has it.
        Interface = "INTERFACE",
        /// The name of this host was resolved.
        Gethostname = "GETHOSTNAME",
    }
}

super::keywords! {
    /// Whether a relay is in the consensus.
    pub enum DescriptorListing {
        /// It is.
        Listed = "LISTED",
        /// It is no longer.
        Unlisted = "UNLISTED",
    }
}

super::keywords! {
    /// Whether a name server answers.
    pub enum NameserverStatus {
        /// It does.
        Up = "UP",
        /// It does not.
        Down = "DOWN",
    }
}

super::keywords! {
    /// How far a relay has gone to sleep, to stay within its allowance or since it ends.
    pub enum HibernationStatus {
        /// It is awake.
        Awake = "AWAKE",
        /// It takes no new connections.
        Soft = "SOFT",
        /// It is asleep.
        Hard = "HARD",
        /// It is about to end, as after `SIGNAL SHUTDOWN`.
        Exiting = "EXITING",
    }
}
