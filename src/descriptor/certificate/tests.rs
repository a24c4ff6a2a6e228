use std::time::{Duration, SystemTime};

use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use super::{CertificateType, CertifiedKeyType, Ed25519Certificate};

/// The certificate of the signing key of a relay of 2015.
const PEM: &str = "-----BEGIN ED25519 CERT-----\n\
                   AQQABhtZAaW2GoBED1IjY3A6f6GNqBEl5A83fD2Za9upGke51JGqAQAgBABnprVR\n\
                   ptIr43bWPo2fIzo3uOywfoMrryprpbm4HhCkZMaO064LP+1KNuLvlc8sGG8lTjx1\n\
                   g4k3ELuWYgHYWU5rAia7nl4gUfBZOEfHAfKES7l3d63dBEjEX98Ljhdp2w4=\n\
                   -----END ED25519 CERT-----\n";

fn certificate() -> Ed25519Certificate {
    Ed25519Certificate::from_pem(PEM).unwrap()
}

/// A certificate with these extensions.
fn with(extensions: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(extensions.len()).unwrap();
    [&[1, 12, 0, 0, 0, 1, 1][..], &[7; 32], &[count], &extensions.concat(), &[9; 64]].concat()
}

fn extension(of_type: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &[of_type, flags], data].concat()
}

#[test]
fn every_part_of_a_certificate_is_read() {
    let certificate = certificate();
    assert_eq!(certificate.certificate_type(), CertificateType::IdentityVSigning);
    assert_eq!(certificate.key_type(), CertifiedKeyType::Ed25519);
    // 2015-09-05 05:00:00, as Stem prints it.
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(0x61b59 * 3600);
    assert_eq!(certificate.expires(), expires);
    assert_eq!(certificate.key()[..3], [0xa5, 0xb6, 0x1a]);
    // The identity of the relay: its line master-key-ed25519.
    assert_eq!(certificate.signing_key().unwrap()[..3], [0x67, 0xa6, 0xb5]);
    let extensions: Vec<_> = certificate.extensions().collect();
    assert_eq!(extensions.len(), 1);
    assert_eq!((extensions[0].extension_type(), extensions[0].flags()), (4, 0));
    assert_eq!(certificate.as_bytes().len(), 140);
    assert_eq!(certificate.signed_bytes(), &certificate.as_bytes()[..76]);
    assert_eq!(certificate.signature()[..], certificate.as_bytes()[76..]);
    assert_eq!(certificate.to_pem(), PEM);
    assert_eq!(Ed25519Certificate::from_bytes(certificate.as_bytes()), Ok(certificate));
}

#[test]
fn unknown_extensions_are_kept_with_their_flags() {
    let bytes = with(&[&extension(4, 1, &[5; 32]), &extension(200, 6, b"new"), &[0, 0, 1, 0]]);
    let certificate = Ed25519Certificate::from_bytes(&bytes).unwrap();
    assert_eq!(certificate.signing_key(), Some([5; 32]));
    let read: Vec<_> = certificate
        .extensions()
        .map(|part| (part.extension_type(), part.flags(), part.affects_validation(), part.data()))
        .collect();
    assert_eq!(read, [(4, 1, true, &[5; 32][..]), (200, 6, false, b"new"), (1, 0, false, &[][..])]);
    assert!(certificate.to_pem().starts_with("-----BEGIN FAMILY CERT-----\n"));
    assert_eq!(Ed25519Certificate::from_pem(&certificate.to_pem()), Ok(certificate));
}

#[test]
fn the_error_of_an_invalid_certificate_names_the_wrong_part() {
    let expected =
        |bytes: &[u8]| Ed25519Certificate::from_bytes(bytes).unwrap_err().expected().to_owned();
    let valid = with(&[&extension(4, 0, &[5; 32])]);
    assert!(Ed25519Certificate::from_bytes(&valid).is_ok());
    assert_eq!(expected(&valid[..103]), "at least 104 bytes");
    assert_eq!(expected(&valid[..139]), "whole extensions");
    assert_eq!(expected(&[&valid[..], &[0]].concat()), "the signature after the extensions");
    let mut version = valid.clone();
    version[0] = 2;
    assert_eq!(expected(&version), "version 1");
    for extensions in [vec![extension(4, 0, &[5; 31])], vec![extension(4, 0, &[5; 32]); 2]] {
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        assert_eq!(expected(&with(&extensions)), "one signing key of 32 bytes");
    }
    assert_eq!(
        expected(&with(&[&extension(5, 1, b"")])),
        "no unknown extension that affects the validation"
    );
    let pem = |text: &str| Ed25519Certificate::from_pem(text).unwrap_err().to_string();
    for text in ["", "AQQA", &PEM.replace("ED25519", "RSA"), &PEM.replace("-----END", "END")] {
        assert!(
            pem(text).contains("expected an object ED25519 CERT or FAMILY CERT in base64"),
            "{text}"
        );
    }
}

#[test]
fn base64_without_padding_and_line_ends_of_windows_are_read() {
    for text in [PEM.replace("2w4=", "2w4"), PEM.replace('\n', "\r\n"), format!("\n{PEM}\n")] {
        assert_eq!(Ed25519Certificate::from_pem(&text), Ok(certificate()), "{text:?}");
    }
}

#[test]
fn every_number_is_kept_as_a_type() {
    for number in 0..=u8::MAX {
        assert_eq!(CertificateType::from(number).number(), number);
        assert_eq!(CertifiedKeyType::from(number).number(), number);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, changes: Vec<(Index, u8)>, cut in any::<Index>()) {
        let mut changed = certificate().as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        changed.truncate(cut.index(changed.len()) + 1);
        for bytes in [bytes, changed] {
            if let Ok(certificate) = Ed25519Certificate::from_bytes(&bytes) {
                let extensions: usize =
                    certificate.extensions().map(|part| part.data().len() + 4).sum();
                assert_eq!(40 + extensions + 64, bytes.len());
                let _ = (certificate.signing_key(), certificate.expires());
                assert_eq!(Ed25519Certificate::from_pem(&certificate.to_pem()), Ok(certificate));
            }
        }
    }
}
