//! Replies line by line to slow closures: their memory, and that no other caller waits for them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use torcon::error::BufferProblem;
use torcon::{ConnectOptions, Controller, Error, Event, EventKind, Line};

use super::{LIMIT, answer, connected, connected_with, join, start, value};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{Holdings, peak_growth, peak_memory};
use crate::support::signal::signal;

/// Answers like [`answer`], and sends an event after each SETEVENTS.
fn answer_with_events(line: &str, out: &mut Vec<u8>) {
    answer(line, out);
    if line == "SETEVENTS BW" {
        out.extend_from_slice(b"650 BW 1 2\r\n");
    }
}

/// Returns the median times of a command and of a wait for an event, repeated until `is_over`.
fn medians(controller: &Controller, mut is_over: impl FnMut(usize) -> bool) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    while !is_over(times[0].len()) {
        let begin = Instant::now();
        assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
        times[0].push(begin.elapsed());
        let begin = Instant::now();
        let is_bandwidth = |event: &Event| matches!(event, Event::Bw(_));
        controller.wait_for(EventKind::Bw, is_bandwidth, LIMIT).unwrap();
        times[1].push(begin.elapsed());
        // The fake tor records every line, which must not count.
        std::thread::sleep(Duration::from_millis(2));
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

#[test]
fn a_slow_closure_takes_little_memory_and_delays_no_other_caller() {
    // The whole reply was kept in memory, and no events were delivered meanwhile.
    // `TORCON_TEST_REPLY_MB=600` makes the reply longer.
    exclusive(|| {
        let size = std::env::var("TORCON_TEST_REPLY_MB").map_or(48, |text| text.parse().unwrap());
        let lines = size * 16;
        let (idle, controller) = connected(|script| {
            script.serve(answer_with_events);
        });
        let idle_times = medians(&controller, |asked| asked == 50);
        drop(controller);
        idle.finish();

        let (tor, controller) = connected(move |script| {
            script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
            script.flood(format!("{}\r\n", "x".repeat((64 << 10) - 2)), lines);
            script.send(".\r\n250 OK\r\n").serve(answer_with_events);
        });
        let before = peak_memory();
        let is_over = Arc::new(AtomicBool::new(false));
        let (others, over) = (controller.clone(), Arc::clone(&is_over));
        let (begun, has_begun) = signal();
        let others = start(move || {
            has_begun.wait();
            medians(&others, |_| over.load(Ordering::Relaxed))
        });
        let mut taken = 0;
        let slow = |line: Line<'_>| {
            begun.fire();
            assert_eq!(line.bytes().len(), (64 << 10) - 2);
            taken += 1;
            std::thread::sleep(Duration::from_millis(5));
            ControlFlow::Continue(())
        };
        controller.get_info_incremental("ns/all", slow).unwrap();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(taken, lines);
        let times = join(others);
        let grown = peak_growth(before) >> 10;
        println!("{size} MB: peak {grown} kB more; idle {idle_times:?}, meanwhile {times:?}");
        assert!(grown < 32 << 10, "{grown} kB");
        for (idle, time) in idle_times.into_iter().zip(times) {
            assert!(time < idle + Duration::from_millis(10), "{idle:?} when idle, {time:?} now");
        }
        drop(controller);
        tor.finish();
    });
}

/// Sends 16 MB in reply to `GETINFO ns/all`, then answers other commands.
fn sixteen_megabytes(script: &mut crate::support::script::Script) {
    script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
    script.flood(format!("{}\r\n", "x".repeat(1022)), 16 << 10).send(".\r\n250 OK\r\n");
    script.serve(answer);
}

/// Requests 16 MB with a closure that waits at the first line until another command was answered.
fn read_slowly(controller: &Controller) -> Result<u32, Error> {
    let mut lines = 0;
    let stuck = |_: Line<'_>| {
        lines += 1;
        if lines == 1 {
            // Its reply follows, so the long reply has arrived completely.
            assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
        }
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("ns/all", stuck)?;
    Ok(lines)
}

