//! Lines of the user, read on a separate thread, so that the session can wait for other things too.
//!
//! rustyline before version 19, which needs Rust 1.95, has a fault once it can print above the line:
//! of several keys that arrive together, it reads the second only after a later key (its issue 976).
//! So the printer is made when the user first asks for events.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor, ExternalPrinter as _};

use crate::completion::Completion;
use crate::events::Print;
use crate::history::{History, may_keep};
use crate::output::Output;
use crate::vocabulary::Vocabulary;

/// A request to the thread that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Command,
    /// A line of the data of a command.
    Data,
    /// A closure that prints lines above the one that is typed.
    Printer,
}

pub(crate) enum Answer {
    Line(String),
    /// The user has cleared the line, by Ctrl-C.
    Cleared,
    /// The end of the input, or Ctrl-D.
    End,
    Printer(Print),
    Failed(String),
}

/// The thread that reads lines, one for each request.
#[derive(Debug)]
pub(crate) struct Input {
    asks: Sender<Ask>,
    answers: Receiver<Answer>,
}

impl Input {
    /// Reads the standard input without a prompt.
    pub(crate) fn plain(output: Output) -> io::Result<Self> {
        Self::start(move |ask| {
            if ask == Ask::Printer {
                let print = move |text: String| output.line(text.trim_end().as_bytes());
                return Answer::Printer(Box::new(print));
            }
            let mut line = String::new();
            match io::stdin().read_line(&mut line) {
                Ok(0) => Answer::End,
                Ok(_) => Answer::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Answer::Failed(format!("cannot read the standard input: {error}")),
            }
        })
    }

    /// Reads the terminal by a line editor.
    pub(crate) fn editor(vocabulary: &Arc<Vocabulary>) -> rustyline::Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .bell_style(BellStyle::None)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completion::new(vocabulary)));
        let history = History::of_user();
        for line in history.load() {
            editor.add_history_entry(line)?;
        }
        let mut reader = LineReader { editor, history, pasted: VecDeque::new() };
        Ok(Self::start(move |ask| reader.answer(ask))?)
    }

    fn start(mut answer: impl FnMut(Ask) -> Answer + Send + 'static) -> io::Result<Self> {
        let (asks, asked) = bounded(1);
        let (sender, answers) = bounded(1);
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            for ask in asked {
                if sender.send(answer(ask)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { asks, answers })
    }

    /// Makes a request, and returns the channel on which the answer arrives.
    pub(crate) fn ask(&self, ask: Ask) -> &Receiver<Answer> {
        // The thread ends only after this.
        let _ = self.asks.send(ask);
        &self.answers
    }
}

/// The line editor with its history.
struct LineReader {
    editor: Editor<Completion, DefaultHistory>,
    history: History,
    /// The rest of several lines that were pasted together.
    pasted: VecDeque<String>,
}

impl LineReader {
    fn answer(&mut self, ask: Ask) -> Answer {
        let prompt = match ask {
            Ask::Command => "tor> ",
            Ask::Data => "... ",
            Ask::Printer => return self.printer(),
        };
        if self.pasted.is_empty() {
            match self.editor.readline(prompt) {
                Ok(text) => self.pasted.extend(text.split('\n').map(str::to_owned)),
                Err(ReadlineError::Eof) => return Answer::End,
                Err(ReadlineError::Interrupted) => return Answer::Cleared,
                Err(error) => return Answer::Failed(format!("cannot read the terminal: {error}")),
            }
        }
        let line = self.pasted.pop_front().unwrap_or_default();
        if ask == Ask::Command && may_keep(&line) {
            // A history that cannot be written is not worth a message at each line.
            let _ = self.editor.add_history_entry(line.trim_end());
            let _ = self.history.append(line.trim_end());
        }
        Answer::Line(line)
    }

    fn printer(&mut self) -> Answer {
        match self.editor.create_external_printer() {
            Ok(mut printer) => Answer::Printer(Box::new(move |text| {
                // Without a terminal the session ends, too.
                let _ = printer.print(text);
            })),
            // Such as a terminal without cursor movement.
            Err(_) => Answer::Printer(Box::new(|text| {
                let _ = io::stdout().write_all(text.as_bytes());
            })),
        }
    }
}
