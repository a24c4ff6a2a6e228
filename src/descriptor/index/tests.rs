use data_encoding::BASE64_NOPAD;

use super::super::digest::{sha1, sha256};
use super::super::{
    DescriptorIndex, DescriptorList, ExtraInfo, Microdescriptor, Microdescriptors, RouterStatus,
    ServerDescriptor,
};

fn microdescriptor(n: u32) -> String {
    format!("onion-key\nfamily me{n}\n")
}

fn relay(digest: &str, lines: &str) -> RouterStatus {
    let text = format!(
        "r moria1 lpXfw1/+uGEym58asExGOXAgzjE {digest}2038-01-01 00:00:00 128.31.0.39 9101 0\n{lines}"
    );
    RouterStatus::parse(text).unwrap()
}

#[test]
fn a_relay_finds_its_microdescriptor_by_each_form_of_the_digest() {
    let text: String = (0..100).map(microdescriptor).collect();
    let index = DescriptorIndex::new(&Microdescriptors::new(format!("{text}{text}")));
    assert_eq!((index.len(), index.is_empty()), (100, false));
    assert_eq!(format!("{index:?}"), "DescriptorIndex(100 entries)");
    assert!(index.iter().map(Microdescriptor::digest).is_sorted());
    for n in 0..100 {
        let text = microdescriptor(n);
        let digest = sha256(text.as_bytes());
        let base64 = BASE64_NOPAD.encode(&digest);
        let other = BASE64_NOPAD.encode(&[7; 32]);
        for relay in [
            relay("", &format!("m {base64}\n")),
            relay("", &format!("m 8,9 sha256={other}\nm 28,29 sha256={base64}\n")),
            relay(&format!("{} ", BASE64_NOPAD.encode(&digest[..20])), ""),
        ] {
            assert_eq!(index.of(&relay).unwrap().to_string(), text);
        }
        assert_eq!(index.get(&digest).unwrap().to_string(), text);
    }
    let first = BASE64_NOPAD.encode(&[0; 32]);
    let last = BASE64_NOPAD.encode(&[255; 32]);
    for lines in ["", "m\n", "m 28,29\n", &format!("m {first}\n"), &format!("m {last}\n")] {
        assert_eq!(index.of(&relay("", lines)), None, "{lines}");
    }
    let empty: DescriptorIndex<Microdescriptor> = [].into_iter().collect();
    assert_eq!((empty.of(&relay("", &format!("m {first}\n"))), empty.is_empty()), (None, true));
}

#[test]
fn a_relay_finds_its_descriptor_and_that_its_extra_info_document() {
    let end = "router-signature\n-----BEGIN SIGNATURE-----\nw7rh\n-----END SIGNATURE-----\n";
    let extra_info = |n: u32| {
        format!("extra-info me{n} 5D028C16CE4A164287E9565F5EAFB67890978463\nrouter-signature\n")
    };
    let descriptor = |n: u32| {
        let digest = data_encoding::HEXUPPER.encode(&sha1(extra_info(n).as_bytes()));
        format!("router me{n} 192.0.2.1 9001 0 0\nextra-info-digest {digest}\nrouter-signature\n")
    };
    let object = end.strip_prefix("router-signature\n").unwrap();
    let texts: Vec<_> = (0..20).map(|n| format!("{}{object}", descriptor(n))).collect();
    let list = DescriptorList::<ServerDescriptor>::new(format!("router x\n{}", texts.concat()));
    let descriptors = DescriptorIndex::new(&list);
    let documents: DescriptorIndex<ExtraInfo> =
        (0..20).map(|n| ExtraInfo::parse(extra_info(n) + object).unwrap()).collect();
    assert_eq!((descriptors.len(), documents.len()), (20, 20));
    for n in 0..20 {
        let digest = BASE64_NOPAD.encode(&sha1(descriptor(n).as_bytes()));
        let descriptor = descriptors.of(&relay(&format!("{digest} "), "")).unwrap();
        assert_eq!(descriptor.nickname().to_string(), format!("me{n}"));
        let document = documents.of(descriptor).unwrap();
        assert_eq!(document.nickname().to_string(), format!("me{n}"));
    }
    assert_eq!(descriptors.of(&relay("", "")), None);
    assert_eq!(documents.of(&ServerDescriptor::parse("router x 192.0.2.1 1 0 0").unwrap()), None);
}
