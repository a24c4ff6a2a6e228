use torcon::command::{AddOnion, DescriptorPosted, HsFetch, HsPost, PostDescriptor};
use torcon::names::{HsDescAction, OnionPort, RelaySpec, RouterPurpose};
use torcon::{Event, EventKind};

use super::{LIMIT, join, shared_network};

#[test]
fn the_descriptor_of_a_service_is_fetched_and_sent_again() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let events = controller.events([EventKind::HsDesc, EventKind::HsDescContent]).unwrap();
    let service = controller.add_onion(&AddOnion::new([OnionPort::new(80, 8080)])).unwrap();
    let find = |action: HsDescAction| {
        let found = events.timeout_iter(LIMIT).find_map(|event| match event {
            Event::HsDesc(event) if event.action == action => Some(event),
            _ => None,
        });
        found.expect("a directory says so")
    };
    let uploaded = find(HsDescAction::Uploaded);
    let server = uploaded.hsdir.and_then(|relay| relay.fingerprint()).expect("tor names it");

    controller.hs_fetch(&HsFetch::new(service.address).server(server)).unwrap();
    let received = find(HsDescAction::Received);
    assert_eq!(received.hsdir.and_then(|relay| relay.fingerprint()), Some(server));
    let id = service.address.service_id();
    let content = events.timeout_iter(LIMIT).map(|event| event.to_string()).find_map(|text| {
        let (head, descriptor) = text.split_once('\n')?;
        head.starts_with(&format!("HS_DESC_CONTENT {id} ")).then(|| descriptor.to_owned())
    });
    let content = content.expect("the descriptor comes");
    assert!(content.starts_with("hs-descriptor 3\n"), "{content}");
    // Without servers it is tor who chooses.
    controller.hs_fetch(&HsFetch::new(service.address)).unwrap();
    find(HsDescAction::Received);

    // What the directory says of it depends on which it has.
    controller.hs_post(&HsPost::new(service.address, content).server(server)).unwrap();
    let answers = [HsDescAction::Uploaded, HsDescAction::Failed];
    let is_answer = |event: &Event| {
        matches!(event, Event::HsDesc(event) if answers.contains(&event.action)
            && event.hsdir.as_ref().and_then(RelaySpec::fingerprint) == Some(server))
    };
    assert!(events.timeout_iter(LIMIT).any(|event| is_answer(&event)));
    tor.quit().unwrap();
}

#[test]
fn the_descriptor_of_a_relay_is_taken_once() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let authority = shared_network().controller("auth0").unwrap();
    let text = authority.get_info_one("desc/name/relay0").unwrap();
    let post = PostDescriptor::new(text).purpose(RouterPurpose::Controller).cache(false);
    assert_eq!(controller.post_descriptor(&post).unwrap(), DescriptorPosted::Added);
    let second = controller.post_descriptor(&post).unwrap();
    let expected = DescriptorPosted::NotAdded("Router descriptor was not new.".to_owned());
    assert_eq!(second, expected);
    tor.quit().unwrap();
}
