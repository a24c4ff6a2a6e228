//! Replies that are late, repeated or missing, and peers that do not read.

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use torcon::{Controller, Error, EventKind};

use super::{SOON, answer, closed, connected, join, start};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// A limit that is meant to pass.
const SHORT: Duration = Duration::from_millis(40);

/// Sends a command with a short limit, which passes.
#[track_caller]
fn time_out(controller: &Controller, command: &str) {
    let error = controller.with_timeout(SHORT).command(command).unwrap_err();
    let keyword = command.split(' ').next().unwrap();
    assert_eq!(
        error.to_string(),
        format!("timed out after 40ms waiting for the reply to {keyword}")
    );
}

/// Answers like [`answer`], except commands that contain `never`.
fn answer_some(line: &str, out: &mut Vec<u8>) {
    if !line.contains("never") {
        answer(line, out);
    }
}

/// Returns a text for `LOADCONF` that exceeds the buffers of a socket.
fn long_text() -> String {
    format!("ContactInfo {}\n", "x".repeat(986)).repeat(1000)
}

#[test]
fn a_late_reply_is_discarded_and_the_next_caller_gets_its_own() {
    // In Stem 2-dev the late reply went to the next caller, without an error if it was `250 OK`. The
    // documentation contains the exact probe.
    let (tor, controller) = connected(|script| {
        script.expect("SETCONF Nickname=a").expect("GETINFO torcon/sync/3");
        script.expect("SAVECONF");
        script.send("250 OK\r\n552 Unrecognized key \"torcon/sync/3\"\r\n551 no\r\n");
        script.answer("GETINFO a", &["250-a=1", "250 OK"]).expect_end();
    });
    let impatient = controller.with_timeout(SHORT);
    assert!(impatient.set_conf([("Nickname", "a")]).unwrap_err().is_timeout());
    assert_eq!(controller.save_conf().unwrap_err().status_code(), Some(551));
    assert_eq!(controller.get_info_one("a").unwrap(), "1");
    drop((controller, impatient));
    tor.finish();
}

#[test]
fn a_command_that_is_never_answered_shifts_no_later_reply() {
    // tor never answers HSPOST without HSADDRESS.
    let (tor, controller) = connected(|script| {
        script.serve(answer_some);
    });
    for round in 0..5 {
        time_out(&controller, "ECHO never");
        for n in 0..5 {
            let text = format!("{round}/{n}");
            assert_eq!(controller.command(&format!("ECHO {text}")).unwrap().text(), text);
        }
    }
    drop(controller);
    // One probe for each, and nothing else.
    let lines = tor.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("torcon/sync/")).count(), 5, "{lines:?}");
    assert_eq!(lines.len(), 2 + 5 * 7);
    tor.finish();
}

#[test]
fn unanswered_commands_of_several_threads_shift_no_later_reply() {
    // With commands and replies of many threads in random order.
    let (tor, controller) = connected(|script| {
        script.serve(answer_some);
    });
    for round in 0..5 {
        // One after the other, since two at once would end the connection, as a test below shows.
        for _ in 0..3 {
            let impatient = controller.clone();
            join(start(move || time_out(&impatient, "ECHO never")));
        }
        let askers: Vec<_> = (0..8)
            .map(|thread| {
                let controller = controller.clone();
                start(move || {
                    for n in 0..20 {
                        let text = format!("{round}/{thread}/{n}");
                        let reply = controller.command(&format!("ECHO {text}")).unwrap();
                        assert_eq!(reply.text(), text);
                    }
                })
            })
            .collect();
        askers.into_iter().for_each(join);
    }
    drop(controller);
    tor.finish();
}

