//! The messages of tor's log.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use torcon::names::Severity;

use super::Theme;
use super::layout::{cut, wrap};
use crate::model::{Entry, Model};
use crate::text::clock;

/// The columns before a message.
const MARGIN: usize = 18;

/// Returns the whole messages, the newest last.
pub(super) fn lines(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for entry in model.log.shown() {
        let mut parts = wrap(&entry.message, width.saturating_sub(MARGIN)).into_iter();
        let mut first = head(entry, theme);
        first.push(Span::raw(parts.next().unwrap_or_default()));
        lines.push(Line::from(first));
        lines.extend(parts.map(|part| Line::raw(format!("{:MARGIN$}{part}", ""))));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" no messages", theme.faint()));
    }
    lines
}

/// Returns the last messages, each cut to one line.
pub(super) fn last(model: &Model, theme: Theme, width: usize, count: usize) -> Vec<Line<'static>> {
    let newest_first = model.log.shown().rev().take(count);
    let line = |entry: &Entry| {
        let mut spans = head(entry, theme);
        spans.push(Span::raw(entry.message.clone()));
        Line::from(cut(spans, width))
    };
    let mut lines: Vec<_> = newest_first.map(line).collect();
    lines.reverse();
    lines
}

fn head(entry: &Entry, theme: Theme) -> Vec<Span<'static>> {
    let (name, style) = match entry.severity {
        None => ("monitor", theme.strong()),
        Some(severity) => (severity.as_str(), style_of(severity, theme)),
    };
    vec![Span::raw(format!(" {} ", clock(entry.time))), Span::styled(format!("{name:<8}"), style)]
}

fn style_of(severity: Severity, theme: Theme) -> Style {
    match severity {
        Severity::Err => theme.bad(),
        Severity::Warn => theme.warning(),
        Severity::Debug | Severity::Info => theme.faint(),
        _ => Style::new(),
    }
}
