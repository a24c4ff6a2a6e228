//! Documents of the directory: parsing, the strict check, digests, and unknown lines. The first byte
//! chooses the type.
#![no_main]

use torcon::descriptor::{
    Consensus, ExtraInfo, KeyCertificate, Microdescriptor, OnionDescriptor, RouterStatus,
    RouterStatuses, ServerDescriptor, Vote,
};

/// Parses the text as one type, and uses what all types have.
macro_rules! document {
    ($type:ident, $text:expr) => {
        if let Ok(document) = $type::parse($text.to_vec()) {
            let checked = document.check();
            let _ = (document.unrecognized().count(), format!("{document:?}"));
            if let Err(error) = checked {
                assert!(!error.to_string().is_empty());
            }
            let again = $type::parse(document.as_bytes().to_vec());
            let again = again.expect("the text of a document can be parsed");
            assert_eq!(again.as_bytes(), document.as_bytes());
        }
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    match choice % 8 {
        0 => document!(Consensus, text),
        1 => document!(Vote, text),
        2 => document!(ServerDescriptor, text),
        3 => document!(ExtraInfo, text),
        4 => document!(Microdescriptor, text),
        5 => document!(KeyCertificate, text),
        6 => document!(OnionDescriptor, text),
        _ => {
            document!(RouterStatus, text);
            let list = RouterStatuses::new(text.to_vec());
            assert_eq!(list.iter().count(), list.len());
        }
    }
});
