//! The lines of server descriptors. A rule and the method of a line read it by the same function.

use std::net::Ipv4Addr;

use super::AdvertisedBandwidth;
use crate::descriptor::certificate::{
    CertificateType, ED25519_SIGNATURE, Ed25519Certificate, IDENTITY,
};
use crate::descriptor::exit_policy::ExitPolicy;
use crate::descriptor::history::BandwidthHistory;
use crate::descriptor::item::{DescriptorItem, base64, number};
use crate::descriptor::protocols::ProtocolVersions;
use crate::descriptor::rule::{Place, Rule, any};
use crate::names::{BridgeDistribution, Fingerprint, Nickname, RelaySpec};

/// Every line that tor writes or wrote, in the order of tor 0.4.9, then those of older versions of tor,
/// and those of descriptors of bridges that CollecTor sanitized.
pub(super) const RULES: &[Rule] = &[
    Rule::once(b"router", "router NICKNAME ADDRESS ORPORT SOCKSPORT DIRPORT", |item| {
        router(item).is_ok()
    }),
    IDENTITY,
    Rule::optional(b"master-key-ed25519", "master-key-ed25519 KEY in base64", |item| {
        item.base64::<32>().is_some()
    }),
    Rule::repeated(b"or-address", "or-address ADDRESS:PORT", |item| item.address().is_some()),
    Rule::optional(b"platform", "platform TEXT", any),
    Rule::optional(b"proto", "proto NAME=VERSIONS ..", |item| protocols(item).is_some()),
    Rule::once(b"published", "published YYYY-MM-DD HH:MM:SS", |item| item.time().is_some()),
    Rule::optional(b"fingerprint", "fingerprint FINGERPRINT", |item| fingerprint(item).is_some()),
    Rule::optional(b"uptime", "uptime SECONDS", |item| uptime(item).is_some()),
    Rule::once(b"bandwidth", "bandwidth AVERAGE BURST OBSERVED", |item| bandwidth(item).is_some()),
    Rule::optional(
        b"extra-info-digest",
        "extra-info-digest SHA1 in hexadecimal and, if any, SHA256 in base64",
        |item| extra_info_digests(item).is_some(),
    ),
    Rule::optional(b"caches-extra-info", "caches-extra-info", any),
    Rule::once_if(
        b"onion-key-crosscert",
        b"onion-key",
        "onion-key and an object RSA PUBLIC KEY",
        |item| item.labeled_object(RSA_KEY).is_some(),
    ),
    Rule::once_unless(
        b"router-digest",
        b"signing-key",
        "signing-key and an object RSA PUBLIC KEY",
        |item| item.labeled_object(RSA_KEY).is_some(),
    ),
    Rule::optional(b"onion-key-crosscert", "onion-key-crosscert and an object CROSSCERT", |item| {
        item.labeled_object(CROSSCERT).is_some()
    }),
    Rule::once_if(
        b"identity-ed25519",
        b"ntor-onion-key-crosscert",
        "ntor-onion-key-crosscert 0|1 and an object ED25519 CERT of type 10",
        |item| ntor_crosscert(item).is_some(),
    ),
    Rule::optional(b"family", "family RELAY ..", |item| {
        item.words().all(|word| is_relay(&RelaySpec::from_bytes(word)))
    }),
    Rule::optional(b"hibernating", "hibernating 0|1", |item| flag(item).is_some()),
    Rule::optional(b"hidden-service-dir", "hidden-service-dir and, if any, versions", |item| {
        versions(item).is_some()
    }),
    Rule::repeated(
        b"family-cert",
        "family-cert and an object FAMILY CERT of type 12 with the key of the family",
        |item| family_certificate(item).is_some(),
    ),
    Rule::optional(b"contact", "contact TEXT", any),
    Rule::optional(b"bridge-distribution-request", "bridge-distribution-request METHOD", |item| {
        bridge_distribution(item).is_some()
    }),
    Rule::once_if(
        b"ntor-onion-key-crosscert",
        b"ntor-onion-key",
        "ntor-onion-key KEY in base64",
        |item| item.base64::<32>().is_some(),
    ),
    Rule::repeated_unless(b"reject", b"accept", "accept ADDRESSES:PORTS", is_exit_rule),
    Rule::repeated(b"reject", "reject ADDRESSES:PORTS", is_exit_rule),
    Rule::optional(b"ipv6-policy", "ipv6-policy accept|reject PORTS", |item| {
        port_summary(item).is_some()
    }),
    Rule::optional(b"tunnelled-dir-server", "tunnelled-dir-server", any),
    Rule::optional(b"overload-general", "overload-general VERSION YYYY-MM-DD HH:MM:SS", |item| {
        item.overload_time().is_some()
    }),
    ED25519_SIGNATURE,
    Rule::once_unless(
        b"router-digest",
        b"router-signature",
        "router-signature and an object SIGNATURE",
        |item| item.labeled_object(SIGNATURE).is_some(),
    )
    .at(Place::Last),
    Rule::optional(b"read-history", HISTORY, |item| BandwidthHistory::read(item).is_some()),
    Rule::optional(b"write-history", HISTORY, |item| BandwidthHistory::read(item).is_some()),
    Rule::optional(b"eventdns", "eventdns 0|1", |item| flag(item).is_some()),
    Rule::optional(b"protocols", "protocols Link VERSION .. Circuit VERSION ..", |item| {
        numbered_protocols(item).is_some()
    }),
    Rule::optional(b"allow-single-hop-exits", "allow-single-hop-exits", any),
    Rule::optional(b"router-digest-sha256", "router-digest-sha256 DIGEST in base64", |item| {
        item.base64::<32>().is_some()
    }),
    Rule::optional(b"router-digest", "router-digest DIGEST in hexadecimal", |item| {
        item.sha1().is_some()
    }),
];

