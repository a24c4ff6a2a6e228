//! The first page: bandwidth, numbers, and the last messages.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::{Theme, circuits, graph, layout, log};
use crate::model::{Connection, Direction, Model};
use crate::text::{bytes, count};

/// The columns of the labels beside a graph.
const LABELS: usize = 8;
/// From this height on, the rows below the numbers show circuits too.
const TALL: u16 = 16;
/// The most lines of the reason why there is no connection.
const REASON: usize = 6;
/// The columns of a bar that shows the bootstrap progress.
const BAR: usize = 20;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let numbers = numbers(model, theme, usize::from(area.width));
    let numbers_height = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
    let graph_height = (area.height / 2).clamp(6, 14);
    let heights =
        [Constraint::Length(graph_height), Constraint::Length(numbers_height), Constraint::Min(0)];
    let [graphs, middle, rest] = Layout::vertical(heights).areas(area);
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(graphs);
    let bandwidth = &model.bandwidth;
    draw_graph(frame, model, "Download", &bandwidth.read, theme.read(), left);
    draw_graph(frame, model, "Upload", &bandwidth.written, theme.written(), right);
    frame.render_widget(Paragraph::new(numbers), middle);

    let circuits_height = match rest.height {
        0..TALL => 0,
        height => height / 2,
    };
    let heights = [Constraint::Length(circuits_height), Constraint::Min(0)];
    let [middle, rest] = Layout::vertical(heights).areas(rest);
    if !middle.is_empty() {
        let block = Block::bordered().title(" Circuits ");
        let lines = circuits::lines(model, theme, usize::from(block.inner(middle).width));
        frame.render_widget(Paragraph::new(lines).block(block), middle);
    }

    let block = Block::bordered().title(format!(" Log from {} ", model.log.level()));
    let inner = block.inner(rest);
    let lines = log::last(model, theme, usize::from(inner.width), usize::from(inner.height));
    frame.render_widget(Paragraph::new(lines).block(block), rest);
}

fn draw_graph(
    frame: &mut Frame<'_>,
    model: &Model,
    name: &str,
    direction: &Direction,
    style: Style,
    area: Rect,
) {
    let title = format!(
        " {name} {}/s, avg {}/s ",
        bytes(if model.is_up() { direction.last() } else { 0 }),
        bytes(direction.average(60)),
    );
    let total = format!(" total {} ", bytes(direction.total()));
    let block = Block::bordered().title(title).title_bottom(Line::from(total).right_aligned());
    let inner = block.inner(area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let (columns, rows) = (width.saturating_sub(LABELS), height.saturating_sub(1));
    let values = direction.intervals(model.interval, columns);
    let top = graph::top(values.iter().copied().max().unwrap_or(0));
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (index, row) in graph::rows(&values, top, columns, rows).into_iter().enumerate() {
        let label = match index {
            0 => bytes(top),
            // The upper edge of this row is the middle of the graph.
            _ if index * 2 == rows => bytes(top / 2),
            _ => String::new(),
        };
        let label = format!("{label:>width$} ", width = LABELS - 1);
        lines.push(Line::from(vec![Span::raw(label), Span::styled(row, style)]));
    }
    let seconds = columns.saturating_mul(model.interval);
    let past = match seconds {
        0..=180 => format!("-{seconds} s"),
        _ => format!("-{} min", seconds / 60),
    };
    let step = format!("{} s a column", model.interval);
    let axis = layout::edges(
        vec![Span::raw(format!("{:>width$} {past}, {step}", 0, width = LABELS - 1))],
        vec![Span::raw("now")],
        width,
    );
    lines.push(axis);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Returns the lines with the numbers of circuits, streams and connections.
fn numbers(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let live = &model.live;
    let mut lines = Vec::new();
    if let Some(bootstrap) = model.bootstrap().filter(|bootstrap| bootstrap.percent < 100) {
        let filled = usize::from(bootstrap.percent) * BAR / 100;
        let bar = format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR - filled.min(BAR)));
        let text = format!(" bootstrap {bar} {} % {}", bootstrap.percent, bootstrap.summary);
        lines.push(Line::styled(layout::fit(&text, width), theme.warning()));
        if let Some(warning) = &bootstrap.warning {
            let text = format!(" tor warns: {warning}");
            lines.push(Line::styled(layout::fit(&text, width), theme.bad()));
        }
    }
    let (reason, style) = match &model.connection {
        Connection::Connecting { reason: Some(reason), .. } => (reason.as_str(), theme.warning()),
        Connection::GivenUp(reason) => (reason.as_str(), theme.bad()),
        _ => ("", theme.warning()),
    };
    if !model.is_up() {
        // The header has one line for it.
        let reason = layout::wrap(reason, width.saturating_sub(2));
        let reason = reason.iter().filter(|line| !line.is_empty()).take(REASON);
        lines.extend(reason.map(|line| Line::styled(format!(" {line}"), style)));
        return lines;
    }
    let guards = live.connections.iter().filter(|connection| connection.is_guard).count();
    let text = format!(
        " {}, {} built   {}, {} on no circuit   {}, {} to guards",
        count(live.circuits.len(), "circuit"),
        live.built(),
        count(live.streams(), "stream"),
        live.waiting.len(),
        count(live.connections.len(), "connection"),
        guards,
    );
    lines.push(Line::raw(layout::fit(&text, width)));
    lines
}
