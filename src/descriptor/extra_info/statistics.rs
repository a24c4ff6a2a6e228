//! The values of the statistics.

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::time::SystemTime;

use crate::descriptor::history::{MeasurementInterval, read_list};
use crate::descriptor::item::{DescriptorItem, number};
use crate::names::{CountryCode, PaddingCount};

/// The numbers of one statistic by key, such as the clients by country, in the order of the document.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             entry-ips us=16,de=8,??=8\n";
/// let clients = ExtraInfo::parse(text)?.entry_ips().unwrap();
/// let germany = "de".parse()?;
/// assert_eq!(clients.get(&Some(germany)), Some(8));
/// assert_eq!(clients.get(&None), Some(8), "clients of unknown countries");
/// assert_eq!(clients.total(), 32);
/// for (country, count) in &clients {
///     println!("{country:?}: {count}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticMap<K> {
    entries: Vec<(K, u64)>,
}

impl<K> StatisticMap<K> {
    /// Returns the number with this key, the first one if the key is repeated.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<u64>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.entries.iter().find(|(name, _)| name.borrow() == key).map(|(_, number)| *number)
    }

    /// Returns the keys and numbers, in the order of the document.
    #[must_use]
    pub fn entries(&self) -> &[(K, u64)] {
        &self.entries
    }

    /// Returns the sum of the numbers, at most `u64::MAX`.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.entries.iter().fold(0, |sum, (_, number)| sum.saturating_add(*number))
    }

    /// Reads entries such as `de=8`.
    fn read(
        entries: &mut dyn Iterator<Item = &[u8]>,
        read_key: fn(&[u8]) -> Option<K>,
    ) -> Option<Self> {
        let mut read = Vec::new();
        for entry in entries {
            let (key, value) = split_pair(entry)?;
            read.push((read_key(key)?, number(value)?));
        }
        Some(Self { entries: read })
    }

    /// Reads an item with one list, such as `de=8,us=16`, which can be empty.
    pub(super) fn in_list(
        item: &DescriptorItem<'_>,
        read_key: fn(&[u8]) -> Option<K>,
    ) -> Option<Self> {
        Self::read(&mut split_list(item.words().next()), read_key)
    }
}

impl<'a, K> IntoIterator for &'a StatisticMap<K> {
    type Item = &'a (K, u64);
    type IntoIter = std::slice::Iter<'a, (K, u64)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

fn split_list(list: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    list.into_iter().flat_map(|list| list.split(|byte| *byte == b','))
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, value) = pair.split_at_checked(memchr::memchr(b'=', pair)?)?;
    Some((key, value.get(1..)?)).filter(|_| !key.is_empty())
}

/// The cells of a relay, of which some are padding, within a time.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
/// use torcon::names::PaddingCount;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             padding-counts 2026-11-23 09:26:00 (86400 s) bin-size=10000 read-pad=20000\n";
/// let padding = ExtraInfo::parse(text)?.padding_counts().unwrap();
/// assert_eq!(padding.counts.get(&PaddingCount::ReadPad), Some(20000));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PaddingCounts {
    /// The time of the measurement.
    pub interval: MeasurementInterval,
    /// The numbers by key.
    pub counts: StatisticMap<PaddingCount>,
}

impl PaddingCounts {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let interval = MeasurementInterval::read(&mut words)?;
        let counts = StatisticMap::read(&mut words, |key| Some(PaddingCount::from_bytes(key)))?;
        Some(Self { interval, counts })
    }
}

/// How connections were used within a time: each is counted once every 10 seconds.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             conn-bi-direct 2026-11-23 09:26:00 (86400 s) 12,34,56,78\n";
/// let connections = ExtraInfo::parse(text)?.conn_bi_direct().unwrap();
/// assert_eq!((connections.below, connections.both), (12, 78));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionDirections {
    /// The time of the measurement.
    pub interval: MeasurementInterval,
    /// The connections that read and wrote less than 20 KiB.
    pub below: u64,
    /// Those that read at least 10 times more than they wrote.
    pub read: u64,
    /// Those that wrote at least 10 times more than they read.
    pub write: u64,
    /// The others.
    pub both: u64,
}

impl ConnectionDirections {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let interval = MeasurementInterval::read(&mut words)?;
        let [below, read, write, both] = read_list(&mut words, number)?.try_into().ok()?;
        Some(Self { interval, below, read, write, both })
    }
}

/// A number that the relay rounded and to which it added noise, so that it reveals nothing about
/// single clients. It can be negative.
///
/// The relay rounds its count up to a multiple of `bin_size`, then adds a random number of a Laplace
/// distribution with the mean 0 and the scale `delta_f / epsilon`.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             hidserv-dir-v3-onions-seen -43 delta_f=8 epsilon=0.30 bin_size=8\n";
/// let seen = ExtraInfo::parse(text)?.hidserv_dir_v3_onions_seen().unwrap();
/// assert_eq!((seen.value, seen.epsilon), (-43, Some(0.3)));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NoisyCount {
    /// The number with its noise.
    pub value: i64,
    /// The largest effect that a single client can have on the number.
    pub delta_f: Option<f64>,
    /// The protection against conclusions: less is stronger.
    pub epsilon: Option<f64>,
    /// The number to a multiple of which the count was rounded.
    pub bin_size: Option<u64>,
}

