//! The terminal of the program: its settings, which the line editor changes, and hidden input.

use std::io::{self, IsTerminal as _, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use parking_lot::Mutex;

/// Ends the mode in which a terminal marks pasted text, which the line editor begins.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l\r\n";

/// The terminal at the standard input, with its settings at the start of the program.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// `None` if the standard input is not a terminal.
    original: Option<Mutex<Termios>>,
    is_interactive: bool,
}

impl Terminal {
    pub(crate) fn of_this_program() -> Self {
        let original = tcgetattr(io::stdin()).ok().map(Mutex::new);
        let is_interactive = original.is_some() && io::stdout().is_terminal();
        Self { original, is_interactive }
    }

    /// Returns whether lines are typed and replies are read at this terminal.
    pub(crate) fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    /// Restores the settings of the terminal.
    pub(crate) fn restore(&self) {
        if let Some(original) = &self.original {
            // Without a terminal nothing is to be restored.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &original.lock());
        }
    }

    /// Restores the terminal while the line editor waits for a key, and begins a new line.
    pub(crate) fn leave_editor(&self) {
        self.restore();
        let mut out = io::stdout();
        let _ = out.write_all(BRACKETED_PASTE_OFF).and_then(|()| out.flush());
    }

    /// Asks for a line that is not shown. Returns `None` without a terminal or at the end of the
    /// input.
    pub(crate) fn read_hidden(&self, question: &str) -> Option<String> {
        let mut hidden = self.original.as_ref()?.lock().clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        hidden.local_flags.insert(LocalFlags::ECHONL);
        // Before the question, since this discards what was typed before it.
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).ok()?;
        let mut line = String::new();
        let mut err = io::stderr();
        let asked = write!(err, "{question}").and_then(|()| err.flush());
        let read = asked.and_then(|()| io::stdin().read_line(&mut line));
        self.restore();
        if read.ok()? == 0 {
            return None;
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Some(line)
    }
}
