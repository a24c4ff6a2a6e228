//! Identifiers, addresses, keys and keywords of Tor: validated names and open enumerations.
//!
//! Every name implements `FromStr` and `Display`, and the two round-trip. `Display` escapes
//! characters that do not print and cuts a text after 400 characters, so that no name can forge a
//! line of a log; `as_str` returns the text unchanged.
//!
//! Enumerations of keywords are open: a keyword that this version does not know is kept as
//! `Unrecognized`. `From<&str>` and `FromStr` ignore the case of ASCII letters, as tor does;
//! keywords that tor sends are compared exactly.

mod auth_method;
mod bridge;
mod circuit;
mod connection;
mod consensus;
mod country;
mod descriptor;
mod guard;
mod identifier;
mod keyword;
mod listener;
mod onion;
mod printable;
mod relay;
mod relay_flag;
pub(crate) mod secret;
#[cfg(feature = "serde")]
pub(crate) mod serialize;
mod severity;
mod signal;
mod statistics;
mod status;
mod stream;
mod target;
mod text;
mod tor_feature;
mod transport;
mod transport_plugin;
mod upstream_proxy;
mod version;

use std::fmt;

pub use auth_method::AuthMethod;
#[doc(alias("Bridge", "UseBridges", "obfs4", "snowflake", "meek", "webtunnel", "conjure"))]
pub use bridge::BridgeLine;
pub use circuit::{
    BuildFlag, BuildTimeoutAction, CircMinorChange, CircuitId, CircuitPurpose, CircuitReason,
    CircuitStatus, HsState,
};
pub use connection::{
    ConnectionId, ConnectionType, NetworkLiveness, OrConnReason, OrConnStatus, TokenBucket,
};
#[doc(alias = "bandwidth_weights")]
pub use consensus::BandwidthWeight;
pub use consensus::{ConsensusFlavor, DigestAlgorithm};
pub use country::CountryCode;
pub use descriptor::{BridgeDistribution, HsDescAction, HsDescAuth, HsDescReason, RouterPurpose};
pub use guard::{GuardStatus, GuardType};
pub(crate) use keyword::{
    compare_without_case, hash_without_case, keywords, position_without_case, starts_without_case,
};
#[doc(alias = "Listener")]
pub use listener::ListenerKind;
#[doc(alias = "auth_token")]
pub use onion::ClientAuthKey;
#[doc(alias = "TorOnionAddress")]
pub use onion::OnionAddress;
#[doc(alias("KeyType", "KeyAlgo", "KeyFromString", "ED25519Key"))]
pub use onion::OnionKey;
pub use onion::{ClientAuthPublicKey, ClientName, OnionPort, PortTarget, TimePeriod};
#[cfg(test)]
pub(crate) use printable::CONTROLS;
pub(crate) use printable::{printable, quoted, quoted_path};
#[doc(alias("hexIdFromHash", "hashFromHexId"))]
pub use relay::Fingerprint;
pub use relay::{Nickname, RelaySpec};
pub use relay_flag::RelayFlag;
pub use severity::Severity;
pub use signal::Signal;
#[doc(alias = "DirStat")]
pub use statistics::DirDownload;
pub use statistics::{DirResponse, IpVersion, PaddingCount};
pub use status::{
    AddressMethod, BootstrapTag, ClockSourceType, DescriptorListing, HibernationStatus,
    LibeventBadness, NameserverStatus, PortResult, Recommendation, StatusAction, VersionReason,
};
pub use stream::{
    ClientProtocol, IsoField, StreamId, StreamPurpose, StreamReason, StreamSource, StreamStatus,
};
pub use target::Target;
pub(crate) use text::{into_text, read_from_text, to_text};
pub(crate) use tor_feature::TorFeature;
pub use transport::{PtConnect, PtSeverity, TransportType};
#[doc(alias("ClientTransportPlugin", "obfs4proxy", "lyrebird", "snowflake-client"))]
pub use transport_plugin::TransportPlugin;
#[doc(alias("Socks4Proxy", "Socks5Proxy", "HTTPSProxy", "HTTPProxy", "all_proxy"))]
pub use upstream_proxy::UpstreamProxy;
#[doc(alias = "version_at_least")]
pub use version::TorVersion;

/// An error: a text is not a valid name.
///
/// Returned by the `FromStr` implementations of this module; converts into
/// [`Error::InvalidInput`](crate::Error::InvalidInput).
///
/// # Examples
///
/// ```
/// use torcon::Error;
/// use torcon::names::Fingerprint;
///
/// let error = "E194605ABC".parse::<Fingerprint>().unwrap_err();
/// assert_eq!(error.what(), "relay fingerprint");
/// assert!(matches!(Error::from(error), Error::InvalidInput(_)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName {
    what: &'static str,
    problem: &'static str,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, problem: &'static str) -> Self {
        Self { what, problem }
    }

    /// Returns the expected kind of name, such as `"relay fingerprint"`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Returns the problem of the text.
    #[must_use]
    pub fn problem(&self) -> &'static str {
        self.problem
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.what, self.problem)
    }
}

impl std::error::Error for InvalidName {}

/// Converts the error of a conversion that cannot fail.
impl From<std::convert::Infallible> for InvalidName {
    fn from(error: std::convert::Infallible) -> Self {
        match error {}
    }
}
