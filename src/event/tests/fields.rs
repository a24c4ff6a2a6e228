use crate::event::Event;

/// Writes the value of every method of an event that reads a field.
pub(super) fn shown(event: &Event) -> String {
    macro_rules! fields {
        ($event:expr, $($field:ident)*) => {{
            let mut text = String::new();
            $( text += &format!("{}: {:?}\n", stringify!($field), $event.$field()); )*
            text
        }};
    }
    match event {
        Event::Bw(event) => fields!(event, bytes_read bytes_written),
        Event::Circ(event) => fields!(
            event,
            id status path build_flags purpose hs_state rend_query time_created
            reason remote_reason socks_username socks_password hs_pow conflux_id
            conflux_rtt
        ),
        Event::Stream(event) => fields!(
            event,
            id status circuit target reason remote_reason source source_addr purpose
            socks_username socks_password client_protocol nym_epoch session_group
            iso_fields
        ),
        Event::OrConn(event) => fields!(event, peer status reason circuits id),
        Event::Log(event) => fields!(event, severity message),
        Event::Status(event) => {
            let arguments: Vec<_> = event.arguments().collect();
            fields!(event, area severity action bootstrap detail) + &format!("{arguments:?}\n")
        }
        Event::HsDesc(event) => fields!(
            event,
            action address auth hsdir descriptor_id hsdir_index replica reason
        ),
        Event::Signal(event) => fields!(event, signal),
        Event::CircMinor(event) => fields!(
            event,
            id change path build_flags purpose hs_state rend_query time_created
            socks_username socks_password hs_pow conflux_id conflux_rtt old_purpose
            old_hs_state old_time_created
        ),
        Event::StreamBw(event) => fields!(event, id bytes_written bytes_read time),
        Event::CircBw(event) => fields!(
            event,
            id bytes_read bytes_written time delivered_read overhead_read
            delivered_written overhead_written slow_start congestion_window rtt
            min_rtt
        ),
        Event::ConnBw(event) => fields!(event, id connection_type bytes_read bytes_written),
        Event::CellStats(event) => fields!(event, id inbound outbound),
        Event::TbEmpty(event) => fields!(
            event,
            bucket id read_bucket_empty write_bucket_empty last_refill
        ),
        Event::ClientsSeen(event) => fields!(event, time_started countries ip_versions),
        Event::NewDesc(event) => fields!(event, relays),
        Event::AddrMap(event) => fields!(
            event,
            address new_address local_expiry expires error cached stream
        ),
        Event::Guard(event) => fields!(event, guard_type relay status),
        Event::BuildTimeoutSet(event) => fields!(
            event,
            action total_times timeout xm alpha cutoff_quantile timeout_rate close
            close_rate
        ),
        Event::NetworkLiveness(event) => fields!(event, status),
        Event::TransportLaunched(event) => fields!(event, transport_type name address),
        Event::PtLog(event) => fields!(event, pt severity message),
        Event::PtStatus(event) => fields!(
            event,
            pt transport connect address status_type version implementation
        ),
        Event::HsDescContent(event) => fields!(event, address descriptor_id hsdir descriptor),
        Event::ConfChanged(event) => format!("{:?}\n", event.changes().collect::<Vec<_>>()),
        other => format!("{other:?}\n"),
    }
}
