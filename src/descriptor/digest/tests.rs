use data_encoding::{BASE64_NOPAD, HEXUPPER};

use super::super::{ExtraInfo, Microdescriptor, Microdescriptors, ServerDescriptor};
use super::{
    consensus_signed_part, ed25519_signed_part, key_certificate_signed_part, sha1, sha256,
};

#[test]
fn the_digests_of_abc_are_those_of_the_standards() {
    assert_eq!(HEXUPPER.encode(&sha1(b"abc")), "A9993E364706816ABA3E25717850C26C9CD0D89D");
    assert_eq!(
        HEXUPPER.encode(&sha256(b"abc")),
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
    );
}

#[test]
fn a_microdescriptor_is_digested_without_annotations_and_blank_lines() {
    let text =
        "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\np accept 80\n";
    let digest = sha256(text.as_bytes());
    for written in [
        text.to_owned(),
        // As the last one of a reply.
        text.trim_end().to_owned(),
        format!("@last-listed 2026-11-26 14:00:00\n{text}"),
        format!("@type microdescriptor 1.0\n\n@last-listed 2026-11-26 14:00:00\n{text}"),
        format!("{text}\n\n"),
        format!("{text}@last-listed 2026-11-26 14:00:00\nonion-key\nid rsa1024 Aa\n"),
        format!("{text}{text}"),
    ] {
        assert_eq!(Microdescriptor::parse(written.as_str()).unwrap().digest(), digest, "{written}");
    }
    let other = text.replace("80", "443");
    for between in ["", "\n", "@last-listed 2026-11-26 14:00:00\n", "\n@a\n@b\n"] {
        let list = Microdescriptors::new(format!("{between}{text}{between}{other}{between}{text}"));
        let digests: Vec<_> = list.iter().map(|entry| entry.unwrap().digest()).collect();
        assert_eq!(digests, [digest, sha256(other.as_bytes()), digest], "{between:?}");
    }
}

#[test]
fn a_server_descriptor_is_digested_through_the_line_of_its_rsa_signature() {
    let signed = "router me 192.0.2.1 9001 0 0\npublished 2026-11-26 14:00:00\n\
                  contact router-signature\nrouter-sig-ed25519 2ZQ\nrouter-signature\n";
    let object = "-----BEGIN SIGNATURE-----\nw7rh\n-----END SIGNATURE-----";
    for written in [
        format!("{signed}{object}\n"),
        format!("{signed}{object}"),
        format!("@downloaded-at 2026-11-26 14:00:00\n@source \"192.0.2.1\"\n{signed}{object}\n\n"),
    ] {
        let descriptor = ServerDescriptor::parse(written.as_str()).unwrap();
        assert_eq!(descriptor.digest(), Some(sha1(signed.as_bytes())), "{written}");
        assert_eq!(descriptor.digest_sha256(), Some(sha256(signed.as_bytes())), "{written}");
        let part = ed25519_signed_part(written.as_bytes()).unwrap();
        assert!(part.starts_with(b"router me") && part.ends_with(b"\nrouter-sig-ed25519 "));
    }
    let unsigned = ServerDescriptor::parse("router me 192.0.2.1 9001 0 0\n").unwrap();
    assert_eq!((unsigned.digest(), unsigned.digest_sha256()), (None, None));
    let cut = ServerDescriptor::parse(signed.trim_end()).unwrap();
    assert_eq!(cut.digest(), None);
}

#[test]
fn the_second_digest_of_an_extra_info_document_covers_its_signature() {
    let signed = "extra-info me 5D028C16CE4A164287E9565F5EAFB67890978463\n\
                  published 2026-11-23 20:27:49\nrouter-signature\n";
    let whole = format!("{signed}-----BEGIN SIGNATURE-----\nw7rh\n-----END SIGNATURE-----\n");
    for written in [whole.clone(), whole.trim_end().to_owned(), format!("@type a 1.0\n{whole}\n")] {
        let document = ExtraInfo::parse(written.as_str()).unwrap();
        assert_eq!(document.digest(), Some(sha1(signed.as_bytes())), "{written}");
        assert_eq!(document.digest_sha256(), Some(sha256(whole.as_bytes())), "{written}");
    }
    let cut = ExtraInfo::parse(signed).unwrap();
    assert_eq!((cut.digest(), cut.digest_sha256()), (Some(sha1(signed.as_bytes())), None));
}

#[test]
fn a_sanitized_document_has_the_digest_of_its_line_and_a_signed_one_its_own() {
    let digest = "A863EFE8395C41C880782B89B850D20EDD242BDA";
    let sha256 = "OB/fqLD8lYmjti09R+xXH/D4S2qlizxdZqtudnsunxE";
    let lines = format!("router-digest-sha256 {sha256}\nrouter-digest {digest}\n");
    let descriptor = ServerDescriptor::parse(format!("router me 10.0.0.1 1 0 0\n{lines}")).unwrap();
    let document = ExtraInfo::parse(format!(
        "extra-info me 5D028C16CE4A164287E9565F5EAFB67890978463\n{lines}"
    ))
    .unwrap();
    for (one, other) in [
        (descriptor.digest(), descriptor.digest_sha256()),
        (document.digest(), document.digest_sha256()),
    ] {
        assert_eq!(HEXUPPER.encode(&one.unwrap()), digest);
        assert_eq!(BASE64_NOPAD.encode(&other.unwrap()), sha256);
    }
    // A relay cannot take the digest of another.
    let signed = format!("router me 192.0.2.1 1 0 0\n{lines}router-signature\n");
    let descriptor = ServerDescriptor::parse(signed.as_str()).unwrap();
    assert_eq!(descriptor.digest(), Some(sha1(signed.as_bytes())));
}

#[test]
fn authorities_sign_a_consensus_up_to_the_blank_behind_the_keyword_of_the_first_signature() {
    let signed = "network-status-version 3 microdesc\nvote-status consensus\n\
                  directory-footer\ndirectory-signature ";
    let text = format!("@type a 1.0\n{signed}sha256 AA BB\ndirectory-signature sha256 CC DD\n");
    assert_eq!(consensus_signed_part(text.as_bytes()), Some(signed.as_bytes()));
    assert_eq!(consensus_signed_part(b"network-status-version 3\n"), None);
    assert_eq!(consensus_signed_part(b"vote-status consensus\ndirectory-signature a\n"), None);
}

#[test]
fn the_signed_part_of_a_key_certificate_ends_with_a_line() {
    let signed = "dir-key-certificate-version 3\nfingerprint AA\ndir-key-certification\n";
    let text = format!("{signed}-----BEGIN SIGNATURE-----\n");
    assert_eq!(key_certificate_signed_part(text.as_bytes()), Some(signed.as_bytes()));
}
