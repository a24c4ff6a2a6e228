//! Properties of handshakes with any answers.
//!
//! The fuzz targets and the unit tests check them.

use super::{Answer, Command, Handshake, Progress};
use crate::error::SocksProblem;
use crate::socks::isolation::Isolation;
use crate::socks::target::Host;

/// The messages that were sent, the outcome (`Err(None)` if the answers ended), and how many bytes of
/// the answers are left.
pub(super) type Played = (Vec<Vec<u8>>, Result<Answer, Option<SocksProblem>>, usize);

/// Passes the answers to the handshake, at most `chunk` bytes and never more than
/// [`Handshake::missing`] at a time.
pub(super) fn play(mut handshake: Handshake, answers: &[u8], chunk: usize) -> Played {
    let mut sent = vec![handshake.greeting()];
    let mut rest = answers;
    loop {
        let missing = handshake.missing();
        assert!(missing > 0, "nothing is missing and the handshake is not done");
        let (part, after) = rest.split_at(missing.min(chunk).min(rest.len()));
        rest = after;
        if part.is_empty() {
            return (sent, Err(None), 0);
        }
        match handshake.receive(part) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Send(bytes)) => sent.push(bytes),
            Ok(Progress::Done(answer)) => return (sent, Ok(answer), rest.len()),
            Err(problem) => return (sent, Err(Some(problem)), rest.len()),
        }
    }
}

/// Checks that the outcome does not depend on the sizes of the reads, nor, if it is a stream, the
/// number of bytes that are left to the stream.
pub(crate) fn answers(data: &[u8]) {
    let Some((choice, answers)) = data.split_first() else { return };
    let command = match choice & 3 {
        0 => Command::Connect,
        1 => Command::Resolve,
        _ => Command::ResolvePtr,
    };
    let isolation = match choice & 4 {
        0 => Isolation::none(),
        _ => Isolation::fresh(),
    };
    let Ok(host) = Host::new("host", "192.0.2.1") else { return };
    let Ok(credentials) = isolation.next_credentials() else { return };
    let played = |chunk| {
        let handshake = Handshake::new(command, &host, 443, credentials.as_deref());
        let (sent, outcome, left) = play(handshake, answers, chunk);
        // An error shows the bytes that were read until then.
        (sent, outcome.map(|answer| (answer, left)).map_err(|problem| problem.is_some()))
    };
    assert_eq!(played(1), played(usize::MAX));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const BEGINNINGS: &[&[u8]] = &[b"", b"\x05\0", b"\x05\x02\x01\0", b"\x05\0\x05\0\0\x03"];

    proptest! {
        #[test]
        fn the_outcome_does_not_depend_on_reads(
            choice in 0..8_u8,
            valid in prop::sample::select(BEGINNINGS),
            any: Vec<u8>,
        ) {
            super::answers(&[&[choice], valid, &any].concat());
        }
    }
}
