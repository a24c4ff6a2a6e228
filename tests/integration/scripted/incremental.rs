//! Replies line by line.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};
use torcon::{Error, Event, EventKind, Line};

use super::{LIMIT, SOON, answer, closed, connected, join, next, start, value};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{peak_growth, peak_memory};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// Takes every line.
fn all(lines: &mut Vec<String>) -> impl FnMut(Line<'_>) -> ControlFlow<()> + '_ {
    |line| {
        lines.push(line.to_string());
        ControlFlow::Continue(())
    }
}

#[test]
fn a_reply_of_fifty_megabytes_takes_little_memory() {
    exclusive(|| {
        const LINES: u64 = 800_000;
        let (tor, controller) = connected(|script| {
            script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
            script.flood(format!("r {}\r\n", "x".repeat(60)), LINES).send(".\r\n250 OK\r\n");
            script.drain();
        });
        let before = peak_memory();
        let (mut lines, mut bytes) = (0, 0);
        let count = |line: Line<'_>| {
            lines += 1;
            bytes += line.bytes().len();
            ControlFlow::Continue(())
        };
        controller.get_info_incremental("ns/all", count).unwrap();
        assert_eq!((lines, bytes), (LINES, 62 * LINES as usize));
        let used = peak_growth(before);
        // If the closure is delayed, it has 4 MiB and as much is queued, each in a vector of up to twice
        // the size, of which one is copied as it grows. The rest is in a file.
        assert!(used < 24 << 20, "50 MB took {used} bytes");
        drop(controller);
        tor.finish();
    });
}

#[test]
fn an_end_in_the_middle_of_data_is_not_a_protocol_error() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\nr one\r\nr tw").close();
    });
    let mut lines = Vec::new();
    let outcome = controller.get_info_incremental("ns/all", all(&mut lines));
    assert_eq!(closed(outcome), "tor closed the connection");
    drop(controller);
    tor.finish();
}

#[test]
fn a_slow_caller_keeps_memory_bounded() {
    exclusive(|| {
        let (tor, controller) = connected(|script| {
            script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
            script.flood(format!("r {}\r\n", "x".repeat(996)), 30_000).send(".\r\n250 OK\r\n");
            script.drain();
        });
        let before = peak_memory();
        let mut lines = 0_u32;
        let slow = |_: Line<'_>| {
            lines += 1;
            if lines % 100 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            ControlFlow::Continue(())
        };
        controller.get_info_incremental("ns/all", slow).unwrap();
        assert_eq!(lines, 30_000);
        let used = peak_growth(before);
        assert!(used < 16 << 20, "30 MB took {used} bytes");
        drop(controller);
        tor.finish();
    });
}

#[test]
fn lines_arrive_while_the_reply_is_being_sent() {
    let (saw, test_saw) = signal();
    let (tor, controller) = connected(move |script| {
        script.unchecked("lines of no document");
        script.expect("GETINFO ns/all").send("250+ns/all=\r\nfirst\r\n");
        // The rest is sent only after the first line was seen.
        script.wait_for(&test_saw).send("..second\r\n250 OK\r\n.\r\n250 OK\r\n").drain();
    });
    let mut lines = Vec::new();
    let take = |line: Line<'_>| {
        saw.fire();
        lines.push(line.to_string());
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("ns/all", take).unwrap();
    // peers 5: what looks like a reply is data.
    assert_eq!(lines, ["first", ".second", "250 OK"]);
    drop(controller);
    tor.finish();
}

#[test]
fn interleaved_events_of_every_form_reach_their_listeners() {
    // peers 7: a multi-line event went to the command's callback (txtorcon).
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW CONF_CHANGED NEWCONSENSUS").send("250 OK\r\n");
        script.expect("GETINFO a").send("650 BW 1 2\r\n250+a=\r\n1\r\n650 BW 9 9\r\n.\r\n");
        script.send("650+NEWCONSENSUS\r\nr 250 OK\r\n.\r\n650 OK\r\n");
        script.send("650-CONF_CHANGED\r\n650-Nickname=x\r\n650 OK\r\n250 OK\r\n").drain();
    });
    let kinds = [EventKind::Bw, EventKind::ConfChanged, EventKind::NewConsensus];
    let queue = controller.events(kinds).unwrap();
    let mut lines = Vec::new();
    controller.get_info_incremental("a", all(&mut lines)).unwrap();
    assert_eq!(lines, ["1", "650 BW 9 9"]);
    let texts: Vec<_> = (0..3).map(|_| queue.recv().unwrap().to_string()).collect();
    assert_eq!(texts, ["BW 1 2", "NEWCONSENSUS\nr 250 OK", "CONF_CHANGED\nNickname=x"]);
    controller.close();
    drop((queue, controller));
    tor.finish();
}

