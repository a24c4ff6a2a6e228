//! The router against values only: no socket, no thread.

use proptest::prelude::*;

use super::{GivenUp, Outcome, RawReply, Router, SlotId, probe_key};
use crate::error::Disconnect;
use crossbeam_channel::Receiver;

fn router() -> Router {
    let mut router = Router::default();
    router.allow_probes();
    router
}

fn reply(text: &str) -> RawReply {
    RawReply { bytes: format!("{text}\r\n").into_bytes(), events_before: 0 }
}

fn refusal(nonce: u64) -> RawReply {
    reply(&format!("552 Unrecognized key \"{}\"", probe_key(nonce)))
}

fn text(receiver: &Receiver<Outcome>) -> Option<String> {
    let reply = receiver.try_recv().ok()?.ok()?;
    Some(String::from_utf8(reply.bytes).unwrap().trim_end().to_owned())
}

fn reason(receiver: &Receiver<Outcome>) -> Option<String> {
    Some(receiver.try_recv().ok()?.err()?.to_string())
}

#[test]
fn replies_go_to_the_callers_in_the_order_of_their_commands() {
    let mut router = router();
    let receivers: Vec<_> = (0..3).map(|_| router.push().unwrap().1).collect();
    for n in 0..3 {
        router.deliver(reply(&format!("250 {n}"))).unwrap();
    }
    let texts: Vec<_> = receivers.iter().map(|receiver| text(receiver).unwrap()).collect();
    assert_eq!(texts, ["250 0", "250 1", "250 2"]);
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let error = router().deliver(reply("250 OK")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "replies are out of step with commands: a reply came that no command had asked for"
    );
}

#[test]
fn a_caller_that_gave_up_keeps_its_place_and_a_late_reply_is_dropped() {
    // The late reply went to the next caller (Stem 2-dev, peers 1).
    let mut router = router();
    let (late, late_receiver) = router.push().unwrap();
    assert_eq!(router.give_up(late), GivenUp::Probing);
    let nonce = router.push_probe().unwrap();
    let (_, next) = router.push().unwrap();
    router.deliver(reply("250 late")).unwrap();
    assert_eq!(text(&next), None, "held until the probe shows whose it is");
    router.deliver(refusal(nonce)).unwrap();
    router.deliver(reply("250 next")).unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
    assert_eq!(text(&late_receiver), None);
}

#[test]
fn a_command_that_is_never_answered_shifts_nobody() {
    let mut router = router();
    let (never, _receiver) = router.push().unwrap();
    router.give_up(never);
    let nonce = router.push_probe().unwrap();
    let (_, next) = router.push().unwrap();
    router.deliver(refusal(nonce)).unwrap();
    router.deliver(reply("250 next")).unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));
}

#[test]
fn live_callers_in_front_of_the_probe_get_their_own_replies_if_all_came() {
    let mut router = router();
    let (late, _receiver) = router.push().unwrap();
    let (_, behind) = router.push().unwrap();
    router.give_up(late);
    let nonce = router.push_probe().unwrap();
    router.deliver(reply("250 late")).unwrap();
    router.deliver(reply("250 behind")).unwrap();
    assert_eq!(text(&behind), None);
    router.deliver(refusal(nonce)).unwrap();
    assert_eq!(text(&behind).as_deref(), Some("250 behind"));
}

#[test]
fn when_nobody_can_know_whose_reply_is_missing_the_connection_ends() {
    let mut router = router();
    let (never, _receiver) = router.push().unwrap();
    let (_, behind) = router.push().unwrap();
    router.give_up(never);
    let nonce = router.push_probe().unwrap();
    router.deliver(reply("250 behind")).unwrap();
    let error = router.deliver(refusal(nonce)).unwrap_err();
    router.end(&error);
    assert_eq!(
        reason(&behind).as_deref(),
        Some(
            "replies are out of step with commands: a command went unanswered while others were \
             waiting behind it"
        )
    );
}

