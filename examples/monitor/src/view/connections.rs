//! Tor's connections to relays.

use ratatui::text::{Line, Span};

use super::Theme;
use super::layout::{column, cut};
use crate::model::Model;

pub(super) fn lines(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let connections = &model.live.connections;
    if connections.is_empty() {
        return vec![Line::styled(" no connections", theme.faint())];
    }
    let title = format!(
        "{:>5}  {} {} {} {} {}",
        "id",
        column("status", 10),
        column("relay", 20),
        column("flags", 8),
        column("country", 7),
        "address"
    );
    let mut lines = vec![Line::styled(title, theme.strong())];
    for connection in connections {
        let status = match connection.status.as_str() {
            "CONNECTED" => theme.good(),
            "FAILED" | "CLOSED" => theme.bad(),
            _ => theme.warning(),
        };
        let peer = &connection.peer;
        let mut spans = vec![
            Span::raw(format!("{:>5}  ", connection.id.as_deref().unwrap_or("-"))),
            Span::styled(column(&connection.status, 10), status),
            Span::raw(format!(
                " {} {} {} ",
                column(&peer.name, 20),
                column(&peer.flags, 8),
                column(peer.country.as_deref().unwrap_or("-"), 7),
            )),
            Span::raw(connection.address.clone().unwrap_or_default()),
        ];
        if connection.is_guard {
            spans.push(Span::styled("  guard", theme.strong()));
        }
        lines.push(Line::from(cut(spans, width)));
    }
    lines
}
