//! Circuits: identifiers, statuses, purposes and reasons.

super::identifier::identifiers! {
    /// The identifier of a circuit, unique in the life of a tor.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CircuitId;
    ///
    /// let id: CircuitId = "17".parse()?;
    /// assert_eq!(id, CircuitId::from(17));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub struct CircuitId = "circuit id";
}

super::keywords! {
    /// The status of a circuit.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CircuitStatus;
    ///
    /// assert_eq!(CircuitStatus::from("GUARD_WAIT"), CircuitStatus::GuardWait);
    /// assert_eq!(CircuitStatus::GuardWait.as_str(), "GUARD_WAIT");
    /// assert!(!CircuitStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum CircuitStatus {
        /// The circuit was launched.
        Launched = "LAUNCHED",
        /// All hops are built; tor waits in case a better guard becomes usable.
        GuardWait = "GUARD_WAIT",
        /// All hops are built; the circuit can carry streams.
        Built = "BUILT",
        /// The circuit was extended by one hop.
        Extended = "EXTENDED",
        /// The circuit ended before it was built.
        Failed = "FAILED",
        /// The circuit ended.
        Closed = "CLOSED",
    }
}

super::keywords! {
    /// The purpose of a circuit.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CircuitPurpose;
    ///
    /// assert_eq!(CircuitPurpose::from("HS_CLIENT_HSDIR"), CircuitPurpose::HsClientHsdir);
    /// assert_eq!(CircuitPurpose::HsClientHsdir.as_str(), "HS_CLIENT_HSDIR");
    /// assert!(!CircuitPurpose::from("FUTURE").is_recognized());
    /// ```
    pub enum CircuitPurpose {
        /// Client streams and directory requests.
        General = "GENERAL",
        /// A client fetches the descriptor of an onion service.
        HsClientHsdir = "HS_CLIENT_HSDIR",
        /// A client's circuit to an introduction point.
        HsClientIntro = "HS_CLIENT_INTRO",
        /// A client's circuit to a rendezvous point.
        HsClientRend = "HS_CLIENT_REND",
        /// An onion service uploads its descriptor.
        HsServiceHsdir = "HS_SERVICE_HSDIR",
        /// An onion service's circuit to its introduction point.
        HsServiceIntro = "HS_SERVICE_INTRO",
        /// An onion service's circuit to a rendezvous point.
        HsServiceRend = "HS_SERVICE_REND",
        /// A relay tests whether it can be reached.
        Testing = "TESTING",
        /// Reserved for controllers; tor does not attach streams to it.
        Controller = "CONTROLLER",
        /// Kept after its build timeout, to measure how long building takes.
        MeasureTimeout = "MEASURE_TIMEOUT",
        /// Built pre-emptively for onion services, with vanguards.
        HsVanguards = "HS_VANGUARDS",
        /// Tests whether a guard fails circuits on purpose.
        PathBiasTesting = "PATH_BIAS_TESTING",
        /// Kept open after its use, only to send padding.
        CircuitPadding = "CIRCUIT_PADDING",
        /// A conflux leg that is not linked yet.
        ConfluxUnlinked = "CONFLUX_UNLINKED",
        /// A linked conflux leg; client streams use such circuits by default.
        ConfluxLinked = "CONFLUX_LINKED",
        /// Another tor launched the circuit.
        Server = "SERVER",
    }
}

super::keywords! {
    /// Why a circuit ended: tor's own reason, or the one that the next hop sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CircuitReason;
    ///
    /// assert_eq!(CircuitReason::from("TORPROTOCOL"), CircuitReason::TorProtocol);
    /// assert_eq!(CircuitReason::TorProtocol.as_str(), "TORPROTOCOL");
    /// assert!(!CircuitReason::from("FUTURE").is_recognized());
    /// ```
    pub enum CircuitReason {
        /// No reason was given.
        None = "NONE",
        /// A protocol violation.
        TorProtocol = "TORPROTOCOL",
        /// An internal error.
        Internal = "INTERNAL",
        /// A client requested it by a `TRUNCATE` cell.
        Requested = "REQUESTED",
        /// The relay is hibernating to stay within its bandwidth limit.
        Hibernating = "HIBERNATING",
        /// Out of memory, sockets or circuit identifiers.
        ResourceLimit = "RESOURCELIMIT",
        /// The relay could not be reached.
        ConnectFailed = "CONNECTFAILED",
        /// The relay was reached, but its identity was not the expected one.
        OrIdentity = "OR_IDENTITY",
        /// The connection that carried the circuit ended; the specification calls this
        /// `OR_CONN_CLOSED`.
        ChannelClosed = "CHANNEL_CLOSED",
        /// The connection that carried the circuit ended, as very old versions of tor report it.
        OrConnClosed = "OR_CONN_CLOSED",
        /// The circuit was old and no longer used.
        Finished = "FINISHED",
        /// Building the circuit took too long.
        Timeout = "TIMEOUT",
        /// A `DESTROY` cell arrived; the remote reason gives the cause.
        Destroyed = "DESTROYED",
        /// No path could be chosen.
        NoPath = "NOPATH",
        /// The onion service does not exist.
        NoSuchService = "NOSUCHSERVICE",
        /// The circuit was kept only to measure its build time, which is known now.
        MeasurementExpired = "MEASUREMENT_EXPIRED",
        /// Another introduction point was faster.
        IpNowRedundant = "IP_NOW_REDUNDANT",
        /// This tor ended the circuit.
        Origin = "ORIGIN",
    }
}

