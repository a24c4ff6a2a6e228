//! The onion services of this tor, and the descriptors that it uploads and fetches.

use ratatui::text::{Line, Span};

use super::Theme;
use super::layout::{column, cut};
use crate::model::{DescriptorEvent, Model, Outcomes, Service};
use crate::text::clock;

/// From this width on, addresses are shown whole.
const WIDE: usize = 110;
/// The columns of an address.
const ADDRESS: usize = 56;
const SHORT_ADDRESS: usize = 17;

pub(super) fn lines(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if model.services.is_empty() {
        lines.push(Line::styled(" no onion services", theme.faint()));
    }
    for service in &model.services {
        lines.push(Line::from(cut(name(service, theme), width)));
        let mut details = vec![Span::raw(format!("    {}", service.origin))];
        if !service.ports.is_empty() {
            details.push(Span::raw(format!(", port {}", service.ports.join(", "))));
        }
        lines.push(Line::from(cut(details, width)));
        let outcomes = service.address.as_ref().and_then(|address| model.descriptors.of(address));
        if let Some(outcomes) = outcomes {
            lines.push(Line::from(cut(uploads(outcomes, theme), width)));
        }
    }
    lines.push(Line::raw(""));
    lines.push(Line::styled(" descriptors, the newest event first (UTC)", theme.strong()));
    let before = lines.len();
    let events = model.descriptors.newest_first();
    lines.extend(events.map(|event| Line::from(cut(line_of(event, theme, width), width))));
    if lines.len() == before {
        lines.push(Line::styled(" no event yet", theme.faint()));
    }
    lines
}

fn name(service: &Service, theme: Theme) -> Vec<Span<'static>> {
    let name = match &service.address {
        Some(address) => format!(" {address}.onion"),
        None => " address not readable".to_owned(),
    };
    vec![Span::styled(name, theme.strong())]
}

fn uploads(outcomes: Outcomes, theme: Theme) -> Vec<Span<'static>> {
    let style = if outcomes.uploaded > 0 { theme.good() } else { theme.warning() };
    let mut spans = vec![
        Span::raw("    descriptor: "),
        Span::styled(format!("{} uploaded", outcomes.uploaded), style),
    ];
    if outcomes.failed > 0 {
        spans.push(Span::styled(format!(", {} failed", outcomes.failed), theme.bad()));
    }
    spans.push(Span::raw(format!(", last at {}", clock(outcomes.last))));
    spans
}

fn line_of(event: &DescriptorEvent, theme: Theme, width: usize) -> Vec<Span<'static>> {
    let style = match event.action.as_str() {
        "UPLOADED" | "RECEIVED" => theme.good(),
        "FAILED" => theme.bad(),
        _ => theme.faint(),
    };
    let address = event.address.as_deref().unwrap_or("unknown");
    let mut spans = vec![
        Span::raw(format!(" {} ", clock(event.time))),
        Span::styled(column(&event.action, 10), style),
        Span::raw(column(address, if width >= WIDE { ADDRESS } else { SHORT_ADDRESS })),
    ];
    if let Some(directory) = &event.directory {
        spans.push(Span::raw(format!(" {directory}")));
    }
    if let Some(reason) = &event.reason {
        spans.push(Span::styled(format!(" {reason}"), theme.bad()));
    }
    spans
}
