//! The status of tor as a relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::{ExtraInfo, ServerDescriptor};
use crate::error::{ProtocolError, Result};
use crate::event::ClientsSeenEvent;
use crate::info::{Accounting, HandshakeCounts, Reachability};
use crate::names::Fingerprint;

/// # This relay
impl Controller {
    /// Returns the fingerprint of this relay; `None` if tor is not a relay.
    #[doc = sends!("GETINFO fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// match controller.fingerprint()? {
    ///     Some(fingerprint) => println!("this relay is {fingerprint}"),
    ///     None => println!("this tor is not a relay"),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn fingerprint(&self) -> Result<Option<Fingerprint>> {
        let read = |digits: &[u8]| {
            let malformed = || ProtocolError::new("fingerprint", "40 hexadecimal digits", digits);
            Fingerprint::from_hex(digits).ok_or_else(malformed)
        };
        none_if_refused(self.read_info("fingerprint", read), 551, "Not running in server mode")
    }

    /// Returns tor's best guess of its external address; `None` if it has none, as a relay before
    /// its first descriptor. Current versions of tor return the
    /// [IPv4 address](Self::external_ipv4).
    #[doc = sends!("GETINFO address")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.external_address()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn external_address(&self) -> Result<Option<IpAddr>> {
        self.read_address("address")
    }

    /// Returns tor's best guess of its external IPv4 address.
    #[doc = sends!("GETINFO address/v4")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.external_ipv4()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn external_ipv4(&self) -> Result<Option<Ipv4Addr>> {
        self.read_address("address/v4")
    }

    /// Returns tor's best guess of its external IPv6 address.
    #[doc = sends!("GETINFO address/v6")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.external_ipv6()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn external_ipv6(&self) -> Result<Option<Ipv6Addr>> {
        self.read_address("address/v6")
    }

    fn read_address<A: std::str::FromStr>(&self, key: &str) -> Result<Option<A>> {
        let read = |text: &[u8]| {
            let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            address.ok_or_else(|| ProtocolError::new(key, "an address", text))
        };
        none_if_refused(self.read_info(key, read), 551, "Address unknown")
    }

    /// Returns how much of `AccountingMax` tor has used, and whether it hibernates.
    #[doc = sends!(
        "GETINFO accounting/enabled accounting/hibernating accounting/bytes accounting/bytes-left \
         accounting/interval-start accounting/interval-wake accounting/interval-end"
    )]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// if let Some(interval) = controller.accounting()?.interval {
    ///     println!("{} bytes left to write", interval.written_left);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_accounting_stats")]
    pub fn accounting(&self) -> Result<Accounting> {
        self.read_infos(Accounting::KEYS, Accounting::read)
    }

    /// Returns whether the self-tests of this relay found its ports reachable. For a port that is
    /// not configured, tor reports success.
    ///
    /// Sends `GETINFO status/reachability-succeeded/or status/reachability-succeeded/dir`, which
    /// `info/names` does not list. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("the ORPort is reachable: {}", controller.reachability()?.or);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn reachability(&self) -> Result<Reachability> {
        self.read_infos(Reachability::KEYS, Reachability::read)
    }

    /// Returns whether the directory authorities have accepted the descriptor of this relay.
    ///
    /// Sends `GETINFO status/accepted-server-descriptor`, which `info/names` does not list. Blocks
    /// for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("accepted: {}", controller.has_accepted_server_descriptor()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn has_accepted_server_descriptor(&self) -> Result<bool> {
        self.read_flag("status/accepted-server-descriptor")
    }

    /// Returns whether the descriptor of this relay is good. Current versions of tor return the
    /// value of [`has_accepted_server_descriptor`](Self::has_accepted_server_descriptor).
    ///
    /// Sends `GETINFO status/good-server-descriptor`, which `info/names` does not list. Blocks for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("good: {}", controller.has_good_server_descriptor()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn has_good_server_descriptor(&self) -> Result<bool> {
        self.read_flag("status/good-server-descriptor")
    }

    /// Returns a newly made server descriptor of this relay and its extra-info document; `None` if
    /// tor is not a relay. tor neither keeps nor publishes them. A bridge without statistics has no
    /// extra-info document.
    ///
    /// Sends `GETINFO status/fresh-relay-descs`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if tor cannot make them, as without
    /// a known address; otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// if let Some((descriptor, _)) = controller.fresh_relay_descriptors()? {
    ///     println!("{}", descriptor.nickname());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn fresh_relay_descriptors(&self) -> Result<Option<(ServerDescriptor, Option<ExtraInfo>)>> {
        let read = |text: &[u8]| {
            let begin =
                memchr::memmem::find(text, b"\nextra-info ").map_or(text.len(), |at| at + 1);
            let (server, extra) = text.split_at_checked(begin).unwrap_or((text, b""));
            let extra = (!extra.is_empty()).then(|| ExtraInfo::parse(extra)).transpose()?;
            Ok((ServerDescriptor::parse(server)?, extra))
        };
        let outcome = self.read_info("status/fresh-relay-descs", read);
        none_if_refused(outcome, 551, "Only relays have descriptors")
    }

    /// Returns the numbers of circuit handshakes that this relay has received and processed since it
    /// last wrote its statistics.
    #[doc = sends!(
        "GETINFO stats/ntor/requested stats/ntor/assigned stats/tap/requested stats/tap/assigned"
    )]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let counts = controller.handshake_counts()?;
    /// println!("{} of {} ntor handshakes", counts.ntor.assigned, counts.ntor.requested);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn handshake_counts(&self) -> Result<HandshakeCounts> {
        self.read_infos(HandshakeCounts::KEYS, HandshakeCounts::read)
    }

    /// Returns the clients of this bridge by country, rounded, in the form of a `CLIENTS_SEEN`
    /// event; none if tor is not a bridge.
    #[doc = sends!("GETINFO status/clients-seen")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.clients_seen()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "is_user_traffic_allowed")]
    pub fn clients_seen(&self) -> Result<ClientsSeenEvent> {
        self.read_info("status/clients-seen", |answer| Ok(ClientsSeenEvent::read_status(answer)))
    }
}
