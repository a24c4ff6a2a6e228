//! Microdescriptors.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::exit_policy::ExitPolicy;
use super::item::{DescriptorItem, Items, base64, has_lines, has_rules};
use super::list::{Descriptor, sealed::Read};
use super::router_status::ed25519_identity;
use super::rule::{Rule, any};
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{Fingerprint, RelaySpec};

/// A microdescriptor: the keys and the exit policy of a relay, as clients use them. The reply to
/// `GETINFO md/..`.
///
/// It does not identify the relay; the consensus refers to it by its [digest](Self::digest), and a
/// [`DescriptorIndex`](super::DescriptorIndex) finds it. A clone is cheap, and
/// every line is parsed by the method that returns it.
///
/// # Examples
///
/// ```
/// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
///             family moria1\np accept 80,443\n";
/// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
/// assert!(descriptor.allows_exit_to([192, 0, 2, 1].into(), 443));
/// assert_eq!(descriptor.family().count(), 1);
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Microdescriptor {
    text: Text,
}

/// The lines that have methods.
const RULES: &[Rule] = &[
    Rule::once(b"onion-key", "onion-key and, if any, a key in base64", |item| {
        item.object().is_none() || item.decode_object("RSA PUBLIC KEY").is_some()
    }),
    // Relays before tor 0.2.4 have none.
    Rule::optional(b"ntor-onion-key", "ntor-onion-key KEY in base64", |item| {
        item.words().next().and_then(base64::<32>).is_some()
    }),
    Rule::repeated(b"a", "a ADDRESS:PORT", |item| item.address().is_some()),
    Rule::optional(b"family", "family RELAY ..", any),
    Rule::optional(b"family-ids", "family-ids ID ..", any),
    Rule::optional(b"p", "p accept|reject PORTS", is_policy),
    Rule::optional(b"p6", "p6 accept|reject PORTS", is_policy),
    Rule::repeated(b"id", "id TYPE IDENTITY in base64", |item| match identifier(item) {
        Some((b"ed25519", id)) => base64::<32>(id).is_some(),
        Some((b"rsa1024", id)) => base64::<20>(id).is_some(),
        Some(_) => true,
        None => false,
    }),
];

/// Returns the type and the identity of an `id` line.
fn identifier<'a>(item: &DescriptorItem<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut words = item.words();
    words.next().zip(words.next())
}

fn is_policy(item: &DescriptorItem<'_>) -> bool {
    ExitPolicy::from_bytes(item.arguments_bytes()).is_some()
}

impl Descriptor for Microdescriptor {}

impl Read for Microdescriptor {
    const FIRST: &'static [u8] = b"\nonion-key";

    const LENGTH: usize = 220;

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        match Items::new(bytes).first() {
            Some(item) if item.is(b"onion-key") => Ok(Self { text }),
            _ => Err(ProtocolError::new("a microdescriptor", "the line onion-key", bytes)),
        }
    }
}

has_lines!(Microdescriptor);
has_rules!(Microdescriptor, "a microdescriptor", RULES);

impl Microdescriptor {
    /// Parses one microdescriptor.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `onion-key`.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
    ///             family moria1\np accept 80,443\n";
    /// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
    /// assert!(descriptor.ntor_onion_key().is_some());
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Returns the TAP onion key, in PEM. New relays have none.
    #[must_use]
    pub fn onion_key(&self) -> Option<Cow<'_, str>> {
        self.find(b"onion-key")?.object()
    }

    /// Returns the ntor onion key.
    #[must_use]
    pub fn ntor_onion_key(&self) -> Option<[u8; 32]> {
        self.find(b"ntor-onion-key")?.words().next().and_then(base64)
    }

    /// Returns the additional OR addresses, mostly IPv6.
    pub fn or_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        Items::new(self.text.as_bytes()).addresses(b"a")
    }

    /// Returns the declared family.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
    ///             family moria1\np accept 80,443\n";
    /// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
    /// assert_eq!(descriptor.family().next().unwrap().to_string(), "moria1");
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    pub fn family(&self) -> impl Iterator<Item = RelaySpec> + '_ {
        self.find(b"family").into_iter().flat_map(|item| item.words()).map(RelaySpec::from_bytes)
    }

    /// Returns the IDs of the certified families, such as `ed25519:` and a key.
    pub fn family_ids(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.find(b"family-ids")
            .into_iter()
            .flat_map(|item| item.words())
            .map(String::from_utf8_lossy)
    }

    /// Returns the summary of the exit policy for IPv4. `None` if the relay is not an exit.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
    ///             family moria1\np accept 80,443\n";
    /// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
    /// assert_eq!(descriptor.exit_ports().unwrap().to_string(), "accept 80,443");
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn exit_ports(&self) -> Option<ExitPolicy> {
        ExitPolicy::from_bytes(self.find(b"p")?.arguments_bytes())
    }

    /// Returns the summary of the exit policy for IPv6.
    #[must_use]
    pub fn ipv6_exit_ports(&self) -> Option<ExitPolicy> {
        ExitPolicy::from_bytes(self.find(b"p6")?.arguments_bytes())
    }

    /// Returns whether the relay probably allows connections to this address and port as an exit. The
    /// summaries describe most addresses; the relay may refuse some.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n\
    ///             family moria1\np accept 80,443\n";
    /// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
    /// assert!(!descriptor.allows_exit_to([192, 0, 2, 1].into(), 25));
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn allows_exit_to(&self, address: IpAddr, port: u16) -> bool {
        let policy = if address.is_ipv4() { self.exit_ports() } else { self.ipv6_exit_ports() };
        policy.is_some_and(|policy| policy.allows(address, port))
    }

    /// Returns the Ed25519 identity of the relay.
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        ed25519_identity(Items::new(self.text.as_bytes()))
    }

    /// Returns the fingerprint of the relay, if the microdescriptor has it: only if the relay has no
    /// Ed25519 identity.
    #[must_use]
    pub fn rsa_identity(&self) -> Option<Fingerprint> {
        let mut identifiers = self.items().filter(|item| item.is(b"id"));
        identifiers.find_map(|item| match identifier(&item)? {
            (b"rsa1024", id) => base64(id).map(Fingerprint::from),
            _ => None,
        })
    }

    /// Returns the types and values of all identities, such as `ed25519` and a key in base64.
    pub fn identifiers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let identifiers = self.items().filter(|item| item.is(b"id"));
        identifiers.filter_map(|item| {
            let (kind, id) = identifier(&item)?;
            Some((String::from_utf8_lossy(kind), String::from_utf8_lossy(id)))
        })
    }
}

impl fmt::Debug for Microdescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Microdescriptor({} bytes)", self.text.as_bytes().len())
    }
}
