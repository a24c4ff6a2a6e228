//! Lines on the standard output and the standard error.

use std::env;
use std::io::{self, IsTerminal as _, Write};

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The standard output and error. Errors of writing are ignored: a reader such as `head` may close
/// the output early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    is_terminal: bool,
    has_colors: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_terminal, has_colors: is_terminal && !is_set("NO_COLOR") && !is_dumb }
    }

    /// Writes a line to the standard output: as it is to a file or a pipe, and without control
    /// characters to a terminal, which tor's replies could otherwise control.
    pub(crate) fn line(self, text: &[u8]) {
        let mut out = io::stdout().lock();
        let _ = match self.is_terminal {
            true => writeln!(out, "{}", printable(text)),
            false => out.write_all(text).and_then(|()| out.write_all(b"\n")),
        };
    }

    /// Writes a line of a refusal to the standard error.
    pub(crate) fn refusal(self, code: u16, text: &[u8]) {
        self.error(&format!("{code} {}", printable(text)));
    }

    /// Writes a problem of the program to the standard error.
    pub(crate) fn problem(self, text: &str) {
        self.error(&format!("prompt: {}", printable(text.as_bytes())));
    }

    fn error(self, text: &str) {
        let text = self.colored(RED, text);
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes a remark to the standard error.
    pub(crate) fn remark(self, text: &str) {
        let text = self.colored(DIM, &printable(text.as_bytes()));
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Returns the lines of an event with their time.
    pub(crate) fn event(self, time: &str, text: &str) -> String {
        let mut lines = String::new();
        for (number, line) in text.lines().enumerate() {
            let beginning = if number == 0 { time } else { "  " };
            let line = match self.is_terminal {
                true => printable(line.as_bytes()),
                false => line.to_owned(),
            };
            lines.push_str(&self.colored(DIM, &format!("{beginning} {line}")));
            lines.push('\n');
        }
        lines
    }

    fn colored(self, color: &str, text: &str) -> String {
        if self.has_colors { format!("{color}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// Returns a text with its control characters escaped. A line feed and a tab stay.
fn printable(text: &[u8]) -> String {
    let mut shown = String::new();
    for letter in String::from_utf8_lossy(text).chars() {
        match letter {
            '\n' | '\t' => shown.push(letter),
            // They reverse the direction of the text behind them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(letter.escape_unicode());
            }
            _ if letter.is_control() => shown.extend(letter.escape_default()),
            _ => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Output, printable};

    #[test]
    fn no_reply_controls_the_terminal() {
        assert_eq!(printable(b"contact \x1b]0;x\x07\r"), "contact \\u{1b}]0;x\\u{7}\\r");
        assert_eq!(printable("a\tb\n\u{202e}c é".as_bytes()), "a\tb\n\\u{202e}c é");
        assert_eq!(printable(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn an_event_has_its_time_once() {
        let output = Output { is_terminal: true, has_colors: false };
        assert_eq!(output.event("12:00:01", "BW 1 2"), "12:00:01 BW 1 2\n");
        assert_eq!(
            output.event("12:00:01", "CONF_CHANGED\nLog=notice\n"),
            "12:00:01 CONF_CHANGED\n   Log=notice\n"
        );
    }
}
