//! Draws the model: a function of the model and the size, without any state.

mod circuits;
mod connections;
mod graph;
mod header;
mod help;
mod layout;
mod log;
mod onion;
mod overview;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

pub(crate) use self::theme::Theme;

use crate::model::{Model, Tab};
use crate::text::count;

/// How far the page can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) tab: Tab,
    /// The lines that are visible.
    pub(crate) height: usize,
    /// The largest scroll.
    pub(crate) last: usize,
}

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) -> Page {
    let heights = [Constraint::Length(3), Constraint::Min(0), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(heights).areas(frame.area());
    let header = header::lines(model, theme, usize::from(top.width));
    frame.render_widget(Paragraph::new(header), top);
    let page = draw_page(frame, model, theme, middle);
    let keys = " q quit  ? help  Tab next page  Up/Down scroll  +/- log level  i interval";
    frame.render_widget(Line::styled(keys, theme.faint()), bottom);
    if model.shows_help {
        help::draw(frame, theme, middle);
    }
    page
}

fn draw_page(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) -> Page {
    let width = usize::from(area.width.saturating_sub(2));
    let live = &model.live;
    let (title, lines) = match model.tab {
        Tab::Overview => {
            overview::draw(frame, model, theme, area);
            return Page { tab: model.tab, height: 0, last: 0 };
        }
        Tab::Circuits => {
            let (circuits, streams) = (live.circuits.len(), live.streams());
            let title = format!("{}, {}", count(circuits, "circuit"), count(streams, "stream"));
            (title, circuits::lines(model, theme, width))
        }
        Tab::Connections => {
            let title = count(live.connections.len(), "connection");
            (title, connections::lines(model, theme, width))
        }
        Tab::Onion => {
            let title = count(model.services.len(), "onion service");
            (title, onion::lines(model, theme, width))
        }
        Tab::Log => {
            let title = format!("from {} (+/- changes the level), UTC", model.log.level());
            (title, log::lines(model, theme, width))
        }
    };
    draw_lines(frame, model, &title, lines, area)
}

/// Draws the part of the lines to which the page is scrolled.
fn draw_lines(
    frame: &mut Frame<'_>,
    model: &Model,
    title: &str,
    lines: Vec<Line<'static>>,
    area: Rect,
) -> Page {
    let height = usize::from(area.height.saturating_sub(2));
    let page = Page { tab: model.tab, height, last: lines.len().saturating_sub(height) };
    let scroll = model.scroll.of(model.tab).min(page.last);
    let first = if model.tab == Tab::Log { page.last - scroll } else { scroll };
    let position = match page.last {
        0 => String::new(),
        _ => format!(" {} to {} of {} ", first + 1, (first + height).min(lines.len()), lines.len()),
    };
    let block = Block::bordered()
        .title(format!(" {title} "))
        .title_bottom(Line::from(position).right_aligned());
    let shown: Vec<_> = lines.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(shown).block(block), area);
    page
}

#[cfg(test)]
mod tests;
