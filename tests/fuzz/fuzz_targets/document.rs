//! Documents of the directory: parsing, every field, the strict check, signatures, and unknown lines.
//! The first byte chooses the type.
#![no_main]

use std::time::SystemTime;

use torcon::descriptor::{
    Consensus, DescriptorIndex, ExtraInfo, KeyCertificate, Microdescriptor, Microdescriptors,
    OnionDescriptor, RouterStatus, RouterStatuses, ServerDescriptor, Vote,
};
use torcon::names::{OnionKey, TimePeriod};

/// Parses the text as one type, and uses what all types have. Returns the document.
macro_rules! document {
    ($type:ident, $text:expr) => {
        $type::parse($text.to_vec()).ok().inspect(|document| {
            let checked = document.check();
            let _ = (document.unrecognized().count(), format!("{document:?}"));
            // Calls every method.
            serde_json::to_vec(&document).unwrap();
            if let Err(error) = checked {
                assert!(!error.to_string().is_empty());
            }
            let again = $type::parse(document.as_bytes().to_vec());
            let again = again.expect("the text of a document can be parsed");
            assert_eq!(again.as_bytes(), document.as_bytes());
        })
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let at = SystemTime::UNIX_EPOCH;
    let authorities: Vec<_> = torcon::descriptor::public_authorities().collect();
    match choice % 8 {
        0 => {
            if let Some(consensus) = document!(Consensus, text) {
                for relay in consensus.relays().iter().flatten() {
                    serde_json::to_vec(&relay).unwrap();
                    let _ = consensus.relay(relay.identity());
                }
                let _ = (consensus.digest(), consensus.verify(&[], &authorities, at).is_ok());
            }
        }
        1 => {
            if let Some(vote) = document!(Vote, text) {
                let relays = vote.relays().iter().flatten();
                relays.for_each(|relay| drop(serde_json::to_vec(&relay).unwrap()));
                let _ = vote.verify(&authorities, at);
            }
        }
        2 => {
            if let Some(relay) = document!(ServerDescriptor, text) {
                let _ = (relay.digest(), relay.digest_sha256(), relay.verify(at).is_ok());
                let _ = relay.allows_exit_to([8, 8, 8, 8].into(), 443);
            }
        }
        3 => {
            if let Some(document) = document!(ExtraInfo, text) {
                let _ = (document.digest(), document.digest_sha256());
            }
        }
        4 => {
            if let Some(relay) = document!(Microdescriptor, text) {
                let list = Microdescriptors::new(text.to_vec());
                let index = DescriptorIndex::new(&list);
                assert!(index.len() <= list.len());
                let _ = relay.digest();
            }
        }
        5 => drop(document!(KeyCertificate, text).map(|it| it.verify(at).is_ok())),
        6 => {
            if let Some(descriptor) = document!(OnionDescriptor, text) {
                let service = OnionKey::from_seed([69; 32]).address();
                let period = TimePeriod::new(41_566, 720);
                let _ = (descriptor.id(), descriptor.belongs_to(&service, period));
                let _ = descriptor.verify(&service, period, at);
                let _ = descriptor.decrypt(&service, None).map(|layer| format!("{layer:?}"));
            }
        }
        _ => {
            document!(RouterStatus, text);
            let list = RouterStatuses::new(text.to_vec());
            assert_eq!(list.iter().count(), list.len());
        }
    }
});
