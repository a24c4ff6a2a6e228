use std::collections::BTreeSet;

use torcon::command::{AddOnion, DescriptorPosted, HsFetch, HsPost, PostDescriptor};
use torcon::event::HsDescEvent;
use torcon::names::{HsDescAction, OnionPort, RelaySpec, RouterPurpose};
use torcon::{Event, EventKind};

use super::retry::{find_in, retried};
use super::{LIMIT, join, shared_network};

#[test]
fn the_descriptor_of_a_service_is_fetched_and_sent_again() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let events = controller.events([EventKind::HsDesc, EventKind::HsDescContent]).unwrap();
    let service = controller.add_onion(&AddOnion::new([OnionPort::new(80, 8080)])).unwrap();
    let hsdir = |event: &HsDescEvent| event.hsdir().as_ref().and_then(RelaySpec::fingerprint);
    // Every relay gets two descriptors, of this period and of another.
    let mut half = BTreeSet::new();
    let server = find_in(&events, LIMIT, |event| {
        let Event::HsDesc(event) = event else { return None };
        let server = hsdir(&event).filter(|_| event.action() == HsDescAction::Uploaded)?;
        (!half.insert(server)).then_some(server)
    });
    let server = server.expect("a directory has both");

    // Every answer to a request is an event, of a success or a failure.
    let fetched = |fetch: &HsFetch, is_from: &dyn Fn(&HsDescEvent) -> bool| {
        retried(controller, "the descriptor is fetched", || {
            controller.hs_fetch(fetch).unwrap();
            let answers = [HsDescAction::Received, HsDescAction::Failed];
            let answer = find_in(&events, LIMIT, |event| match event {
                Event::HsDesc(event) if answers.contains(&event.action()) && is_from(&event) => {
                    Some(event)
                }
                _ => None,
            });
            match answer {
                Some(event) if event.action() == HsDescAction::Received => Ok(event),
                other => Err(format!("{other:?}")),
            }
        })
    };

    // The uploads may still be pending, and fail.
    let of_fetch = |event: &HsDescEvent| hsdir(event) == Some(server);
    fetched(&HsFetch::new(service.address).server(server), &of_fetch);
    let id = service.address.service_id();
    let content = find_in(&events, LIMIT, |event| {
        let text = event.to_string();
        let (head, descriptor) = text.split_once('\n')?;
        head.starts_with(&format!("HS_DESC_CONTENT {id} ")).then(|| descriptor.to_owned())
    });
    let content = content.expect("the descriptor arrives");
    assert!(content.starts_with("hs-descriptor 3\n"), "{content}");
    // Without servers, tor chooses them.
    fetched(&HsFetch::new(service.address), &|_| true);

    // The answer of the directory depends on the descriptor that it has.
    controller.hs_post(&HsPost::new(service.address, content).server(server)).unwrap();
    let answers = [HsDescAction::Uploaded, HsDescAction::Failed];
    let is_answer = |event: &Event| {
        matches!(event, Event::HsDesc(event) if answers.contains(&event.action())
            && hsdir(event) == Some(server))
    };
    let answer = find_in(&events, LIMIT, |event| is_answer(&event).then_some(()));
    answer.expect("the directory answers");
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
