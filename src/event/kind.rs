//! The kinds of events.

crate::names::keywords! {
    /// A kind of event: its name in `SETEVENTS` and at the beginning of the event.
    ///
    /// The kinds depend on the version of tor; `GETINFO events/names` lists them. A program can
    /// also subscribe to a kind that this version of torcon does not know, as
    /// `EventKind::from("NEW_KIND")`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::EventKind;
    ///
    /// assert_eq!(EventKind::from("CIRC_MINOR"), EventKind::CircMinor);
    /// assert_eq!(EventKind::from("NEW_KIND").as_str(), "NEW_KIND");
    /// ```
    pub enum EventKind {
        /// A circuit changed its status: [`CircEvent`](crate::event::CircEvent).
        Circ = "CIRC",
        /// A circuit changed, but not its status:
        /// [`CircMinorEvent`](crate::event::CircMinorEvent).
        CircMinor = "CIRC_MINOR",
        /// A stream changed its status: [`StreamEvent`](crate::event::StreamEvent).
        Stream = "STREAM",
        /// An OR connection changed its status: [`OrConnEvent`](crate::event::OrConnEvent).
        OrConn = "ORCONN",
        /// Bytes read and written in the last second: [`BwEvent`](crate::event::BwEvent).
        Bw = "BW",
        /// A message of the log: [`LogEvent`](crate::event::LogEvent).
        Debug = "DEBUG",
        /// A message of the log: [`LogEvent`](crate::event::LogEvent).
        Info = "INFO",
        /// A message of the log: [`LogEvent`](crate::event::LogEvent).
        Notice = "NOTICE",
        /// A message of the log: [`LogEvent`](crate::event::LogEvent).
        Warn = "WARN",
        /// A message of the log: [`LogEvent`](crate::event::LogEvent).
        Err = "ERR",
        /// tor received server descriptors of relays:
        /// [`NewDescEvent`](crate::event::NewDescEvent).
        NewDesc = "NEWDESC",
        /// A name or address was mapped to another: [`AddrMapEvent`](crate::event::AddrMapEvent).
        AddrMap = "ADDRMAP",
        /// The descriptor of this relay changed:
        /// [`DescChangedEvent`](crate::event::DescChangedEvent).
        DescChanged = "DESCCHANGED",
        /// Router status entries changed: [`NsEvent`](crate::event::NsEvent).
        Ns = "NS",
        /// The status of tor changed: [`StatusEvent`](crate::event::StatusEvent).
        StatusGeneral = "STATUS_GENERAL",
        /// The status of tor as a client changed:
        /// [`StatusEvent`](crate::event::StatusEvent).
        StatusClient = "STATUS_CLIENT",
        /// The status of tor as a relay changed:
        /// [`StatusEvent`](crate::event::StatusEvent).
        StatusServer = "STATUS_SERVER",
        /// The set of guards, or the status of a guard, changed:
        /// [`GuardEvent`](crate::event::GuardEvent).
        Guard = "GUARD",
        /// Bytes of a stream: [`StreamBwEvent`](crate::event::StreamBwEvent).
        StreamBw = "STREAM_BW",
        /// Numbers of the clients of a bridge:
        /// [`ClientsSeenEvent`](crate::event::ClientsSeenEvent).
        ClientsSeen = "CLIENTS_SEEN",
        /// tor received a new consensus:
        /// [`NewConsensusEvent`](crate::event::NewConsensusEvent).
        NewConsensus = "NEWCONSENSUS",
        /// tor set its circuit build timeout:
        /// [`BuildTimeoutSetEvent`](crate::event::BuildTimeoutSetEvent).
        BuildTimeoutSet = "BUILDTIMEOUT_SET",
        /// tor received a signal: [`SignalEvent`](crate::event::SignalEvent).
        Signal = "SIGNAL",
        /// Options changed: [`ConfChangedEvent`](crate::event::ConfChangedEvent).
        ConfChanged = "CONF_CHANGED",
        /// Bytes of a connection; only in test networks:
        /// [`ConnBwEvent`](crate::event::ConnBwEvent).
        ConnBw = "CONN_BW",
        /// Cells of a circuit; only in test networks:
        /// [`CellStatsEvent`](crate::event::CellStatsEvent).
        CellStats = "CELL_STATS",
        /// Bytes of a circuit: [`CircBwEvent`](crate::event::CircBwEvent).
        CircBw = "CIRC_BW",
        /// A pluggable transport was launched:
        /// [`TransportLaunchedEvent`](crate::event::TransportLaunchedEvent).
        TransportLaunched = "TRANSPORT_LAUNCHED",
        /// An onion service descriptor was created, uploaded or fetched:
        /// [`HsDescEvent`](crate::event::HsDescEvent).
        HsDesc = "HS_DESC",
        /// The content of an onion service descriptor that a directory returned:
        /// [`HsDescContentEvent`](crate::event::HsDescContentEvent).
        HsDescContent = "HS_DESC_CONTENT",
        /// tor found that the network is reachable, or no longer:
        /// [`NetworkLivenessEvent`](crate::event::NetworkLivenessEvent).
        NetworkLiveness = "NETWORK_LIVENESS",
        /// A token bucket was empty, and was refilled; tor 0.4.9 does not offer it:
        /// [`TbEmptyEvent`](crate::event::TbEmptyEvent).
        TbEmpty = "TB_EMPTY",
        /// A log message of a pluggable transport; tor 0.4.9 does not offer it:
        /// [`PtLogEvent`](crate::event::PtLogEvent).
        PtLog = "PT_LOG",
        /// The status of a pluggable transport; tor 0.4.9 does not offer it:
        /// [`PtStatusEvent`](crate::event::PtStatusEvent).
        PtStatus = "PT_STATUS",
    }
}