#[test]
fn a_reply_that_exceeds_the_memory_limit_is_buffered_in_a_file_that_is_removed() {
    exclusive(|| {
        let (tor, controller) = connected(sixteen_megabytes);
        let before = Holdings::with_thread("torcon-reader");
        let mut descriptors = 0;
        let mut lines = 0;
        let stuck = |_: Line<'_>| {
            lines += 1;
            if lines == 1 {
                assert_eq!(controller.get_info_one("a").unwrap(), value("a"));
                let now = Holdings::now();
                assert_eq!(now.files, before.files, "the file has a name");
                descriptors = now.descriptors;
            }
            ControlFlow::Continue(())
        };
        controller.get_info_incremental("ns/all", stuck).unwrap();
        assert_eq!((lines, descriptors), (16 << 10, before.descriptors + 1));
        before.assert_restored(LIMIT);
        drop(controller);
        tor.finish();
    });
}

#[test]
fn a_reply_that_exceeds_both_limits_fails_alone() {
    // The closure may have up to 4 MiB, the memory of the buffer, when it begins to wait.
    for limit in [0, 1 << 20, 7 << 20] {
        let options = ConnectOptions::new().reply_buffer_limit(limit);
        let (tor, controller) = connected_with(&options, sixteen_megabytes);
        let error = read_slowly(&controller).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot buffer the reply to GETINFO: the buffer is full at {limit} bytes; raise \
                 ConnectOptions::reply_buffer_limit"
            )
        );
        let Error::Buffer(error) = error else { panic!("{error:?}") };
        assert_eq!(error.command(), "GETINFO");
        assert!(matches!(error.problem(), BufferProblem::Full { .. }));
        assert_eq!(controller.get_info_one("b").unwrap(), value("b"));
        drop(controller);
        tor.finish();
    }
    let options = ConnectOptions::new().reply_buffer_limit(13 << 20);
    let (tor, controller) = connected_with(&options, sixteen_megabytes);
    assert_eq!(read_slowly(&controller).unwrap(), 16 << 10);
    drop(controller);
    tor.finish();
}

#[test]
fn a_file_that_cannot_be_created_fails_the_call_alone() {
    exclusive(|| {
        std::fs::remove_dir_all(std::env::temp_dir()).unwrap();
        // The unix socket of the fake tor would be in that directory.
        let tor = crate::support::fake_tor::FakeTor::tcp(|script| {
            script.greet();
            sixteen_megabytes(script);
        });
        let controller = torcon::connect(tor.endpoint()).unwrap();
        let error = read_slowly(&controller).unwrap_err();
        let Error::Buffer(error) = &error else { panic!("{error:?}") };
        let BufferProblem::File(source) = error.problem() else { panic!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(controller.get_info_one("b").unwrap(), value("b"));
        drop(controller);
        tor.finish();
    });
}

#[test]
fn two_nested_slow_closures_get_their_own_lines() {
    let (tor, controller) = connected(|script| {
        for key in ["ns/all", "desc/all"] {
            script.expect(&format!("GETINFO {key}")).send(format!("250+{key}=\r\n"));
            script.flood(format!("{key}{}\r\n", "x".repeat(1000)), 10_000);
            script.send(".\r\n250 OK\r\n");
        }
        script.serve(answer);
    });
    let mut inner = 0;
    let mut outer = 0;
    let take = |line: Line<'_>| {
        assert!(line.bytes().starts_with(b"ns/all"));
        outer += 1;
        if outer == 5_000 {
            let take = |line: Line<'_>| {
                assert!(line.bytes().starts_with(b"desc/all"));
                inner += 1;
                ControlFlow::Continue(())
            };
            controller.get_info_incremental("desc/all", take).unwrap();
        }
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("ns/all", take).unwrap();
    assert_eq!((outer, inner), (10_000, 10_000));
    drop(controller);
    tor.finish();
}
