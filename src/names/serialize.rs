//! `Serialize` and `Deserialize` of names, as the text that tor writes (Cargo feature `serde`).

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use data_encoding::BASE64_NOPAD;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// Parses a text with `FromStr`.
pub(crate) fn deserialize_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

/// Bytes of a digest or a public key, serialized in base64 as directory documents have them.
pub(crate) struct Base64<T>(pub(crate) T);

impl<const N: usize> Serialize for Base64<[u8; N]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_NOPAD.encode(&self.0))
    }
}

impl<const N: usize> Serialize for Base64<Option<[u8; N]>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.map(Base64).serialize(serializer)
    }
}

/// Serializes bytes for `serialize_with`.
pub(crate) fn base64<T: Copy, S: Serializer>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    Base64<T>: Serialize,
{
    Base64(*bytes).serialize(serializer)
}

/// Serializes bytes for `serialize_with`.
#[cfg(feature = "onion-descriptor")]
pub(crate) fn base64_bytes<const N: usize, S: Serializer>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Base64(*bytes).serialize(serializer)
}

/// Implements both traits for types with `FromStr`; the text is that of the given function.
macro_rules! serialize_as_text {
    ($($type:ty: $text:expr;)*) => { $(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text: fn(&$type) -> _ = $text;
                serializer.collect_str(&text(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::names::serialize::deserialize_text(deserializer)
            }
        }
    )* };
}
pub(crate) use serialize_as_text;

serialize_as_text! {
    super::ClientAuthPublicKey: ToString::to_string;
    super::ClientName: |name| name.as_str().to_owned();
    super::CountryCode: ToString::to_string;
    super::Fingerprint: ToString::to_string;
    super::Nickname: ToString::to_string;
    super::OnionAddress: ToString::to_string;
    super::OnionPort: ToString::to_string;
    super::PortTarget: ToString::to_string;
    super::RelaySpec: ToString::to_string;
    super::Severity: ToString::to_string;
    super::TorVersion: |version| version.as_str().to_owned();
}

impl Serialize for super::Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Reads `host:port`, and the other forms that tor writes in events: without a host, an IPv6 address
/// without brackets, or the path of a unix socket.
impl<'de> serde::Deserialize<'de> for super::Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader(super::Target);

        impl FromStr for Reader {
            type Err = super::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let of_tor = || {
                    let is_text = text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
                    let target = super::Target::from_bytes(text.as_bytes());
                    let is_target = target.port().is_some() || target.unix_path().is_some();
                    (is_text && is_target).then_some(target)
                };
                text.parse().or_else(|error| of_tor().ok_or(error)).map(Self)
            }
        }

        deserialize_text::<Reader, D>(deserializer).map(|reader| reader.0)
    }
}

/// Keys with values, serialized as a map.
pub(crate) struct Entries<K, V>(pub(crate) Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Implements `Serialize` as a map of the values of methods. Those in brackets return iterators,
/// those in parentheses bytes, those in braces iterators over keys with values.
macro_rules! serialize_methods {
    ($type:ty {
        $($method:ident)* [$($list:ident)*] ($($bytes:ident)*) $({$($map:ident)*})?
    }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;

                let mut map = serializer.serialize_map(None)?;
                $( map.serialize_entry(stringify!($method), &self.$method())?; )*
                $(
                    let list: Vec<_> = self.$list().collect();
                    map.serialize_entry(stringify!($list), &list)?;
                )*
                $(
                    let bytes = $crate::names::serialize::Base64(self.$bytes());
                    map.serialize_entry(stringify!($bytes), &bytes)?;
                )*
                $($(
                    let entries = self.$map().collect();
                    let entries = $crate::names::serialize::Entries(entries);
                    map.serialize_entry(stringify!($map), &entries)?;
                )*)?
                map.end()
            }
        }
    };
}
pub(crate) use serialize_methods;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::names::{
        CircuitId, CircuitStatus, ClientAuthPublicKey, ClientName, ConnectionId, CountryCode,
        Fingerprint, Nickname, OnionAddress, OnionPort, PortTarget, RelaySpec, Severity, Signal,
        StreamId, Target, TorVersion,
    };

    fn round_trip<T>(text: &str)
    where
        T: Serialize + DeserializeOwned + Debug + PartialEq + std::str::FromStr<Err: Debug>,
    {
        let json = format!("\"{text}\"");
        let name: T = serde_json::from_str(&json).unwrap();
        assert_eq!(name, text.parse().unwrap());
        assert_eq!(serde_json::to_string(&name).unwrap(), json);
        assert!(serde_json::from_str::<T>("1").is_err());
    }

    #[test]
    fn every_name_is_its_text() {
        const FP: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
        round_trip::<Fingerprint>(FP);
        round_trip::<Nickname>("moria1");
        for relay in ["moria1", FP, &format!("${FP}~moria1"), &format!("${FP}=moria1")] {
            round_trip::<RelaySpec>(relay);
        }
        for id in ["1", "ab3"] {
            round_trip::<CircuitId>(id);
            round_trip::<StreamId>(id);
            round_trip::<ConnectionId>(id);
        }
        round_trip::<CountryCode>("de");
        let onion = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
        round_trip::<OnionAddress>(&format!("{onion}.onion"));
        for target in ["8080", "127.0.0.1:80", "unix:/run/web", "web.lan:80", "[::1]"] {
            round_trip::<PortTarget>(target);
        }
        round_trip::<OnionPort>("80,8080");
        round_trip::<OnionPort>("80");
        round_trip::<Target>("[2001:db8::1]:443");
        round_trip::<TorVersion>("0.4.9.11-rc");
        round_trip::<ClientName>("alice");
        round_trip::<Severity>("WARN");
        for word in ["BUILT", "FUTURE_WORD", "caf\u{e9}"] {
            round_trip::<CircuitStatus>(word);
        }
        round_trip::<Signal>("NEWNYM");
        let key = "ALCMTIN3WZEXWP4PZD4EM5ZNBTGH6C4XFUGOQGZUPQWKXYCDNFUQ";
        if let Ok(key) = key.parse::<ClientAuthPublicKey>() {
            round_trip::<ClientAuthPublicKey>(&key.to_string());
        }
    }

    #[test]
    fn every_target_of_an_event_is_read_again() {
        let fingerprint = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
        let exit = format!("127.0.0.1.${fingerprint}.exit:5000");
        for text in [":0", "(Tor_internal):0", "2001:db8::1:9050", "unix:/run/s", &exit] {
            let target = Target::from_bytes(text.as_bytes());
            let json = serde_json::to_string(&target).unwrap();
            assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target, "{text}");
        }
        for refused in ["example.com", "a b:80", "a\r\nQUIT:80"] {
            let json = serde_json::to_string(refused).unwrap();
            assert!(serde_json::from_str::<Target>(&json).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_name_is_refused_with_the_reason() {
        let error = serde_json::from_str::<Fingerprint>("\"12\"").unwrap_err().to_string();
        let reason = "invalid relay fingerprint: must be 40 hexadecimal digits";
        assert!(error.starts_with(reason), "{error}");
    }
}
