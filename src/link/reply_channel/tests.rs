use std::thread;
use std::time::{Duration, Instant};

use super::super::router::{NoReply, SequencedReply};
use super::{ReplyReceiver, Wake, reply_channel, with_unused};
use crate::error::Disconnect;
use crate::wire::Reply;

const LIMIT: Duration = Duration::from_secs(30);

fn reply(text: &str) -> SequencedReply {
    let reply = Reply::parse(format!("250 {text}\r\n").into_bytes()).unwrap();
    SequencedReply { reply, events_before: 0 }
}

fn received(channel: &ReplyReceiver) -> Option<String> {
    let sequenced = channel.try_receive()?.unwrap();
    Some(sequenced.reply.text().into_owned())
}

/// Runs a test on a thread, whose unused channels are its own.
fn on_a_thread(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, test).unwrap().join().unwrap();
    });
}

#[test]
fn a_late_reply_is_not_received_by_the_next_use_of_the_channel() {
    on_a_thread(|| {
        let (late, channel) = reply_channel();
        drop(channel);
        let (sender, channel) = reply_channel();
        assert!(std::ptr::eq(&*late.channel, &*sender.channel), "it is used again");
        late.send(Ok(reply("late")));
        assert!(!late.give_turn());
        assert_eq!(received(&channel), None);
        sender.send(Ok(reply("own")));
        late.send(Ok(reply("late")));
        assert_eq!(received(&channel).as_deref(), Some("own"));
    });
}

#[test]
fn an_unread_reply_is_not_received_by_the_next_use_of_the_channel() {
    on_a_thread(|| {
        let (sender, channel) = reply_channel();
        sender.send(Ok(reply("unread")));
        drop(channel);
        let (_sender, channel) = reply_channel();
        assert_eq!(received(&channel), None);
        assert!(matches!(channel.wait(Instant::now()), Wake::TimedOut));
    });
}

#[test]
fn a_reply_is_received_once_and_the_first_outcome_counts() {
    let (sender, channel) = reply_channel();
    sender.send(Ok(reply("first")));
    sender.send(Err(NoReply::Closed(Disconnect::Closed)));
    assert_eq!(received(&channel).as_deref(), Some("first"));
    sender.send(Ok(reply("second")));
    assert_eq!(received(&channel), None);
    assert!(matches!(channel.wait(Instant::now()), Wake::Received));
}

#[test]
fn a_turn_is_not_lost_to_a_look_for_the_reply() {
    let (sender, channel) = reply_channel();
    assert!(sender.give_turn());
    assert_eq!(received(&channel), None);
    assert!(matches!(channel.wait(Instant::now()), Wake::Turn));
    assert!(sender.give_turn());
    sender.send(Ok(reply("own")));
    assert!(!sender.give_turn(), "a reply needs no turn");
    assert!(channel.wait_turn(Instant::now()));
    assert_eq!(received(&channel).as_deref(), Some("own"));
}

#[test]
fn a_thread_keeps_a_bounded_number_of_channels() {
    on_a_thread(|| {
        let channels: Vec<_> = (0..3 * super::KEPT).map(|_| reply_channel()).collect();
        drop(channels);
        assert_eq!(with_unused(|unused| unused.len()), Some(super::KEPT));
    });
}

#[test]
fn a_channel_may_be_received_from_and_dropped_on_another_thread_or_during_its_end() {
    thread_local! {
        static LAST: std::cell::RefCell<Option<ReplyReceiver>> =
            const { std::cell::RefCell::new(None) };
    }
    let (sender, channel) = reply_channel();
    let waiting = thread::Builder::new().spawn(move || {
        let outcome = channel.wait(Instant::now() + LIMIT);
        // Dropped when the thread ends, perhaps after its unused channels.
        LAST.with(|last| *last.borrow_mut() = Some(channel));
        outcome
    });
    sender.send(Ok(reply("moved")));
    let Wake::Outcome(outcome) = waiting.unwrap().join().unwrap() else { panic!("no outcome") };
    assert_eq!(outcome.unwrap().reply.text(), "moved");
    sender.send(Ok(reply("late")));
}