#[test]
fn values_of_one_line_of_many_and_of_none_are_lines() {
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO a", &["250-a=one = 1", "250 OK"]);
        script.answer("GETINFO a", &["250-a=", "250 OK"]);
        script.answer("GETINFO a", &["250+a=", ".", "250 OK"]);
        script.answer("GETINFO a", &["250+a=", "", "x", "", ".", "250 OK"]);
        script.drain();
    });
    for expected in [&["one = 1"][..], &[], &[], &["", "x", ""]] {
        let mut lines = Vec::new();
        controller.get_info_incremental("a", all(&mut lines)).unwrap();
        assert_eq!(lines, expected);
    }
    drop(controller);
    tor.finish();
}

#[test]
fn after_a_break_the_rest_of_the_reply_is_discarded() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood("r x\r\n", 1_000_000).send(".\r\n250 OK\r\n");
        script.serve(answer);
    });
    let mut lines = 0;
    let three = |_: Line<'_>| {
        lines += 1;
        if lines == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    controller.get_info_incremental("ns/all", three).unwrap();
    assert_eq!(lines, 3);
    for n in 0..10 {
        let key = format!("key/{n}");
        assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
    }
    drop(controller);
    tor.finish();
}

#[test]
fn the_closure_may_send_commands() {
    // peers 11, for the closures of this command: they run on the caller's thread.
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood("r xxxxxxxxxxxx\r\n", 500_000).send(".\r\n250 OK\r\n").serve(answer);
    });
    let begin = Instant::now();
    let mut asked = 0;
    let ask = |_: Line<'_>| {
        if asked < 3 {
            asked += 1;
            assert_eq!(controller.get_info_one("inside").unwrap(), value("inside"));
        }
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("ns/all", ask).unwrap();
    assert_eq!(asked, 3);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    drop(controller);
    tor.finish();
}

#[test]
fn the_closure_may_wait_for_an_event_behind_the_reply() {
    // The connection waits for a slow closure, but not long in all: here the closure waits for
    // another reply of the connection, which waited a quarter of a second for each part.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood("r xxxxxxxxxxxx\r\n", 500_000).send(".\r\n250 OK\r\n650 BW 1 2\r\n").drain();
    });
    let queue = controller.events([EventKind::Bw]).unwrap();
    let begin = Instant::now();
    let mut lines = 0;
    let wait = |_: Line<'_>| {
        if lines == 0 {
            assert_eq!(queue.recv_timeout(LIMIT).unwrap().to_string(), "BW 1 2");
        }
        lines += 1;
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("ns/all", wait).unwrap();
    assert_eq!(lines, 500_000);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    controller.close();
    drop((queue, controller));
    tor.finish();
}

#[test]
fn a_slow_closure_delays_no_other_command() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood("r xxxxxxxxxxxx\r\n", 500_000).send(".\r\n250 OK\r\n").serve(answer);
    });
    let (go_on, test_says) = signal();
    let (begun, has_begun) = signal();
    let slow = controller.clone();
    let slow = start(move || {
        let mut lines = 0;
        let block = |_: Line<'_>| {
            if lines == 0 {
                begun.fire();
                test_says.wait();
            }
            lines += 1;
            ControlFlow::Continue(())
        };
        slow.get_info_incremental("ns/all", block).unwrap();
        lines
    });
    has_begun.wait();
    let begin = Instant::now();
    for n in 0..10 {
        let key = format!("key/{n}");
        assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
    }
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    go_on.fire();
    assert_eq!(join(slow), 500_000);
    drop(controller);
    tor.finish();
}

#[test]
fn a_closure_that_panics_leaves_the_connection_usable() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood("r x\r\n", 100_000).send(".\r\n250 OK\r\n").serve(answer);
    });
    let message = crate::support::failure::panic_of(|| {
        controller.get_info_incremental("ns/all", |_| panic!("as the test wants"))
    });
    assert_eq!(message, "as the test wants");
    assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
    drop(controller);
    tor.finish();
}

