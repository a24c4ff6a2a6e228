//! Names and addresses: what is accepted is the same after writing it. The first byte chooses the
//! type.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use torcon::Endpoint;
use torcon::descriptor::ProtocolVersions;
use torcon::names::{
    BridgeLine, ClientAuthPublicKey, ClientName, CountryCode, Fingerprint, Nickname, OnionAddress,
    OnionPort, PortTarget, RelaySpec, Target, TorVersion, TransportPlugin, UpstreamProxy,
};

fn check<T: FromStr + Display>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    if text.len() > 200 || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        // Escaped or shortened for printing.
        return;
    }
    let written = value.to_string();
    let Ok(again) = written.parse::<T>() else {
        panic!("{text:?} was accepted, and {written:?} is not");
    };
    assert_eq!(again.to_string(), written);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match choice % 15 {
        0 => check::<BridgeLine>(text),
        1 => check::<ClientAuthPublicKey>(text),
        2 => check::<ClientName>(text),
        3 => check::<CountryCode>(text),
        4 => check::<Fingerprint>(text),
        5 => check::<Nickname>(text),
        6 => check::<OnionAddress>(text),
        7 => check::<OnionPort>(text),
        8 => check::<PortTarget>(text),
        9 => check::<RelaySpec>(text),
        10 => check::<Target>(text),
        11 => check::<TorVersion>(text),
        12 => check::<TransportPlugin>(text),
        13 => check::<Endpoint>(text),
        _ => check::<ProtocolVersions>(text),
    }
    // It prints no credentials, and so has no text.
    let _ = text.parse::<UpstreamProxy>().map(|proxy| format!("{proxy:?}"));
});
