//! The help, in front of the page.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::Theme;
use crate::model::FLAGS;

const KEYS: [(&str, &str); 9] = [
    ("1 to 5", "chooses a page"),
    ("Tab, Right", "next page"),
    ("Backtab, Left", "previous page"),
    ("Up, Down, k, j", "scrolls by a line"),
    ("PgUp, PgDn", "scrolls by a page"),
    ("Home, End", "scrolls to the beginning, to the end"),
    ("+, -", "more messages, fewer messages in the log"),
    ("i", "seconds of one column of the graph: 1, 5, 15, 60"),
    ("q, Ctrl-C", "quits; ? closes this help"),
];

pub(super) fn draw(frame: &mut Frame<'_>, theme: Theme, area: Rect) {
    let mut lines: Vec<Line<'static>> =
        KEYS.into_iter().map(|(key, text)| Line::raw(format!(" {key:<16}{text}"))).collect();
    lines.push(Line::raw(""));
    lines.push(Line::styled(
        " Letters of a relay: its country, if tor has GeoIP data, and",
        theme.strong(),
    ));
    let names: Vec<_> = FLAGS.iter().map(|(name, letter)| format!("{letter} {name}")).collect();
    for part in names.chunks(5) {
        lines.push(Line::raw(format!("   {}", part.join("  "))));
    }
    lines.push(Line::raw(" Averages are those of the last minute. Times are UTC."));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let [area] = Layout::vertical([Constraint::Length(height)]).flex(Flex::Center).areas(area);
    let [area] = Layout::horizontal([Constraint::Length(70)]).flex(Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Help ")), area);
}