#[test]
fn after_unanswered_commands_of_many_threads_a_reply_is_right_or_an_error() {
    // A caller gets its own reply or an error. Commands sent before a timeout are excluded, since a
    // missing reply may still arrive then.
    for seed in 0..8_u64 {
        let (tor, controller) = connected(|script| {
            script.serve(answer_some);
        });
        let threads: Vec<_> = (0..4_u64)
            .map(|thread| {
                let controller = controller.with_timeout(SHORT);
                start(move || {
                    for n in 0..6 {
                        let never = (seed * 5 + thread * 7 + n * 3) % 8 == 0;
                        let command = if never { "ECHO never" } else { "ECHO some" };
                        match controller.command(command) {
                            Ok(_) | Err(Error::Timeout(_) | Error::Closed(_)) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(join);
        for n in 0..20 {
            let own = format!("after/{n}");
            match controller.with_timeout(super::LIMIT).command(&format!("ECHO {own}")) {
                Ok(reply) => assert_eq!(reply.text(), own, "seed {seed}"),
                Err(error) => assert!(error.is_closed(), "{error:?}"),
            }
        }
        drop(controller);
        tor.finish();
    }
}

#[test]
fn an_unanswered_command_with_others_waiting_behind_it_ends_the_connection() {
    // It is unknown whether the first or the second reply is missing.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("ECHO never").expect("ECHO b");
        script.expect("GETINFO torcon/sync/4").wait_for(&test_says);
        script.send("250 b\r\n552 Unrecognized key \"torcon/sync/4\"\r\n").expect_end();
    });
    let first = controller.queue_command("ECHO never").unwrap();
    let second = controller.queue_command("ECHO b").unwrap();
    assert!(first.wait_timeout(SHORT).unwrap_err().is_timeout());
    go_on.fire();
    assert_eq!(
        closed(second.wait()),
        "replies are out of step with commands: a command was not answered while others were \
         waiting behind it"
    );
    tor.finish();
}

#[test]
fn a_caller_behind_a_late_reply_gets_its_own() {
    // All replies arrive, only late.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("ECHO a").expect("ECHO b").expect("GETINFO torcon/sync/4");
        script.wait_for(&test_says);
        script.send("250 a\r\n250 b\r\n552 Unrecognized key \"torcon/sync/4\"\r\n");
        script.answer("ECHO c", &["250 c"]).expect_end();
    });
    let first = controller.queue_command("ECHO a").unwrap();
    let second = controller.queue_command("ECHO b").unwrap();
    assert!(first.wait_timeout(SHORT).unwrap_err().is_timeout());
    go_on.fire();
    assert_eq!(second.wait().unwrap().text(), "b");
    assert_eq!(controller.command("ECHO c").unwrap().text(), "c");
    drop(controller);
    tor.finish();
}

#[test]
fn a_surplus_reply_after_a_timeout_ends_the_connection() {
    // tor answers ONION_CLIENT_AUTH_ADD with a long name twice.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("ECHO a").expect("GETINFO torcon/sync/3").wait_for(&test_says);
        script.send("250 a\r\n250 a\r\n").drain();
    });
    time_out(&controller, "ECHO a");
    let pending = controller.queue_command("ECHO b").unwrap();
    go_on.fire();
    assert_eq!(
        closed(pending.wait()),
        "replies are out of step with commands: a reply arrived without a command"
    );
    tor.finish();
}

#[test]
fn a_filter_that_refuses_the_probe_ends_the_connection() {
    // Filtering proxies allow few GETINFO keys.
    let (tor, controller) = connected(|script| {
        script.expect("ECHO never").expect("GETINFO torcon/sync/3");
        script.send("510 Command filtered\r\n").expect_end();
    });
    time_out(&controller, "ECHO never");
    assert_eq!(
        controller.wait_closed(super::LIMIT).unwrap().to_string(),
        "replies are out of step with commands: a command was not answered, and a filter refused \
         the probe that would show which"
    );
    tor.finish();
}

#[test]
fn writers_time_out_at_a_peer_that_does_not_read_and_lose_nothing() {
    // Not a byte of the command was written, so the connection stays open.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says).serve(answer);
    });
    let impatient = controller.with_timeout(SHORT);
    let mut pending = Vec::new();
    // Every command fits into one segment, so that none is written in part.
    let filler = "x".repeat(1000);
    let error = loop {
        match impatient.queue_command(&format!("ECHO {}/{filler}", pending.len())) {
            Ok(reply) => pending.push(reply),
            Err(error) => break error,
        }
        assert!(pending.len() < 100_000, "the peer's buffer has no end");
    };
    assert_eq!(error.to_string(), "timed out after 40ms waiting for the reply to ECHO");
    // While one caller waits for room, the others wait for the lock no longer than their limit.
    let others: Vec<_> = (0..4)
        .map(|_| {
            let impatient = impatient.clone();
            start(move || {
                let start = Instant::now();
                assert!(impatient.command("ECHO other").unwrap_err().is_timeout());
                assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
            })
        })
        .collect();
    others.into_iter().for_each(join);
    assert!(controller.is_alive());
    go_on.fire();
    for (n, reply) in pending.into_iter().enumerate() {
        assert_eq!(reply.wait_timeout(super::LIMIT).unwrap().text(), format!("{n}/{filler}"));
    }
    assert_eq!(controller.command("ECHO after").unwrap().text(), "after");
    drop((controller, impatient));
    tor.finish();
}

#[test]
fn a_command_that_was_written_in_part_ends_the_connection() {
    // It is unknown what tor has read.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says);
    });
    let waiting = controller.queue_command("ECHO first").unwrap();
    let outcome = controller.with_timeout(SHORT).load_conf(long_text());
    assert_eq!(closed(outcome), "writing to tor failed: timed out");
    assert_eq!(closed(waiting.wait()), "writing to tor failed: timed out");
    go_on.fire();
    tor.finish();
}