/// One kind of event, or several.
///
/// Several are an array, a slice, a `Vec`, or another collection or iterator of kinds or of
/// references to them. `Form` tells both apart, `EventKind` for one kind and `[EventKind]` for
/// several; the compiler infers it. The trait is sealed.
///
/// # Examples
///
/// ```no_run
/// use torcon::EventKind;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let bandwidth = controller.events(EventKind::Bw)?;
/// let kinds = vec![EventKind::Circ, EventKind::Stream];
/// let circuits = controller.events(&kinds)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a kind of event nor a list of kinds",
    label = "expected one kind such as EventKind::Bw, or several such as [EventKind::Bw]"
)]
pub trait EventKinds<Form: ?Sized>: sealed::EventKinds<Form> {}

impl<Form: ?Sized, T: sealed::EventKinds<Form>> EventKinds<Form> for T {}

pub(crate) mod sealed {
    use std::borrow::Borrow;

    use super::EventKind;

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait EventKinds<Form: ?Sized> {
        fn into_kinds(self) -> Vec<EventKind>;
    }

    impl EventKinds<EventKind> for EventKind {
        fn into_kinds(self) -> Vec<EventKind> {
            vec![self]
        }
    }

    impl EventKinds<EventKind> for &EventKind {
        fn into_kinds(self) -> Vec<EventKind> {
            vec![self.clone()]
        }
    }

    impl<I> EventKinds<[EventKind]> for I
    where
        I: IntoIterator,
        I::Item: Borrow<EventKind>,
    {
        fn into_kinds(self) -> Vec<EventKind> {
            self.into_iter().map(|kind| kind.borrow().clone()).collect()
        }
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

    #[test]
    fn the_table_of_the_module_has_every_kind() {
        let table = include_str!("../event.rs");
        for kind in EventKind::KNOWN {
            let row = format!("//! | `{kind}` | `{kind:?}` | [`");
            assert_eq!(table.matches(&row).count(), 1, "{row}");
        }
    }

    #[test]
    fn one_kind_and_every_list_of_kinds_are_accepted() {
        use super::sealed::EventKinds;

        fn of<K: EventKinds<Form>, Form: ?Sized>(kinds: K) -> Vec<EventKind> {
            kinds.into_kinds()
        }

        let kinds = vec![EventKind::Bw];
        for list in [
            of(EventKind::Bw),
            of(&EventKind::Bw),
            of([EventKind::Bw]),
            of(&[EventKind::Bw]),
            of(&kinds),
            of(kinds.as_slice()),
            of(kinds.iter().filter(|kind| kind.is_recognized())),
            of(Some(EventKind::Bw)),
        ] {
            assert_eq!(list, kinds);
        }
    }
}