#[test]
fn one_probe_serves_all_that_gave_up_in_front_of_it() {
    let mut router = router();
    let ids: Vec<_> = (0..4).map(|_| router.push().unwrap().0).collect();
    router.give_up(ids[1]);
    assert!(router.push_probe().is_some());
    router.give_up(ids[0]);
    router.give_up(ids[3]);
    assert_eq!(router.push_probe(), None);
    let (behind, _receiver) = router.push().unwrap();
    router.give_up(behind);
    assert!(router.push_probe().is_some(), "this one is behind the first probe");
}

#[test]
fn what_was_not_written_is_taken_back_and_its_probe_stays_owed() {
    let mut router = router();
    let (late, _receiver) = router.push().unwrap();
    router.give_up(late);
    let nonce = router.push_probe().unwrap();
    router.push().unwrap();
    router.take_back(SlotId::from(nonce));
    assert_eq!(router.slots.len(), 1);
    assert!(router.push_probe().is_some());
}

#[test]
fn a_filter_that_refuses_the_probe_ends_the_connection_by_name() {
    let mut router = router();
    let (late, _receiver) = router.push().unwrap();
    router.give_up(late);
    router.push_probe().unwrap();
    let error = router.deliver(reply("510 Command filtered")).unwrap_err();
    assert!(matches!(error, Disconnect::OutOfStep { detail } if detail.contains("a filter")));
}

#[test]
fn the_first_reason_is_everybodys_now_and_later() {
    let mut router = router();
    let (_, waiting) = router.push().unwrap();
    assert!(router.end(&Disconnect::EndOfStream).is_some());
    assert!(router.end(&Disconnect::Closed).is_none());
    assert_eq!(reason(&waiting).as_deref(), Some("tor closed the connection"));
    assert_eq!(router.push().unwrap_err().to_string(), "tor closed the connection");
}

/// What happens to one command in the property test.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// tor answers it.
    answered: bool,
    /// Its caller gives up before the answer.
    gives_up: bool,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = (prop::bool::weighted(0.8), prop::bool::weighted(0.3))
        .prop_map(|(answered, gives_up)| Fate { answered, gives_up: gives_up || !answered });
    prop::collection::vec(fate, 1..12)
}

proptest! {
    /// Commands are sent one after the other, each after its predecessor's caller has its reply
    /// or gave up; tor answers what it answers in order, at any later time.
    #[test]
    fn no_caller_ever_gets_the_reply_of_another(fates in fates(), delay in 0..6_usize) {
        let mut router = router();
        let mut unanswered = std::collections::VecDeque::new();
        let mut receivers = Vec::new();
        let mut ended = false;
        for (n, fate) in fates.iter().enumerate() {
            if let Some(nonce) = router.push_probe() {
                unanswered.push_back(refusal(nonce));
            }
            let (id, receiver) = router.push().unwrap();
            receivers.push(receiver);
            if fate.answered {
                unanswered.push_back(reply(&format!("250 {n}")));
            }
            if fate.gives_up {
                prop_assert_eq!(router.give_up(id), GivenUp::Probing);
            }
            while unanswered.len() > delay {
                let next = unanswered.pop_front().unwrap();
                if let Err(reason) = router.deliver(next) {
                    router.end(&reason);
                    ended = true;
                    break;
                }
            }
            if ended {
                break;
            }
        }
        if !ended {
            if let Some(nonce) = router.push_probe() {
                unanswered.push_back(refusal(nonce));
            }
            for reply in unanswered {
                if let Err(reason) = router.deliver(reply) {
                    router.end(&reason);
                    ended = true;
                    break;
                }
            }
        }
        for (n, receiver) in receivers.iter().enumerate() {
            match text(receiver) {
                Some(text) => prop_assert_eq!(text, format!("250 {n}")),
                None => prop_assert!(ended || fates[n].gives_up, "{} got nothing", n),
            }
        }
    }
}