#[test]
fn a_caller_that_times_out_while_another_writes_delays_no_other() {
    // The probe could not be sent while another command was being written, and was never sent
    // afterwards: the reply to that command was held until its limit passed.
    let (blocked, script_reads) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("ECHO a").wait_for(&script_reads).send("250 a\r\n");
        let mut in_text = false;
        script.serve(|line, out| match line {
            "+LOADCONF" => in_text = true,
            "." => {
                in_text = false;
                out.extend_from_slice(b"250 OK\r\n");
            }
            _ if in_text => {}
            _ => answer(line, out),
        });
    });
    let first = controller.queue_command("ECHO a").unwrap();
    let writer = controller.clone();
    let (begun, writing) = bounded(1);
    let thread = start(move || {
        begun.send(()).unwrap();
        let start = Instant::now();
        writer.with_timeout(super::LIMIT).load_conf(long_text()).unwrap();
        start.elapsed()
    });
    super::next(&writing);
    // Usually enough for the writer to fill the socket and to wait for room. If it has not begun yet,
    // the probe is sent before it, which is correct too.
    assert!(first.wait_timeout(Duration::from_millis(300)).unwrap_err().is_timeout());
    blocked.fire();
    let took = join(thread);
    assert!(took < SOON, "the reply was held for {took:?}");
    drop(controller);
    tor.finish();
}

#[test]
fn a_probe_without_room_is_sent_when_there_is_room() {
    // As above, with a peer that does not read at all.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says).serve(answer);
    });
    let impatient = controller.with_timeout(SHORT);
    let mut pending = Vec::new();
    let filler = "x".repeat(1000);
    while let Ok(reply) = impatient.queue_command(&format!("ECHO {}/{filler}", pending.len())) {
        pending.push(reply);
    }
    assert!(pending.remove(0).wait_timeout(SHORT).unwrap_err().is_timeout());
    go_on.fire();
    let start = Instant::now();
    for (n, reply) in pending.into_iter().enumerate() {
        let reply = reply.wait_timeout(super::LIMIT).unwrap();
        assert_eq!(reply.text(), format!("{}/{filler}", n + 1));
    }
    assert!(start.elapsed() < SOON, "held for {:?}", start.elapsed());
    drop((controller, impatient));
    tor.finish();
}

#[test]
fn every_wait_has_a_limit() {
    // Commands of other libraries had no limit.
    let (tor, controller) = connected(|script| {
        script.drain();
    });
    assert_eq!(controller.timeout(), Duration::from_secs(60), "the documented default");
    let short = controller.with_timeout(SHORT);
    assert_eq!((short.timeout(), controller.timeout()), (SHORT, Duration::from_secs(60)));
    let start = Instant::now();
    let waits = [
        short.get_info_one("a").unwrap_err(),
        short.command("ECHO a").unwrap_err(),
        short.set_conf([("Nickname", "x")]).unwrap_err(),
        short.get_info_incremental("a", |_| std::ops::ControlFlow::Continue(())).unwrap_err(),
        short.add_event_listener(EventKind::Bw, |_| {}).unwrap_err(),
        short.events([EventKind::Bw]).unwrap_err(),
        controller.queue_command("ECHO a").unwrap().wait_timeout(SHORT).unwrap_err(),
        controller.wait_closed(SHORT).unwrap_err(),
    ];
    for error in &waits {
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    }
    assert_eq!(waits[4].to_string(), "timed out after 40ms waiting for the reply to SETEVENTS");
    assert_eq!(waits[7].to_string(), "timed out after 40ms waiting for the end of the connection");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    drop((controller, short));
    tor.finish();
}

#[test]
fn the_wait_for_another_subscription_has_a_limit() {
    // SETEVENTS is sent under a lock, which is taken with a deadline.
    let (arrived, script_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.expect("SETEVENTS BW");
        arrived.fire();
        script.drain();
    });
    let first = controller.clone();
    let first = start(move || first.add_event_listener(EventKind::Bw, |_| {}).unwrap_err());
    script_says.wait();
    let start = Instant::now();
    let short = controller.with_timeout(SHORT);
    let error = short.add_event_listener(EventKind::Circ, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 40ms waiting for the reply to SETEVENTS");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    controller.close();
    assert!(join(first).is_closed());
    tor.finish();
}

#[test]
fn a_limit_that_exceeds_an_instant_is_no_limit() {
    let (tor, controller) = super::served();
    let patient = controller.with_timeout(Duration::MAX);
    assert_eq!(patient.get_info_one("a").unwrap(), super::value("a"));
    let id = patient.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    patient.remove_event_listener(id).unwrap();
    patient.close();
    tor.finish();
}
