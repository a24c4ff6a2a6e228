//! The terminal: drawn after updates and keys, and restored at the end.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event;

use crate::feed::{Feed, Message};
use crate::input::{self, Action, Effect};
use crate::model::Model;
use crate::view::{self, Page, Theme};

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(100);
/// The longest one, for what changes with the time alone.
const TICK: Duration = Duration::from_secs(1);

/// The end of a run.
#[derive(Debug)]
pub(crate) enum End {
    Quit,
    Failed(String),
}

/// The terminal in the state that the monitor needs. Dropping it restores the terminal; the panic
/// hook of ratatui restores it too.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, as far as it still exists.
pub(crate) fn restore() {
    let _ = ratatui::try_restore();
}

/// Shows the model until a key, a signal or the deadline ends the monitor.
pub(crate) fn run(
    model: &mut Model,
    theme: Theme,
    feed: &Feed,
    (sender, messages): (Sender<Message>, &Receiver<Message>),
    deadline: Option<Instant>,
) -> io::Result<End> {
    let mut screen = Screen::open()?;
    // It ends with the program: nothing interrupts its read.
    thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&sender))?;
    let mut page = Page::default();
    let mut drawn: Option<Instant> = None;
    let mut is_stale = true;
    loop {
        let since = drawn.map_or(TICK, |drawn| drawn.elapsed());
        if since >= TICK || (is_stale && since >= FRAME) {
            model.now = SystemTime::now();
            let before = page;
            screen.terminal.draw(|frame| page = view::draw(frame, model, theme))?;
            if input::hold_log(model, before, page) {
                screen.terminal.draw(|frame| page = view::draw(frame, model, theme))?;
            }
            (drawn, is_stale) = (Some(Instant::now()), false);
            continue;
        }
        let mut wait = if is_stale { FRAME } else { TICK }.saturating_sub(since);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(End::Quit);
            }
            wait = wait.min(left);
        }
        match messages.recv_timeout(wait) {
            Ok(Message::Update(update)) => {
                crate::panic_for_tests("main");
                model.now = SystemTime::now();
                model.apply(update);
                is_stale = true;
            }
            Ok(Message::Terminal(event)) => {
                let Some(action) = input::action(&event) else { continue };
                if action == Action::Redraw {
                    screen.terminal.clear()?;
                }
                match input::apply(model, action, page) {
                    Some(Effect::Quit) => return Ok(End::Quit),
                    Some(Effect::LogLevel(level)) => feed.set_log_level(level),
                    None => {}
                }
                is_stale = true;
            }
            Ok(Message::Failed(reason)) => return Ok(End::Failed(reason)),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(End::Quit),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn read_keys(sender: &Sender<Message>) {
    while let Ok(event) = event::read() {
        if sender.send(Message::Terminal(event)).is_err() {
            return;
        }
    }
    // The terminal is gone.
    let _ = sender.send(Message::Stop);
}
