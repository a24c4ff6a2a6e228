//! Keys: which action a key is, and how an action changes the model.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use torcon::names::Severity;

use crate::model::{Model, Tab};
use crate::view::Page;

/// An action that a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Help,
    CloseHelp,
    Show(Tab),
    NextTab,
    PreviousTab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    MoreMessages,
    FewerMessages,
    NextInterval,
    /// The terminal has another size.
    Redraw,
}

/// The consequence of an action outside of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Quit,
    LogLevel(Severity),
}

/// Returns the action of an event of the terminal.
pub(crate) fn action(event: &Event) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(*key),
        Event::Resize(_, _) => Some(Action::Redraw),
        _ => None,
    }
}

fn of_key(key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => Some(Action::Quit),
            KeyCode::Char('l') => Some(Action::Redraw),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Action::Help,
        KeyCode::Esc => Action::CloseHelp,
        KeyCode::Char(digit @ '1'..='5') => {
            let index = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok())?;
            Action::Show(Tab::ALL.get(index.checked_sub(1)?).copied()?)
        }
        KeyCode::Tab | KeyCode::Right => Action::NextTab,
        KeyCode::BackTab | KeyCode::Left => Action::PreviousTab,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::Home,
        KeyCode::End | KeyCode::Char('G') => Action::End,
        KeyCode::Char('+' | '=') => Action::MoreMessages,
        KeyCode::Char('-') => Action::FewerMessages,
        KeyCode::Char('i') => Action::NextInterval,
        _ => return None,
    })
}

/// Applies an action. The page is the one that was drawn last.
pub(crate) fn apply(model: &mut Model, action: Action, page: Page) -> Option<Effect> {
    match action {
        Action::Quit => return Some(Effect::Quit),
        Action::Help => model.shows_help = !model.shows_help,
        Action::CloseHelp => model.shows_help = false,
        Action::Show(tab) => model.tab = tab,
        Action::NextTab => model.tab = model.tab.moved(1),
        Action::PreviousTab => model.tab = model.tab.moved(Tab::ALL.len() - 1),
        Action::Up => scroll(model, page, false, 1),
        Action::Down => scroll(model, page, true, 1),
        Action::PageUp => scroll(model, page, false, page.height),
        Action::PageDown => scroll(model, page, true, page.height),
        Action::Home => scroll(model, page, false, usize::MAX),
        Action::End => scroll(model, page, true, usize::MAX),
        Action::MoreMessages => return model.change_log_level(true).map(Effect::LogLevel),
        Action::FewerMessages => return model.change_log_level(false).map(Effect::LogLevel),
        Action::NextInterval => model.next_interval(),
        Action::Redraw => {}
    }
    None
}

/// Keeps the messages in place that the user has scrolled to, although new ones have lengthened the
/// log. Returns whether the page must be drawn again.
pub(crate) fn hold_log(model: &mut Model, before: Page, now: Page) -> bool {
    let scroll = model.scroll.of(Tab::Log);
    let is_same = model.tab == Tab::Log && before.tab == Tab::Log && before.height == now.height;
    let new = now.last.saturating_sub(before.last);
    if !is_same || scroll == 0 || new == 0 {
        return false;
    }
    model.scroll.set(Tab::Log, scroll.saturating_add(new));
    true
}

/// Scrolls the page. The scroll of the log counts from its end.
fn scroll(model: &mut Model, page: Page, is_down: bool, lines: usize) {
    // The page may have become shorter.
    let before = model.scroll.of(model.tab).min(page.last);
    let after = match is_down == (model.tab == Tab::Log) {
        true => before.saturating_sub(lines),
        false => before.saturating_add(lines).min(page.last),
    };
    model.scroll.set(model.tab, after);
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
    use torcon::names::Severity;

    use super::{Action, Effect, action, apply, hold_log};
    use crate::model::{Model, Tab};
    use crate::view::Page;

    const PAGE: Page = Page { tab: Tab::Overview, height: 10, last: 25 };

    fn key(code: KeyCode) -> Option<Action> {
        action(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    #[test]
    fn keys_are_actions() {
        let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        assert_eq!(action(&Event::Key(control('c'))), Some(Action::Quit));
        assert_eq!(action(&Event::Key(control('q'))), None);
        assert_eq!(key(KeyCode::Char('q')), Some(Action::Quit));
        assert_eq!(key(KeyCode::Char('1')), Some(Action::Show(Tab::Overview)));
        assert_eq!(key(KeyCode::Char('5')), Some(Action::Show(Tab::Log)));
        assert_eq!(key(KeyCode::Char('6')), None);
        assert_eq!(action(&Event::Resize(80, 24)), Some(Action::Redraw));
        assert_eq!(action(&Event::FocusLost), None);
    }

    #[test]
    fn pages_are_chosen_in_a_circle() {
        let mut model = Model::new(UNIX_EPOCH);
        apply(&mut model, Action::PreviousTab, PAGE);
        assert_eq!(model.tab, Tab::Log);
        apply(&mut model, Action::NextTab, PAGE);
        assert_eq!(model.tab, Tab::Overview);
        apply(&mut model, Action::Help, PAGE);
        assert!(model.shows_help);
        apply(&mut model, Action::CloseHelp, PAGE);
        assert!(!model.shows_help);
        assert_eq!(apply(&mut model, Action::Quit, PAGE), Some(Effect::Quit));
    }

    #[test]
    fn pages_scroll_within_their_lines() {
        let mut model = Model::new(UNIX_EPOCH);
        let mut after = |tab, actions: &[Action]| {
            model.tab = tab;
            for action in actions {
                apply(&mut model, *action, PAGE);
            }
            model.scroll.of(tab)
        };
        assert_eq!(after(Tab::Circuits, &[Action::Down, Action::PageDown]), 11);
        assert_eq!(after(Tab::Circuits, &[Action::PageDown, Action::PageDown]), 25);
        assert_eq!(after(Tab::Circuits, &[Action::Up]), 24);
        assert_eq!(after(Tab::Circuits, &[Action::Home, Action::Up]), 0);
        assert_eq!(after(Tab::Circuits, &[Action::End]), 25);
        // The log counts from its end.
        assert_eq!(after(Tab::Log, &[Action::Down]), 0);
        assert_eq!(after(Tab::Log, &[Action::PageUp, Action::Up, Action::Down]), 10);
        assert_eq!(after(Tab::Log, &[Action::Home]), 25);
        assert_eq!(after(Tab::Log, &[Action::End]), 0);
    }

    #[test]
    fn new_messages_do_not_move_the_log_that_is_scrolled() {
        let mut model = Model::new(UNIX_EPOCH);
        model.tab = Tab::Log;
        let (before, now) =
            (Page { tab: Tab::Log, ..PAGE }, Page { tab: Tab::Log, last: 28, ..PAGE });
        assert!(!hold_log(&mut model, before, now));
        apply(&mut model, Action::Up, before);
        assert!(!hold_log(&mut model, PAGE, now));
        assert!(hold_log(&mut model, before, now));
        assert_eq!(model.scroll.of(Tab::Log), 4);
        assert!(!hold_log(&mut model, now, now));
    }

    #[test]
    fn a_new_level_is_passed_on() {
        let mut model = Model::new(UNIX_EPOCH);
        let level = |action, model: &mut Model| apply(model, action, PAGE);
        let info = Some(Effect::LogLevel(Severity::Info));
        assert_eq!(level(Action::MoreMessages, &mut model), info);
        assert!(level(Action::MoreMessages, &mut model).is_some());
        assert_eq!(level(Action::MoreMessages, &mut model), None);
    }
}