super::keywords! {
    /// A requirement that tor had for a circuit when it launched it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BuildFlag;
    ///
    /// assert_eq!(BuildFlag::from("IS_INTERNAL"), BuildFlag::IsInternal);
    /// assert_eq!(BuildFlag::IsInternal.as_str(), "IS_INTERNAL");
    /// assert!(!BuildFlag::from("FUTURE").is_recognized());
    /// ```
    pub enum BuildFlag {
        /// One hop only, for directory requests.
        OneHopTunnel = "ONEHOP_TUNNEL",
        /// No exit is needed.
        IsInternal = "IS_INTERNAL",
        /// Only relays of high capacity.
        NeedCapacity = "NEED_CAPACITY",
        /// Only relays of long uptime.
        NeedUptime = "NEED_UPTIME",
    }
}

super::keywords! {
    /// The state of an onion service circuit, on the client's or the service's side.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::HsState;
    ///
    /// assert_eq!(HsState::from("HSCI_INTRO_SENT"), HsState::ClientIntroSent);
    /// assert_eq!(HsState::ClientIntroSent.as_str(), "HSCI_INTRO_SENT");
    /// assert!(!HsState::from("FUTURE").is_recognized());
    /// ```
    pub enum HsState {
        /// Client to introduction point: connecting.
        ClientIntroConnecting = "HSCI_CONNECTING",
        /// Client to introduction point: the introduction was sent and is not acknowledged yet.
        ClientIntroSent = "HSCI_INTRO_SENT",
        /// Client to introduction point: acknowledged; the circuit closes.
        ClientIntroDone = "HSCI_DONE",
        /// Client to rendezvous point: connecting.
        ClientRendConnecting = "HSCR_CONNECTING",
        /// Client to rendezvous point: established; the introduction was not sent yet.
        ClientRendIdle = "HSCR_ESTABLISHED_IDLE",
        /// Client to rendezvous point: established, waiting for the service.
        ClientRendWaiting = "HSCR_ESTABLISHED_WAITING",
        /// Client to rendezvous point: connected to the service.
        ClientRendJoined = "HSCR_JOINED",
        /// Service to introduction point: connecting.
        ServiceIntroConnecting = "HSSI_CONNECTING",
        /// Service to introduction point: established.
        ServiceIntroEstablished = "HSSI_ESTABLISHED",
        /// Service to rendezvous point: connecting.
        ServiceRendConnecting = "HSSR_CONNECTING",
        /// Service to rendezvous point: connected to the client.
        ServiceRendJoined = "HSSR_JOINED",
    }
}

super::keywords! {
    /// The change of a circuit that a `CIRC_MINOR` event reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::CircMinorChange;
    ///
    /// assert_eq!(CircMinorChange::from("CANNIBALIZED"), CircMinorChange::Cannibalized);
    /// assert_eq!(CircMinorChange::Cannibalized.as_str(), "CANNIBALIZED");
    /// assert!(!CircMinorChange::from("FUTURE").is_recognized());
    /// ```
    pub enum CircMinorChange {
        /// The purpose or the onion service state of the circuit changed.
        PurposeChanged = "PURPOSE_CHANGED",
        /// The circuit was cannibalized: it gets another purpose and is extended.
        Cannibalized = "CANNIBALIZED",
    }
}

super::keywords! {
    /// Why tor changed the circuit build timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BuildTimeoutAction;
    ///
    /// assert_eq!(BuildTimeoutAction::from("RESET"), BuildTimeoutAction::Reset);
    /// assert_eq!(BuildTimeoutAction::Reset.as_str(), "RESET");
    /// assert!(!BuildTimeoutAction::from("FUTURE").is_recognized());
    /// ```
    pub enum BuildTimeoutAction {
        /// It was computed from the build times of circuits.
        Computed = "COMPUTED",
        /// It was reset to its initial value: the network changed.
        Reset = "RESET",
        /// It is suspended while the network is down.
        Suspended = "SUSPENDED",
        /// Build times measured while the network was down were discarded.
        Discard = "DISCARD",
        /// It is in use again.
        Resume = "RESUME",
    }
}
