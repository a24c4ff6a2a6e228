//! Checks of every command, also of a raw one, for defects of tor.

use super::Request;
use crate::error::InvalidInput;
use crate::names::starts_without_case;

impl Request {
    /// Refuses a command at which tor would abort, never answer, answer twice, or report a false event.
    pub(super) fn preflight(&self) -> Result<(), InvalidInput> {
        let mut words = self
            .line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty())
            .skip(1);
        let refuse = |problem: &'static str| {
            Err(InvalidInput::new(self.keyword.clone().into_owned(), problem))
        };
        match &*self.keyword {
            "SETCIRCUITPURPOSE" if words.next().is_none() => {
                refuse("has no argument, and tor would abort")
            }
            "CLOSESTREAM"
                if words.nth(1).is_some_and(|word| word.iter().all(|digit| *digit == b'0')) =>
            {
                refuse("has the reason 0, with which tor reports the stream as connected")
            }
            "ADD_ONION" if words.any(|word| starts_without_case(word, "ClientAuth=")) => {
                refuse("has ClientAuth=, which tor never answers: use ClientAuthV3=")
            }
            "HSPOST" if !words.any(|word| starts_without_case(word, "HSADDRESS=")) => {
                refuse("has no HSADDRESS=, without which tor never answers")
            }
            "ONION_CLIENT_AUTH_ADD"
                if words.any(|word| {
                    starts_without_case(word, "ClientName=")
                        && word.len() > "ClientName=".len() + 16
                }) =>
            {
                refuse("has a ClientName of over 16 characters, which tor answers twice")
            }
            "GETINFO" if words.any(|word| word == b"downloads/desc/descs") => {
                refuse("queries downloads/desc/descs, which makes some versions of tor abort")
            }
            _ => Ok(()),
        }
    }
}
