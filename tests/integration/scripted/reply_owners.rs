//! The owners of replies, with many callers of every kind on one connection.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torcon::{ConnectOptions, Controller, Error, Line};

use super::{LIMIT, answer, closed, connected, join, start, value};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

/// A pseudorandom generator with a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// Returns the lines of the value of `block/LINES/NAME`.
fn block(key: &str) -> Vec<String> {
    let count = key.split('/').nth(1).unwrap().parse().unwrap();
    (0..count).map(|line| format!("{key} {line}")).collect()
}

/// Writes the reply to a command.
fn reply(line: &str, out: &mut Vec<u8>) {
    match line.strip_prefix("GETINFO ") {
        None if line.starts_with("PROTOCOLINFO") => out.extend_from_slice(
            b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
              250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
        ),
        Some(key) if key.starts_with("block/") => {
            out.extend_from_slice(format!("250+{key}=\r\n").as_bytes());
            for line in block(key) {
                out.extend_from_slice(format!("{line}\r\n").as_bytes());
            }
            out.extend_from_slice(b".\r\n250 OK\r\n");
        }
        _ => answer(line, out),
    }
}

/// Answers every command, in random pieces and with random pauses.
fn serve(socket: UnixStream, chance: &mut Chance) -> std::io::Result<()> {
    let mut lines = BufReader::new(socket.try_clone()?);
    let mut socket = socket;
    let (mut line, mut out) = (String::new(), Vec::new());
    while lines.read_line(&mut line)? > 0 {
        reply(line.trim_end(), &mut out);
        line.clear();
        let has_more = lines.buffer().contains(&b'\n');
        if has_more && out.len() < 20_000 {
            continue;
        }
        let longest = if chance.one_in(4) { chance.below(1_500) + 1 } else { out.len() };
        let mut rest = &out[..];
        while !rest.is_empty() {
            let size = if longest < out.len() { chance.below(longest) + 1 } else { longest };
            let (now, later) = rest.split_at(size.min(rest.len()));
            socket.write_all(now)?;
            rest = later;
            match chance.below(40) {
                0 => thread::sleep(Duration::from_micros(500)),
                1..20 => thread::yield_now(),
                _ => {}
            }
        }
        out.clear();
    }
    Ok(())
}

/// A caller, which stops when no command is `left`.
struct Caller<'a> {
    controller: &'a Controller,
    name: usize,
    chance: Chance,
    left: &'a AtomicUsize,
    asked: usize,
    answered: usize,
}

impl Caller<'_> {
    fn take(&mut self, most: usize) -> usize {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            Some(left.saturating_sub(most))
        });
        taken.unwrap().min(most)
    }

    /// Returns a limit, mostly one that never passes.
    fn limit(&mut self, impatience: usize) -> Duration {
        if self.chance.one_in(impatience) {
            Duration::from_micros(u64::try_from(self.chance.below(2_000)).unwrap())
        } else {
            LIMIT
        }
    }

    fn count(&mut self, outcome: Result<(), Error>, limit: Duration) {
        match outcome {
            Ok(()) => self.answered += 1,
            Err(error) => assert!(error.is_timeout() && limit < LIMIT, "{limit:?}: {error:?}"),
        }
    }

    fn next_key(&mut self, kind: &str) -> String {
        self.asked += 1;
        format!("{kind}/{}-{}", self.name, self.asked)
    }

    /// Sends many commands before it receives their replies.
    fn pipeline(&mut self) {
        loop {
            let most = self.chance.below(60) + 1;
            let burst = self.take(most);
            if burst == 0 {
                return;
            }
            let pending: Vec<_> = (0..burst)
                .map(|_| {
                    let key = self.next_key("short");
                    let pending = self.controller.queue_command(&format!("GETINFO {key}"));
                    (key, pending.unwrap())
                })
                .collect();
            for (key, pending) in pending {
                let limit = self.limit(100);
                let reply = pending.wait_timeout(limit);
                let check = |reply: torcon::Reply| {
                    assert_eq!(
                        reply.lines().next().unwrap().text(),
                        format!("{key}={}", value(&key))
                    );
                };
                self.count(reply.map(check), limit);
            }
        }
    }

    /// Sends commands one after the other, often with a very short limit.
    fn send(&mut self) {
        while self.take(1) == 1 {
            let limit = self.limit(3);
            let key = self.next_key("short");
            let reply = self.controller.with_timeout(limit).get_info_one(&key);
            self.count(reply.map(|reply| assert_eq!(reply, value(&key))), limit);
        }
    }

    /// Receives replies line by line. Breaks some early, and is slow for others.
    fn stream(&mut self) {
        while self.take(1) == 1 {
            let limit = self.limit(10);
            let count = self.chance.below(300);
            let key = self.next_key(&format!("block/{count}"));
            let enough = if self.chance.one_in(4) { self.chance.below(20) } else { usize::MAX };
            let is_slow = self.chance.one_in(50);
            let mut lines = Vec::new();
            let take = |line: Line<'_>| {
                lines.push(line.to_string());
                if is_slow && lines.len() % 50 == 1 {
                    thread::sleep(Duration::from_millis(1));
                }
                if lines.len() > enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let outcome = self.controller.with_timeout(limit).get_info_incremental(&key, take);
            let mut expected = block(&key);
            // A caller that timed out received a part of its reply.
            let got = if outcome.is_ok() { enough.saturating_add(1) } else { lines.len() };
            expected.truncate(got);
            let strange = lines.iter().zip(&expected).find(|(line, expected)| line != expected);
            assert_eq!((strange, lines.len()), (None, expected.len()), "{key}");
            self.count(outcome, limit);
        }
    }
}

