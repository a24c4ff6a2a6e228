//! What tor tells about itself as a relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::{ExtraInfo, ServerDescriptor};
use crate::error::{ProtocolError, Result};
use crate::event::ClientsSeenEvent;
use crate::info::{Accounting, HandshakeCounts, Reachability};
use crate::names::Fingerprint;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns the fingerprint of this tor as a relay; `None` if it is none.
    ///
    /// Sends `GETINFO fingerprint`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn fingerprint(&self) -> Result<Option<Fingerprint>> {
        let read = |digits: &[u8]| {
            let unreadable = || ProtocolError::new("fingerprint", "40 hexadecimal digits", digits);
            Fingerprint::from_hex(digits).ok_or_else(unreadable)
        };
        none_if_refused(self.read_info("fingerprint", read), 551, "Not running in server mode")
    }

    /// Returns the address at which tor thinks that others see it; `None` if it does not know, as
    /// a relay before it has made its first descriptor. Today's tor answers its
    /// [IPv4 address](Self::external_ipv4).
    ///
    /// Sends `GETINFO address`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn external_address(&self) -> Result<Option<IpAddr>> {
        self.own_address("address")
    }

    /// Returns the IPv4 address at which tor thinks that others see it; `None` if it does not know.
    ///
    /// Sends `GETINFO address/v4`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn external_ipv4(&self) -> Result<Option<Ipv4Addr>> {
        self.own_address("address/v4")
    }

    /// Returns the IPv6 address at which tor thinks that others see it; `None` if it does not know.
    ///
    /// Sends `GETINFO address/v6`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn external_ipv6(&self) -> Result<Option<Ipv6Addr>> {
        self.own_address("address/v6")
    }

    fn own_address<A: std::str::FromStr>(&self, key: &str) -> Result<Option<A>> {
        let read = |text: &[u8]| {
            let address = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            address.ok_or_else(|| ProtocolError::new(key, "an address", text))
        };
        none_if_refused(self.read_info(key, read), 551, "Address unknown")
    }

    /// Returns how much of its allowance (`AccountingMax`) tor has used, and whether it sleeps.
    ///
    /// Sends
    /// `GETINFO accounting/enabled accounting/hibernating accounting/bytes accounting/bytes-left accounting/interval-start accounting/interval-wake accounting/interval-end`.
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// if let Some(interval) = controller.accounting()?.interval {
    ///     println!("{} bytes may yet be written", interval.written_left);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_accounting_stats")]
    pub fn accounting(&self) -> Result<Accounting> {
        self.read_infos(Accounting::KEYS, Accounting::read)
    }

    /// Returns whether tor, as a relay, has found that others can reach its ports. A tor that has
    /// no such port is told to be reachable there.
    ///
    /// Sends `GETINFO status/reachability-succeeded/or status/reachability-succeeded/dir`, which
    /// `info/names` does not list. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn reachability(&self) -> Result<Reachability> {
        self.read_infos(Reachability::KEYS, Reachability::read)
    }

    /// Returns whether a directory authority has accepted the descriptor of this relay.
    ///
    /// Sends `GETINFO status/accepted-server-descriptor`, which `info/names` does not list. Blocks
    /// for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn has_accepted_server_descriptor(&self) -> Result<bool> {
        self.read_flag("status/accepted-server-descriptor")
    }

    /// Returns whether tor thinks that the descriptor of this relay is good. Today's tor answers
    /// what it answers for [an accepted one](Self::has_accepted_server_descriptor).
    ///
    /// Sends `GETINFO status/good-server-descriptor`, which `info/names` does not list. Blocks for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn has_good_server_descriptor(&self) -> Result<bool> {
        self.read_flag("status/good-server-descriptor")
    }

    /// Makes tor write the descriptor of this relay and its statistics as they would be now, and
    /// returns them; `None` if it is no relay. tor neither keeps nor publishes them. A bridge that
    /// has no statistics has no second document.
    ///
    /// Sends `GETINFO status/fresh-relay-descs`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if tor cannot make them, as when it
    /// does not know its address; otherwise those of [`fingerprint`](Self::fingerprint).
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

    /// Returns how many handshakes this relay was asked for to make circuits, since it last wrote
    /// its statistics.
    ///
    /// Sends
    /// `GETINFO stats/ntor/requested stats/ntor/assigned stats/tap/requested stats/tap/assigned`.
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`fingerprint`](Self::fingerprint).
    pub fn handshake_counts(&self) -> Result<HandshakeCounts> {
        self.read_infos(HandshakeCounts::KEYS, HandshakeCounts::read)
    }

    /// Returns where the clients of this bridge were, as far as tor rounds it: what the next
    /// `CLIENTS_SEEN` event would tell. Of a tor that is no bridge, nobody.
    ///
    /// Sends `GETINFO status/clients-seen`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn clients_seen(&self) -> Result<ClientsSeenEvent> {
        self.read_info("status/clients-seen", |answer| Ok(ClientsSeenEvent::read_status(answer)))
    }
}
