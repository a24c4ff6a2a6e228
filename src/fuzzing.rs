//! The properties of parts that are not public, for the fuzz targets of `tests/fuzz`.
//!
//! Compiled only with `--cfg fuzzing`. Each function panics if its property does not hold.

#[cfg(feature = "onion-descriptor")]
use crate::descriptor::OnionSecondLayer;
use crate::process::properties::log_lines;
use crate::socks::handshake::properties::answers;
use crate::wire::properties;

/// Checks the framing of messages, and the parsing of framed replies.
pub fn framing(data: &[u8]) {
    properties::framing(data);
}

/// Checks the parsing of bytes that need not be a framed reply.
pub fn reply(data: &[u8]) {
    properties::any_reply(data);
}

/// Checks quoted strings.
pub fn quoted_strings(data: &[u8]) {
    properties::quoted_strings(data);
}

/// Checks the reading and writing of torrc.
pub fn torrc(data: &[u8]) {
    properties::torrc(data);
}

/// Checks a SOCKS handshake with these answers.
pub fn socks_answers(data: &[u8]) {
    answers(data);
}

/// Checks the reading of tor's output.
pub fn output(data: &[u8]) {
    log_lines(data);
}

/// Checks that `State` reads an event of a circuit or stream as `Event` does.
pub fn lines_of_events(data: &[u8]) {
    crate::state::properties::line_is_read_as_parsed(data);
}

/// Checks the readings of the values of options.
pub fn option_values(data: &[u8]) {
    crate::config::properties::values(data);
}

/// Reads both layers of a descriptor of an onion service, without encryption.
#[cfg(feature = "onion-descriptor")]
pub fn onion_layers(first: &[u8], second: &[u8]) -> Option<OnionSecondLayer> {
    crate::descriptor::onion::properties::layers(first, second).ok()
}