/// Sends `count` commands of callers of every kind on one connection.
fn storm(seed: u64, count: usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let left = AtomicUsize::new(count);
    let tor = start(move || {
        let (socket, _) = listener.accept().unwrap();
        serve(socket, &mut Chance(seed))
    });
    let controller = ConnectOptions::new().connect(path).unwrap();
    let answered = thread::scope(|scope| {
        let callers: Vec<_> = (0..6_usize)
            .map(|name| {
                let (controller, left) = (&controller, &left);
                let chance = Chance(seed ^ (0x9e37_79b9_7f4a_7c15_u64 << name));
                scope.spawn(move || {
                    let (asked, answered) = (0, 0);
                    let mut caller = Caller { controller, name, chance, left, asked, answered };
                    match name % 3 {
                        0 => caller.pipeline(),
                        1 => caller.send(),
                        _ => caller.stream(),
                    }
                    caller.answered
                })
            })
            .collect();
        let join = |caller: thread::ScopedJoinHandle<'_, usize>| match caller.join() {
            Ok(answered) => answered,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        callers.into_iter().map(join).sum()
    });
    assert!(controller.is_alive(), "{:?}", controller.closed_reason());
    drop(controller);
    match join(tor) {
        // The connection was open until now, so this was a late reply to a caller that timed out.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        outcome => outcome.unwrap(),
    }
    answered
}

#[test]
fn a_hundred_thousand_replies_reach_their_owners() {
    // The first lines of a held reply went to another caller.
    // `TORCON_TEST_SEED` repeats a failure.
    let seed = std::env::var("TORCON_TEST_SEED").map(|text| text.parse().unwrap());
    for round in 0..4 {
        let seed = seed.clone().unwrap_or(0x5eed_0001 + round);
        let outcome = std::panic::catch_unwind(|| storm(seed, 25_000));
        match outcome {
            // Most callers have a long limit, so most get a reply.
            Ok(answered) => assert!(answered > 10_000, "{answered} replies with seed {seed}"),
            Err(panic) => {
                eprintln!("run it again with TORCON_TEST_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn the_reply_to_another_command_reaches_no_caller() {
    // A refusal with another key was accepted, and the raw methods compared nothing.
    type Call = fn(&Controller) -> Result<(), Error>;
    let calls: [(&str, Call); 6] = [
        ("GETINFO a", |c| c.get_info_one("a").map(drop)),
        ("GETINFO a", |c| c.get_info_raw(["a"]).map(drop)),
        ("GETINFO a", |c| c.command("GETINFO a").map(drop)),
        ("GETINFO a", |c| c.queue_command("GETINFO a")?.wait().map(drop)),
        ("GETINFO a", |c| c.get_info_incremental("a", |_| ControlFlow::Continue(()))),
        ("GETINFO a", |c| c.command_lines("GETINFO a", |_| ControlFlow::Continue(()))),
    ];
    let replies: [&[&str]; 6] = [
        &["552 Unrecognized key \"b\""],
        &["552 Unrecognized key \"torcon/sync/3\""],
        &["250-b=1", "250 OK"],
        &["250-a=1", "250-b=1", "250 OK"],
        &["250 OK"],
        &["250-a=1", "250 closing connection"],
    ];
    for (line, call) in calls {
        for reply in replies {
            let (tor, controller) = connected(move |script| {
                script.answer(line, reply).expect_end();
            });
            let error = call(&controller).unwrap_err();
            assert!(matches!(error, Error::Protocol(_)), "{reply:?}: {error:?}");
            let reason = closed(controller.get_info_one("a"));
            assert!(reason.starts_with("replies are out of step"), "{reason}");
            tor.finish();
        }
    }
}

#[test]
fn the_options_of_a_reply_are_compared_with_the_command() {
    type Call = fn(&Controller) -> Result<(), Error>;
    let calls: [Call; 2] =
        [|c| c.get_conf(["Log"]).map(drop), |c| c.get_conf_raw(["Log"]).map(drop)];
    for call in calls {
        for (reply, ends) in [
            ("552 Unrecognized configuration key \"Nickname\"", true),
            ("250 OK", true),
            // tor replaces old names by new ones, so another name does not end the connection.
            ("250 Nickname=x", false),
        ] {
            let (tor, controller) = connected(move |script| {
                script.answer("GETCONF Log", &[reply]).serve(answer);
            });
            let error = call(&controller).unwrap_err();
            assert!(matches!(error, Error::Protocol(_)), "{reply:?}: {error:?}");
            assert_eq!(controller.is_alive(), !ends, "{reply}");
            drop(controller);
            tor.finish();
        }
    }
}

#[test]
fn one_limit_bounds_lock_write_and_reply_together() {
    // The write and the reply each had the whole limit.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says).pause(Duration::from_secs(4)).drain();
    });
    // The peer does not read, and this fills the buffers of the socket.
    let filler = controller.with_timeout(Duration::from_millis(1));
    let long = format!("ECHO {}", "x".repeat(1000));
    while let Ok(pending) = filler.queue_command(&long) {
        drop(pending);
    }
    let limit = Duration::from_secs(5);
    go_on.fire();
    let begin = Instant::now();
    let error = controller.with_timeout(limit).command("ECHO a").unwrap_err();
    let took = begin.elapsed();
    assert!(error.is_timeout(), "{error:?}");
    assert!(took >= limit && took < limit + Duration::from_secs(3), "{took:?}");
    drop((filler, controller));
    tor.finish();
}
