use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};

/// The time of all storms in a run of all tests.
const SHORT: Duration = Duration::from_secs(12);

/// The arguments of the program. Those of other test programs are accepted, since cargo passes
/// them to all of them.
pub(crate) struct Arguments {
    /// The time of all storms together.
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) lists: bool,
    only: Option<String>,
    /// Words, one of which is in the names of the storms to run.
    words: Vec<String>,
    left_out: Vec<String>,
}

impl Arguments {
    pub(crate) fn from_command_line() -> Self {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        let mut arguments = Self {
            time: SHORT,
            seed: u64::from(u32::from_le_bytes(bytes)),
            lists: false,
            only: None,
            words: Vec::new(),
            left_out: Vec::new(),
        };
        if let Err(error) = arguments.read(&mut Parser::from_env()) {
            panic!("{error}; the arguments are --seconds N --only NAME --seed N");
        }
        arguments
    }

    /// Returns whether a storm is to run.
    pub(crate) fn chooses(&self, name: &str) -> bool {
        let contains = |word: &String| name.contains(word.as_str());
        self.only.as_ref().is_none_or(|only| only == name)
            && (self.words.is_empty() || self.words.iter().any(contains))
            && !self.left_out.iter().any(contains)
    }

    fn read(&mut self, parser: &mut Parser) -> Result<(), lexopt::Error> {
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("seconds") => {
                    self.time = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("milliseconds") => {
                    self.time = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Long("seed") => self.seed = parser.value()?.parse()?,
                Arg::Long("only") => self.only = Some(parser.value()?.string()?),
                Arg::Long("list") => self.lists = true,
                Arg::Long("skip") => self.left_out.push(parser.value()?.string()?),
                Arg::Value(word) => self.words.push(word.string()?),
                // `--test-threads 1` and the like.
                Arg::Long("test-threads" | "format" | "color") => {
                    parser.value()?;
                }
                Arg::Long(_) | Arg::Short(_) => {
                    let _: Option<OsString> = parser.optional_value();
                }
            }
        }
        Ok(())
    }
}