impl NoisyCount {
    /// Reads `-43 delta_f=8 epsilon=0.30 bin_size=8`. Other keys are allowed.
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let value = signed(words.next()?)?;
        let mut count = Self { value, delta_f: None, epsilon: None, bin_size: None };
        for word in words {
            match split_pair(word)? {
                (b"delta_f", value) => count.delta_f = Some(decimal(value)?),
                (b"epsilon", value) => count.epsilon = Some(decimal(value)?),
                (b"bin_size", value) => count.bin_size = Some(number(value)?),
                _ => {}
            }
        }
        Some(count)
    }
}

/// How often the configured limits of bandwidth were reached (`overload-ratelimits`).
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             overload-ratelimits 1 2026-11-23 09:00:00 1048576 2097152 3 5\n";
/// let overload = ExtraInfo::parse(text)?.overload_ratelimits().unwrap();
/// assert_eq!((overload.rate, overload.write_count), (1048576, 5));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OverloadRateLimits {
    /// The last hour in which a limit was reached.
    pub time: SystemTime,
    /// The configured average (`BandwidthRate`), in bytes per second.
    pub rate: u64,
    /// The configured burst (`BandwidthBurst`), in bytes.
    pub burst: u64,
    /// The number of minutes in which the limit of reading was reached.
    pub read_count: u64,
    /// The number of minutes in which the limit of writing was reached.
    pub write_count: u64,
}

impl OverloadRateLimits {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let time = item.overload_time()?;
        // The version, the date and the time are before.
        let mut numbers = item.words().skip(3).map_while(number);
        Some(Self {
            time,
            rate: numbers.next()?,
            burst: numbers.next()?,
            read_count: numbers.next()?,
            write_count: numbers.next()?,
        })
    }
}

/// A pluggable transport of a bridge (`transport`).
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyBridge E194605ABC68F291ABC8E6732814854F41465325\n\
///             transport obfs4 192.0.2.7:443 iat-mode=0\n";
/// let bridge = ExtraInfo::parse(text)?;
/// let transport = bridge.transports().next().unwrap();
/// assert_eq!((transport.name.as_str(), transport.address.unwrap().port()), ("obfs4", 443));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BridgeTransport {
    /// The name.
    pub name: String,
    /// The address of the transport. `None` in a sanitized document.
    pub address: Option<SocketAddr>,
    /// The arguments, such as `iat-mode=0,cert=..`. Empty in a sanitized document.
    pub arguments: Vec<String>,
}

impl BridgeTransport {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let mut words = item.words();
        let name = text(words.next()?);
        let address = match words.next() {
            Some(address) => Some(std::str::from_utf8(address).ok()?.parse().ok()?),
            None => None,
        };
        Some(Self { name, address, arguments: words.map(text).collect() })
    }
}

/// Reads a list of countries such as `de=8,??=16`.
pub(super) fn countries(item: &DescriptorItem<'_>) -> Option<StatisticMap<Option<CountryCode>>> {
    StatisticMap::in_list(item, |key| match key {
        b"??" => Some(None),
        code => CountryCode::from_bytes(code).map(Some),
    })
}

/// Reads a list of ports such as `80=1024,other=8`.
pub(super) fn ports(item: &DescriptorItem<'_>) -> Option<StatisticMap<Option<u16>>> {
    StatisticMap::in_list(item, |key| match key {
        b"other" => Some(None),
        port => number(port).map(Some),
    })
}

/// Reads a list of texts such as `obfs4=8,<OR>=16`.
pub(super) fn texts(item: &DescriptorItem<'_>) -> Option<StatisticMap<String>> {
    StatisticMap::in_list(item, |key| Some(String::from_utf8_lossy(key).into_owned()))
}

/// Reads a share such as `0.32%`.
pub(super) fn share(item: &DescriptorItem<'_>) -> Option<f64> {
    let percent = decimal(item.words().next()?.strip_suffix(b"%")?)?;
    Some(percent / 100.0).filter(|_| percent >= 0.0)
}

/// Reads a list of numbers such as `3.29,0.00`. A fault of tor before 0.2.2.1 made some negative.
pub(super) fn decimals(item: &DescriptorItem<'_>) -> Option<Vec<f64>> {
    read_list(&mut item.words(), decimal)
}

/// Parses digits, with a sign if the number is negative.
fn signed(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Parses digits with at most one point, with a sign if the number is negative.
fn decimal(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_number = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let value: f64 = is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())??;
    value.is_finite().then_some(value)
}
