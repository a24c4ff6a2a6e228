//! The methods of each type of event that read a field.

/// Calls a macro with every type of event: its variant, its methods that return a value, and, in
/// brackets, those that return an iterator.
macro_rules! for_each_event {
    ($callback:ident) => {
        $callback! {
            Bw(BwEvent) { bytes_read bytes_written } []
            Circ(CircEvent) {
                id status path build_flags purpose hs_state rend_query time_created reason
                remote_reason socks_username socks_password hs_pow conflux_id conflux_rtt
            } []
            Stream(StreamEvent) {
                id status circuit target reason remote_reason source source_addr purpose
                socks_username socks_password client_protocol nym_epoch session_group iso_fields
            } []
            OrConn(OrConnEvent) { peer status reason circuits id } []
            Log(LogEvent) { severity message } []
            Status(StatusEvent) { area severity action bootstrap detail } [arguments]
            HsDesc(HsDescEvent) {
                action address auth hsdir descriptor_id hsdir_index replica reason
            } []
            ConfChanged(ConfChangedEvent) {} [changes]
            Signal(SignalEvent) { signal } []
            CircMinor(CircMinorEvent) {
                id change path build_flags purpose hs_state rend_query time_created
                socks_username socks_password hs_pow conflux_id conflux_rtt old_purpose
                old_hs_state old_time_created
            } []
            StreamBw(StreamBwEvent) { id bytes_written bytes_read time } []
            CircBw(CircBwEvent) {
                id bytes_read bytes_written time delivered_read overhead_read delivered_written
                overhead_written slow_start congestion_window rtt min_rtt
            } []
            ConnBw(ConnBwEvent) { id connection_type bytes_read bytes_written } []
            CellStats(CellStatsEvent) { id inbound outbound } []
            TbEmpty(TbEmptyEvent) {
                bucket id read_bucket_empty write_bucket_empty last_refill
            } []
            ClientsSeen(ClientsSeenEvent) { time_started countries ip_versions } []
            NewDesc(NewDescEvent) { relays } []
            DescChanged(DescChangedEvent) {} []
            Ns(NsEvent) {} []
            NewConsensus(NewConsensusEvent) {} []
            AddrMap(AddrMapEvent) {
                address new_address local_expiry expires error cached stream
            } []
            Guard(GuardEvent) { guard_type relay status } []
            BuildTimeoutSet(BuildTimeoutSetEvent) {
                action total_times timeout xm alpha cutoff_quantile timeout_rate close close_rate
            } []
            NetworkLiveness(NetworkLivenessEvent) { status } []
            TransportLaunched(TransportLaunchedEvent) { transport_type name address } []
            PtLog(PtLogEvent) { pt severity message } []
            PtStatus(PtStatusEvent) {
                pt transport connect address status_type version implementation
            } []
            HsDescContent(HsDescContentEvent) { address descriptor_id hsdir descriptor } []
        }
    };
}
pub(crate) use for_each_event;
