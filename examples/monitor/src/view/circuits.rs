//! The circuits with their relays and streams.

use ratatui::text::{Line, Span};

use super::Theme;
use super::layout::{column, cut};
use crate::model::{Circuit, Model, Relay, Stream};
use crate::text::duration;

/// From this width on, a circuit and its path share a line.
const WIDE: usize = 130;

pub(super) fn lines(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if model.live.circuits.is_empty() && model.live.waiting.is_empty() {
        lines.push(Line::styled(" no circuits", theme.faint()));
    }
    for circuit in &model.live.circuits {
        let (mut head, path) = (head(model, circuit, theme), path(&circuit.path, theme));
        if width >= WIDE {
            head.extend(path);
            lines.push(Line::from(cut(head, width)));
        } else {
            lines.push(Line::from(cut(head, width)));
            let margin = std::iter::once(Span::raw("      "));
            lines.push(Line::from(cut(margin.chain(path).collect(), width)));
        }
        lines.extend(circuit.streams.iter().map(|stream| line_of(stream, theme, width)));
    }
    if !model.live.waiting.is_empty() {
        lines.push(Line::styled(" streams on no circuit", theme.strong()));
        lines.extend(model.live.waiting.iter().map(|stream| line_of(stream, theme, width)));
    }
    lines
}

fn head(model: &Model, circuit: &Circuit, theme: Theme) -> Vec<Span<'static>> {
    let status = match circuit.status.as_str() {
        "BUILT" => theme.good(),
        "FAILED" | "CLOSED" => theme.bad(),
        _ => theme.warning(),
    };
    let age = circuit.created.and_then(|created| model.now.duration_since(created).ok());
    let purpose = match &circuit.detail {
        Some(detail) => format!("{} {detail}", circuit.purpose),
        None => circuit.purpose.clone(),
    };
    vec![
        Span::styled(format!("{:>4}  ", circuit.id), theme.strong()),
        Span::styled(column(&circuit.status, 9), status),
        Span::raw(format!(" {:>8}  ", age.map(duration).unwrap_or_default())),
        Span::raw(column(&purpose, 36)),
        Span::raw(" "),
    ]
}

/// Returns a relay as its name, its country and its flags.
pub(super) fn relay(relay: &Relay, theme: Theme) -> Vec<Span<'static>> {
    let details: Vec<_> = [relay.country.as_deref().unwrap_or(""), &relay.flags]
        .into_iter()
        .filter(|detail| !detail.is_empty())
        .collect();
    let mut spans = vec![Span::raw(relay.name.clone())];
    if !details.is_empty() {
        spans.push(Span::styled(format!(" ({})", details.join(" ")), theme.faint()));
    }
    spans
}

fn path(relays: &[Relay], theme: Theme) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (index, next) in relays.iter().enumerate() {
        if index > 0 {
            spans.push(Span::raw(" > "));
        }
        spans.extend(relay(next, theme));
    }
    if relays.is_empty() {
        spans.push(Span::styled("no relay yet", theme.faint()));
    }
    spans
}

fn line_of(stream: &Stream, theme: Theme, width: usize) -> Line<'static> {
    let mut spans = vec![
        Span::raw("      stream "),
        Span::styled(format!("{} ", stream.id), theme.strong()),
        Span::raw(format!("{} {}", stream.status, stream.target)),
    ];
    if let Some(purpose) = &stream.purpose {
        spans.push(Span::styled(format!(" {purpose}"), theme.faint()));
    }
    Line::from(cut(spans, width))
}
