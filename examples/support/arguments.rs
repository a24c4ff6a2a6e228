//! Reads the arguments of an example with the crate `lexopt`: `--help` prints the usage, and a wrong
//! argument prints it on standard error and ends the program with status 2.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::env;
use std::process::exit;

use lexopt::{Error, Parser};

/// Reads the arguments by `read`, which must refuse those that it does not know.
pub(crate) fn read<T>(usage: &str, read: impl FnOnce(&mut Parser) -> Result<T, Error>) -> T {
    if env::args_os().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        println!("{usage}");
        exit(0);
    }
    read(&mut Parser::from_env()).unwrap_or_else(|error| {
        eprintln!("{error}\n{usage}");
        exit(2);
    })
}

/// Refuses every argument.
#[allow(dead_code, reason = "not every example uses it")]
pub(crate) fn none(usage: &str) {
    read(usage, |parser| match parser.next()? {
        Some(argument) => Err(argument.unexpected()),
        None => Ok(()),
    });
}

/// Reads one flag, and refuses every other argument.
#[allow(dead_code, reason = "not every example uses it")]
pub(crate) fn flag(usage: &str, name: &str) -> bool {
    read(usage, |parser| {
        let mut is_given = false;
        while let Some(argument) = parser.next()? {
            match argument {
                lexopt::Arg::Long(long) if long == name => is_given = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(is_given)
    })
}
