//! The kinds of events.

crate::names::keywords! {
    /// A kind of event, by the name under which tor subscribes to it and sends it.
    ///
    /// A tor may offer fewer or more kinds: ask it with `GETINFO events/names`. A kind that this
    /// version does not know can be subscribed to all the same, as
    /// `EventKind::from("NEW_KIND")`.
    #[doc(alias = "EventType")]
    pub enum EventKind {
        /// A circuit changed its state: [`CircEvent`](crate::event::CircEvent).
        Circ = "CIRC",
        /// A circuit changed its purpose: [`CircMinorEvent`](crate::event::CircMinorEvent).
        CircMinor = "CIRC_MINOR",
        /// A stream changed its state: [`StreamEvent`](crate::event::StreamEvent).
        Stream = "STREAM",
        /// A connection to a relay changed its state: [`OrConnEvent`](crate::event::OrConnEvent).
        OrConn = "ORCONN",
        /// Bytes of the last second: [`BwEvent`](crate::event::BwEvent).
        Bw = "BW",
        /// A line of the log: [`LogEvent`](crate::event::LogEvent).
        Debug = "DEBUG",
        /// A line of the log: [`LogEvent`](crate::event::LogEvent).
        Info = "INFO",
        /// A line of the log: [`LogEvent`](crate::event::LogEvent).
        Notice = "NOTICE",
        /// A line of the log: [`LogEvent`](crate::event::LogEvent).
        Warn = "WARN",
        /// A line of the log: [`LogEvent`](crate::event::LogEvent).
        Err = "ERR",
        /// Descriptors of relays have come: [`NewDescEvent`](crate::event::NewDescEvent).
        NewDesc = "NEWDESC",
        /// A name or address was mapped to another: [`AddrMapEvent`](crate::event::AddrMapEvent).
        AddrMap = "ADDRMAP",
        /// The descriptor of this relay has changed:
        /// [`DescChangedEvent`](crate::event::DescChangedEvent).
        DescChanged = "DESCCHANGED",
        /// The status of relays has changed: [`NsEvent`](crate::event::NsEvent).
        Ns = "NS",
        /// The condition of tor: [`StatusEvent`](crate::event::StatusEvent).
        StatusGeneral = "STATUS_GENERAL",
        /// The condition of tor as a client: [`StatusEvent`](crate::event::StatusEvent).
        StatusClient = "STATUS_CLIENT",
        /// The condition of tor as a relay: [`StatusEvent`](crate::event::StatusEvent).
        StatusServer = "STATUS_SERVER",
        /// The set of guards has changed: [`GuardEvent`](crate::event::GuardEvent).
        Guard = "GUARD",
        /// Bytes of a stream: [`StreamBwEvent`](crate::event::StreamBwEvent).
        StreamBw = "STREAM_BW",
        /// Where a bridge's clients are from: [`ClientsSeenEvent`](crate::event::ClientsSeenEvent).
        ClientsSeen = "CLIENTS_SEEN",
        /// A new consensus is there, in full:
        /// [`NewConsensusEvent`](crate::event::NewConsensusEvent).
        NewConsensus = "NEWCONSENSUS",
        /// The time that circuits may take to build has changed:
        /// [`BuildTimeoutSetEvent`](crate::event::BuildTimeoutSetEvent).
        BuildTimeoutSet = "BUILDTIMEOUT_SET",
        /// tor received a signal: [`SignalEvent`](crate::event::SignalEvent).
        Signal = "SIGNAL",
        /// Options have changed: [`ConfChangedEvent`](crate::event::ConfChangedEvent).
        ConfChanged = "CONF_CHANGED",
        /// Bytes of a connection; only in test networks:
        /// [`ConnBwEvent`](crate::event::ConnBwEvent).
        ConnBw = "CONN_BW",
        /// Cells of a circuit; only in test networks:
        /// [`CellStatsEvent`](crate::event::CellStatsEvent).
        CellStats = "CELL_STATS",
        /// Bytes of a circuit: [`CircBwEvent`](crate::event::CircBwEvent).
        CircBw = "CIRC_BW",
        /// A pluggable transport has started:
        /// [`TransportLaunchedEvent`](crate::event::TransportLaunchedEvent).
        TransportLaunched = "TRANSPORT_LAUNCHED",
        /// A descriptor of an onion service is on its way:
        /// [`HsDescEvent`](crate::event::HsDescEvent).
        HsDesc = "HS_DESC",
        /// A descriptor of an onion service, in full:
        /// [`HsDescContentEvent`](crate::event::HsDescContentEvent).
        HsDescContent = "HS_DESC_CONTENT",
        /// The network can be reached, or no longer:
        /// [`NetworkLivenessEvent`](crate::event::NetworkLivenessEvent).
        NetworkLiveness = "NETWORK_LIVENESS",
        /// The allowance of a connection was used up; tor 0.4.9 does not offer it:
        /// [`TbEmptyEvent`](crate::event::TbEmptyEvent).
        TbEmpty = "TB_EMPTY",
        /// A line of the log of a pluggable transport; tor 0.4.9 does not offer it:
        /// [`PtLogEvent`](crate::event::PtLogEvent).
        PtLog = "PT_LOG",
        /// A message of a pluggable transport; tor 0.4.9 does not offer it:
        /// [`PtStatusEvent`](crate::event::PtStatusEvent).
        PtStatus = "PT_STATUS",
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn the_kinds_of_tor_0_4_9_are_known() {
        let names = "CIRC CIRC_MINOR STREAM ORCONN BW DEBUG INFO NOTICE WARN ERR NEWDESC ADDRMAP \
                     DESCCHANGED NS STATUS_GENERAL STATUS_CLIENT STATUS_SERVER GUARD STREAM_BW \
                     CLIENTS_SEEN NEWCONSENSUS BUILDTIMEOUT_SET SIGNAL CONF_CHANGED CONN_BW \
                     CELL_STATS CIRC_BW TRANSPORT_LAUNCHED HS_DESC HS_DESC_CONTENT \
                     NETWORK_LIVENESS";
        for name in names.split(' ') {
            assert!(EventKind::from(name).is_recognized(), "{name}");
        }
        assert_eq!(EventKind::KNOWN.len(), names.split(' ').count() + 3);
    }
}
