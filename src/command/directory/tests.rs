use super::{DescriptorPosted, HsFetch, HsPost, PostDescriptor};
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
use crate::names::{Fingerprint, OnionAddress, RouterPurpose};

const ID: &str = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";

fn service() -> OnionAddress {
    ID.parse().unwrap()
}

fn server(number: u8) -> Fingerprint {
    Fingerprint::from([number; 20])
}

#[test]
fn a_descriptor_is_sent_as_data_with_its_options() {
    assert_eq!(sent(&PostDescriptor::new("foo")), "+POSTDESCRIPTOR\r\nfoo\r\n.\r\n");
    let everything = PostDescriptor::new("a\n.\nb\n").purpose(RouterPurpose::Bridge).cache(true);
    assert_eq!(
        sent(&everything),
        "+POSTDESCRIPTOR purpose=bridge cache=yes\r\na\r\n..\r\nb\r\n.\r\n"
    );
    assert_eq!(
        sent(&PostDescriptor::new("foo").cache(false)),
        "+POSTDESCRIPTOR cache=no\r\nfoo\r\n.\r\n"
    );
}

#[test]
fn tor_accepts_a_descriptor_or_has_it_already_or_refuses_it() {
    let post = PostDescriptor::new("foo");
    assert_eq!(answered(&post, b"250 OK\r\n").unwrap(), DescriptorPosted::Added);
    assert_eq!(
        answered(&post, b"251 Router descriptor was not new.\r\n").unwrap(),
        DescriptorPosted::NotAdded("Router descriptor was not new.".to_owned())
    );
    for (reply, message) in [
        (
            &b"554 Couldn't parse router descriptor.\r\n"[..],
            r#"554 "Couldn't parse router descriptor.""#,
        ),
        (b"552 Unknown purpose \"nope\"\r\n", r#"552 "Unknown purpose \"nope\"""#),
    ] {
        let message = format!("tor refused POSTDESCRIPTOR: {message}");
        assert_eq!(error(&post, reply).to_string(), message);
    }
    assert!(misrouted(&post, b"250-version=1\r\n250 OK\r\n").contains("expected OK"));
}

#[test]
fn an_empty_descriptor_and_a_purpose_that_is_no_word_are_refused() {
    for (descriptor, problem) in [("", "is empty"), ("a\0b", "contains NUL")] {
        let message = format!("invalid argument \"descriptor\": {problem}");
        assert_eq!(refusal(&PostDescriptor::new(descriptor)), message);
        assert_eq!(refusal(&HsPost::new(service(), descriptor)), message);
    }
    for (purpose, problem) in [("", "is empty"), ("a\nb", "contains a line feed")] {
        let message = format!("invalid argument \"purpose\": {problem}");
        let purpose = RouterPurpose::from(purpose);
        assert_eq!(refusal(&PostDescriptor::new("x").purpose(purpose)), message);
    }
    let long = PostDescriptor::new("x\n".repeat(400_000));
    assert_eq!(
        refusal(&long),
        "invalid argument \"command\": has 1200020 bytes, and tor accepts at most 1048575"
    );
}

#[test]
fn descriptors_of_services_are_fetched_by_address() {
    let fetch = HsFetch::new(service());
    assert_eq!(sent(&fetch), format!("HSFETCH {ID}\r\n"));
    let (first, second) = ("01".repeat(20), "02".repeat(20));
    assert_eq!(
        sent(&fetch.clone().server(server(1)).server(server(2))),
        format!("HSFETCH {ID} SERVER=${first} SERVER=${second}\r\n")
    );
    assert!(answered(&fetch, b"250 OK\r\n").is_ok());
    for (reply, message) in [
        (&b"513 Invalid argument \"v3-abc\"\r\n"[..], r#"513 "Invalid argument \"v3-abc\"""#),
        (b"552 Server \"$AA\" not found\r\n", r#"552 "Server \"$AA\" not found""#),
    ] {
        let message = format!("tor refused HSFETCH: {message}");
        assert_eq!(error(&fetch, reply).to_string(), message);
    }
}

#[test]
fn a_descriptor_of_a_service_is_never_sent_without_its_address() {
    // Without it tor never answers (peers 4).
    let post = HsPost::new(service(), "hs-descriptor 3\n");
    assert_eq!(sent(&post), format!("+HSPOST HSADDRESS={ID}\r\nhs-descriptor 3\r\n.\r\n"));
    let (first, second) = ("01".repeat(20), "02".repeat(20));
    assert_eq!(
        sent(&post.clone().server(server(1)).server(server(2))),
        format!(
            "+HSPOST SERVER=${first} SERVER=${second} HSADDRESS={ID}\r\n\
             hs-descriptor 3\r\n.\r\n"
        )
    );
    assert!(answered(&post, b"250 OK\r\n").is_ok());
    assert_eq!(
        error(&post, b"554 Invalid descriptor\r\n").to_string(),
        r#"tor refused HSPOST: 554 "Invalid descriptor""#
    );
}
