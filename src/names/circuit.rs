//! Circuits: their identifiers, states, purposes and ends.

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
    /// The state of a circuit.
    pub enum CircuitStatus {
        /// The circuit has been begun.
        Launched = "LAUNCHED",
        /// All hops are there, but the guard may not be the best one, so tor waits.
        GuardWait = "GUARD_WAIT",
        /// All hops are there; the circuit can carry streams.
        Built = "BUILT",
        /// One more hop is there.
        Extended = "EXTENDED",
        /// The circuit ended before it was built.
        Failed = "FAILED",
        /// The circuit ended.
        Closed = "CLOSED",
    }
}

super::keywords! {
    /// What tor uses a circuit for.
    pub enum CircuitPurpose {
        /// Streams of clients, and requests to directories.
        General = "GENERAL",
        /// A client fetches the descriptor of an onion service.
        HsClientHsdir = "HS_CLIENT_HSDIR",
        /// A client speaks to the introduction point of an onion service.
        HsClientIntro = "HS_CLIENT_INTRO",
        /// A client meets an onion service.
        HsClientRend = "HS_CLIENT_REND",
        /// An onion service uploads its descriptor.
        HsServiceHsdir = "HS_SERVICE_HSDIR",
        /// An onion service waits at its introduction point.
        HsServiceIntro = "HS_SERVICE_INTRO",
        /// An onion service meets a client.
        HsServiceRend = "HS_SERVICE_REND",
        /// A relay tests whether it can be reached.
        Testing = "TESTING",
        /// A circuit of a controller, for which tor has no use of its own.
        Controller = "CONTROLLER",
        /// Kept after it took too long, only to measure how long it takes.
        MeasureTimeout = "MEASURE_TIMEOUT",
        /// Built beforehand for onion services, with layers of guards.
        HsVanguards = "HS_VANGUARDS",
        /// Tests whether a guard fails circuits on purpose.
        PathBiasTesting = "PATH_BIAS_TESTING",
        /// Kept open after its use, only to send padding.
        CircuitPadding = "CIRCUIT_PADDING",
        /// One leg of a pair that shares its traffic, not joined yet.
        ConfluxUnlinked = "CONFLUX_UNLINKED",
        /// One leg of a pair that shares its traffic: by default the streams of clients.
        ConfluxLinked = "CONFLUX_LINKED",
        /// Another tor began the circuit.
        Server = "SERVER",
    }
}

super::keywords! {
    /// Why a circuit ended; also the reason that its last hop gave.
    pub enum CircuitReason {
        /// None was given.
        None = "NONE",
        /// Somebody violated the protocol.
        TorProtocol = "TORPROTOCOL",
        /// An internal error.
        Internal = "INTERNAL",
        /// A client asked for it with a `TRUNCATE`.
        Requested = "REQUESTED",
        /// The relay is not working at this time, to save bandwidth.
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
        /// The connection that carried the circuit ended, as very old versions of tor say it.
        OrConnClosed = "OR_CONN_CLOSED",
        /// The circuit was old and no longer used.
        Finished = "FINISHED",
        /// Building the circuit took too long.
        Timeout = "TIMEOUT",
        /// The next hop ended it; its reason is the remote one.
        Destroyed = "DESTROYED",
        /// Not enough relays for a path.
        NoPath = "NOPATH",
        /// The onion service does not exist.
        NoSuchService = "NOSUCHSERVICE",
        /// It was kept for measuring, and has been measured.
        MeasurementExpired = "MEASUREMENT_EXPIRED",
        /// Another introduction point was quicker.
        IpNowRedundant = "IP_NOW_REDUNDANT",
        /// Local: this tor ended it.
        Origin = "ORIGIN",
    }
}

super::keywords! {
    /// A demand that tor made on a circuit when it began it.
    pub enum BuildFlag {
        /// One hop only, for requests to directories.
        OneHopTunnel = "ONEHOP_TUNNEL",
        /// Does not leave the network.
        IsInternal = "IS_INTERNAL",
        /// Only relays of high capacity.
        NeedCapacity = "NEED_CAPACITY",
        /// Only relays of long uptime.
        NeedUptime = "NEED_UPTIME",
    }
}

super::keywords! {
    /// How far a circuit of an onion service, or to one, has come.
    pub enum HsState {
        /// Client to introduction point: connecting.
        ClientIntroConnecting = "HSCI_CONNECTING",
        /// Client to introduction point: the introduction was sent, no answer yet.
        ClientIntroSent = "HSCI_INTRO_SENT",
        /// Client to introduction point: answered, the circuit closes.
        ClientIntroDone = "HSCI_DONE",
        /// Client to rendezvous point: connecting.
        ClientRendConnecting = "HSCR_CONNECTING",
        /// Client to rendezvous point: ready, the service has not been told.
        ClientRendIdle = "HSCR_ESTABLISHED_IDLE",
        /// Client to rendezvous point: ready, waiting for the service.
        ClientRendWaiting = "HSCR_ESTABLISHED_WAITING",
        /// Client to rendezvous point: connected to the service.
        ClientRendJoined = "HSCR_JOINED",
        /// Service to introduction point: connecting.
        ServiceIntroConnecting = "HSSI_CONNECTING",
        /// Service to introduction point: ready for clients.
        ServiceIntroEstablished = "HSSI_ESTABLISHED",
        /// Service to rendezvous point: connecting.
        ServiceRendConnecting = "HSSR_CONNECTING",
        /// Service to rendezvous point: connected to the client.
        ServiceRendJoined = "HSSR_JOINED",
    }
}

super::keywords! {
    /// What has changed about a circuit whose state is what it was.
    pub enum CircuitChange {
        /// Its purpose, or how far it has come as a circuit of onion services.
        PurposeChanged = "PURPOSE_CHANGED",
        /// It was taken for something else than it had been built for, and will be extended.
        Cannibalized = "CANNIBALIZED",
    }
}

super::keywords! {
    /// Why tor has set the time that circuits may take to build.
    pub enum BuildTimeoutAction {
        /// It was computed from the times of earlier circuits.
        Computed = "COMPUTED",
        /// It is back at its beginning, since tor or the network is another than before.
        Reset = "RESET",
        /// It is not used for now, since the network cannot be reached.
        Suspended = "SUSPENDED",
        /// The times of circuits that were built while the network was gone were dropped.
        Discard = "DISCARD",
        /// It is used again.
        Resume = "RESUME",
    }
}