const HISTORY: &str = "the time of the end, (NUMBER s), and numbers of bytes with commas";

pub(super) const RSA_KEY: &str = "RSA PUBLIC KEY";
pub(super) const CROSSCERT: &str = "CROSSCERT";
pub(super) const SIGNATURE: &str = "SIGNATURE";

/// The arguments of the line `router`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Router {
    pub(super) nickname: Nickname,
    pub(super) address: Ipv4Addr,
    pub(super) or_port: u16,
    pub(super) socks_port: u16,
    pub(super) dir_port: u16,
}

/// Reads the line `router`. The error names the missing argument.
pub(super) fn router(item: &DescriptorItem<'_>) -> Result<Router, &'static str> {
    let mut words = item.words();
    let nickname = words.next().and_then(Nickname::from_bytes).ok_or("a nickname")?;
    let address = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let address = address.ok_or("an IPv4 address")?;
    let or_port = words.next().and_then(number).ok_or("a port")?;
    let mut port = || words.next().and_then(number).ok_or("three ports");
    Ok(Router { nickname, address, or_port, socks_port: port()?, dir_port: port()? })
}

pub(super) fn family_certificate(item: &DescriptorItem<'_>) -> Option<Ed25519Certificate> {
    Ed25519Certificate::of_type(item, "FAMILY CERT", CertificateType::FamilyVIdentity)
        .filter(|certificate| certificate.signing_key().is_some())
}

/// Reads the bit and the certificate of `ntor-onion-key-crosscert`.
pub(super) fn ntor_crosscert(item: &DescriptorItem<'_>) -> Option<(bool, Ed25519Certificate)> {
    let of_type = CertificateType::NtorCcIdentity;
    Some((flag(item)?, Ed25519Certificate::of_type(item, "ED25519 CERT", of_type)?))
}

/// Reads the first argument as `0` or `1`.
pub(super) fn flag(item: &DescriptorItem<'_>) -> Option<bool> {
    match item.words().next()? {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

/// Splits `Tor 0.4.9.11 on Linux` into the version and the operating system.
pub(super) fn split_platform(platform: &str) -> Option<(&str, Option<&str>)> {
    // node-Tor is another implementation.
    let after = platform.strip_prefix("node-").unwrap_or(platform).strip_prefix("Tor ")?;
    // Old versions have a revision behind the version, such as `(r14597)`.
    let (version, rest) = after.split_once(' ').unwrap_or((after, ""));
    let system = rest.strip_prefix("on ").or_else(|| Some(rest.split_once(" on ")?.1));
    Some((version, system))
}

pub(super) fn protocols(item: &DescriptorItem<'_>) -> Option<ProtocolVersions> {
    ProtocolVersions::from_bytes(item.arguments_bytes())
}

/// Reads a fingerprint, which is written in groups of four digits.
pub(super) fn fingerprint(item: &DescriptorItem<'_>) -> Option<Fingerprint> {
    // At most 41 digits, so that a long line costs no more.
    let digits: Vec<u8> = item.words().flatten().take(41).copied().collect();
    Fingerprint::from_hex(&digits)
}

/// Reads the seconds, which were negative in versions of tor before 0.1.2.7 when the clock was set back.
pub(super) fn uptime(item: &DescriptorItem<'_>) -> Option<i64> {
    let word = item.words().next()?;
    match word.strip_prefix(b"-") {
        Some(digits) => number::<i64>(digits).map(|seconds| -seconds),
        None => number(word),
    }
}

pub(super) fn bandwidth(item: &DescriptorItem<'_>) -> Option<AdvertisedBandwidth> {
    let mut words = item.words();
    let average = number(words.next()?)?;
    let burst = number(words.next()?)?;
    Some(AdvertisedBandwidth { average, burst, observed: number(words.next()?)? })
}

/// Reads the SHA-1 digest, and the SHA-256 digest that tor writes since 0.2.7.
pub(super) fn extra_info_digests(
    item: &DescriptorItem<'_>,
) -> Option<([u8; 20], Option<[u8; 32]>)> {
    let sha256 = match item.words().nth(1) {
        Some(word) => Some(base64(word)?),
        None => None,
    };
    Some((item.sha1()?, sha256))
}

fn is_relay(relay: &RelaySpec) -> bool {
    relay.fingerprint().is_some() || relay.nickname().is_some()
}

/// Reads the arguments as numbers.
pub(super) fn versions(item: &DescriptorItem<'_>) -> Option<Vec<u32>> {
    item.words().map(number).collect()
}

/// Reads `Link 1 2 Circuit 1`, the form before tor 0.2.9.
pub(super) fn numbered_protocols(item: &DescriptorItem<'_>) -> Option<(Vec<u32>, Vec<u32>)> {
    let words: Vec<&[u8]> = item.words().collect();
    let words = words.strip_prefix(&[&b"Link"[..]])?;
    let mut lists = words.splitn(2, |word| *word == b"Circuit");
    let mut list =
        || -> Option<Vec<u32>> { lists.next()?.iter().map(|word| number(word)).collect() };
    Some((list()?, list()?))
}

/// Reads the method: `KeywordChar | "_"`, once or more.
pub(super) fn bridge_distribution(item: &DescriptorItem<'_>) -> Option<BridgeDistribution> {
    let word = item.words().next()?;
    let is_method = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let word = std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|b| is_method(&b)));
    word.map(BridgeDistribution::from)
}

/// Reads a line `accept` or `reject`, which is a rule with addresses.
pub(super) fn is_exit_rule(item: &DescriptorItem<'_>) -> bool {
    let policy = ExitPolicy::from_bytes(exit_rule(item).as_bytes());
    policy.is_some_and(|policy| !policy.is_summary())
}

/// Returns the rule without the object that tor does not expect.
pub(super) fn exit_rule(item: &DescriptorItem<'_>) -> String {
    format!("{} {}", item.keyword(), item.arguments())
}

/// Reads a summary of ports.
pub(super) fn port_summary(item: &DescriptorItem<'_>) -> Option<ExitPolicy> {
    ExitPolicy::from_bytes(item.arguments_bytes()).filter(ExitPolicy::is_summary)
}