#[test]
fn refusals_are_errors_with_every_line() {
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO nope", &["552 Unrecognized key \"nope\""]);
        script.answer("GETINFO a", &["551-one", "650 BW 1 2", "551 two"]);
        script.serve(answer);
    });
    let mut lines = Vec::new();
    let error = controller.get_info_incremental("nope", all(&mut lines)).unwrap_err();
    assert_eq!(error.to_string(), r#"tor refused GETINFO: 552 "Unrecognized key \"nope\"""#);
    let error = controller.get_info_incremental("a", all(&mut lines)).unwrap_err();
    assert_eq!(error.to_string(), r#"tor refused GETINFO: 551 "one" and 1 more"#);
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
    drop(controller);
    tor.finish();
}

#[test]
fn the_limit_holds_for_each_wait_and_not_for_the_whole() {
    // Rule 10. The pauses are those of a slow tor: each is shorter than the limit, all together
    // are longer.
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO slow").send("250+slow=\r\n");
        for n in 0..12 {
            script.pause(Duration::from_millis(500)).send(format!("{n}\r\n"));
        }
        script.send(".\r\n250 OK\r\n");
        script.expect("GETINFO stuck").send("250+stuck=\r\n1\r\n");
        // The rest of a reply that has begun is discarded; no probe is needed.
        script.expect("GETINFO a").send("2\r\n.\r\n250 OK\r\n250-a=1\r\n250 OK\r\n").drain();
    });
    let mut lines = Vec::new();
    let patient = controller.with_timeout(Duration::from_secs(5));
    patient.get_info_incremental("slow", all(&mut lines)).unwrap();
    assert_eq!(lines, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
    let short = controller.with_timeout(Duration::from_secs(3));
    let mut lines = Vec::new();
    let error = short.get_info_incremental("stuck", all(&mut lines)).unwrap_err();
    assert_eq!(error.to_string(), "timed out after 3s waiting for the reply to GETINFO");
    assert_eq!(lines, ["1"]);
    // Rule 2 holds here too.
    assert_eq!(controller.get_info_one("a").unwrap(), "1");
    drop((controller, patient, short));
    tor.finish();
}

#[test]
fn an_end_in_the_middle_delivers_the_lines_and_the_reason() {
    let (tor, controller) = connected(|script| {
        script.unchecked("messages that are cut");
        script.expect("GETINFO a").send("250+a=\r\n1\r\n2\r\n3").close();
    });
    let mut lines = Vec::new();
    let outcome = controller.get_info_incremental("a", all(&mut lines));
    assert_eq!(closed(outcome), "tor closed the connection");
    assert_eq!(lines, ["1", "2"]);
    tor.finish();
}

#[test]
fn lines_of_another_reply_never_reach_the_closure() {
    // Rule 2: a reply never goes silently to the wrong caller, also not to one that leaves early.
    let reply = "250+b=\r\nsecret\r\n.\r\n250 OK\r\n";
    for one_by_one in [false, true] {
        let (tor, controller) = connected(move |script| {
            script.expect("GETINFO a");
            // It is detected at its first line.
            if one_by_one {
                script.send_in_bytes("250+b=\r\n")
            } else {
                script.send(reply)
            };
            script.expect_end();
        });
        let mut seen = Vec::new();
        let outcome = controller.get_info_incremental("a", |line| {
            seen.push(line.to_string());
            ControlFlow::Break(())
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
        assert_eq!(seen, Vec::<String>::new());
        assert!(closed(controller.get_info_one("a")).starts_with("replies are out of step"));
        tor.finish();
    }
}

#[test]
fn commands_as_text_deliver_their_lines_too() {
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO a b", &["250-a=1", "250+b=", "..x", "y", ".", "250 OK"]);
        script.answer("GETCONF x", &["552 no"]).serve(answer);
    });
    let mut lines = Vec::new();
    controller.command_lines("GETINFO a b", all(&mut lines)).unwrap();
    assert_eq!(lines, ["a=1", "b=", ".x", "y"]);
    let error = controller.command_lines("GETCONF x", |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(error.status_code(), Some(552));
    drop(controller);
    tor.finish();
}

#[test]
fn many_concurrent_replies_and_events_are_not_mixed() {
    let (tor, controller) = connected(|script| {
        script.serve(|line, out| {
            let Some(key) = line.strip_prefix("GETINFO block/") else { return answer(line, out) };
            out.extend_from_slice(format!("650 BW 1 2\r\n250+block/{key}=\r\n").as_bytes());
            for n in 0..200 {
                out.extend_from_slice(format!("{key}/{n}\r\n").as_bytes());
            }
            out.extend_from_slice(b".\r\n650 BW 1 2\r\n250 OK\r\n");
        });
    });
    let (seen, events) = unbounded();
    let listener = move |_: &Event| seen.send(()).unwrap();
    controller.add_event_listener(EventKind::Bw, listener).unwrap();
    let (report, reports) = bounded(8);
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (controller, report) = (controller.clone(), report.clone());
            start(move || {
                for n in 0..25 {
                    let key = format!("{thread}-{n}");
                    let mut lines = Vec::new();
                    let take = all(&mut lines);
                    controller.get_info_incremental(&format!("block/{key}"), take).unwrap();
                    let expected: Vec<_> = (0..200).map(|n| format!("{key}/{n}")).collect();
                    assert_eq!(lines, expected);
                }
                report.send(()).unwrap();
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert_eq!(reports.try_iter().count(), 8);
    for _ in 0..8 * 25 * 2 {
        next(&events);
    }
    drop(controller);
    tor.finish();
}
