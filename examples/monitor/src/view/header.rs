//! The header: tor and its ports, the connection, the bootstrap progress, and the tabs.

use std::time::Duration;

use ratatui::text::{Line, Span};

use super::Theme;
use super::layout::{cut, edges};
use crate::model::{Connection, Model, Process, Tab};
use crate::text::duration;

/// Returns the lines of the header.
pub(super) fn lines(model: &Model, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let first = edges(process(model, theme), connection(model, theme), width);
    let second = edges(details(model, theme), bootstrap(model, theme), width);
    vec![first, second, tabs(model, theme, width)]
}

fn process(model: &Model, theme: Theme) -> Vec<Span<'static>> {
    let Some(process) = &model.process else { return vec![Span::styled("tor", theme.strong())] };
    let mut spans = vec![Span::styled(format!("tor {}", process.version), theme.strong())];
    if let Some(pid) = process.pid {
        spans.push(Span::raw(format!("  pid {pid}")));
    }
    if let Some(started) = process.started {
        let uptime = model.now.duration_since(started).unwrap_or_default();
        spans.push(Span::raw(format!("  up {}", duration(uptime))));
    }
    spans
}

fn connection(model: &Model, theme: Theme) -> Vec<Span<'static>> {
    let (text, style) = match &model.connection {
        Connection::Starting => ("starting".to_owned(), theme.warning()),
        Connection::Connecting { attempt, next, .. } => {
            let wait = next.duration_since(model.now).unwrap_or(Duration::ZERO).as_secs();
            let next = if wait > 0 { format!(", next in {wait} s") } else { String::new() };
            (format!("connecting, attempt {attempt}{next}"), theme.warning())
        }
        Connection::Restoring => ("restoring".to_owned(), theme.warning()),
        Connection::Up { number, unrestored } if unrestored.is_empty() => {
            (format!("connection {number}: up"), theme.good())
        }
        Connection::Up { number, unrestored } => {
            (format!("connection {number}: up, {} not restored", unrestored.len()), theme.warning())
        }
        Connection::GivenUp(_) => ("given up".to_owned(), theme.bad()),
    };
    vec![Span::styled(text, style)]
}

/// Returns tor's ports; without a connection, why there is none.
fn details(model: &Model, theme: Theme) -> Vec<Span<'static>> {
    match (&model.connection, &model.process) {
        (Connection::GivenUp(reason), _) => vec![Span::styled(reason.clone(), theme.bad())],
        (Connection::Connecting { reason: Some(reason), .. }, _) => {
            vec![Span::styled(reason.clone(), theme.warning())]
        }
        (Connection::Up { unrestored, .. }, _) if !unrestored.is_empty() => {
            vec![Span::styled(unrestored.join("; "), theme.warning())]
        }
        (_, Some(process)) => vec![Span::raw(ports(process))],
        _ => Vec::new(),
    }
}

fn ports(process: &Process) -> String {
    let list = |name: &str, ports: &[String]| match ports {
        [] => format!("{name} -"),
        ports => {
            let ports: Vec<_> =
                ports.iter().map(|port| port.strip_prefix("127.0.0.1:").unwrap_or(port)).collect();
            format!("{name} {}", ports.join(" "))
        }
    };
    [list("SOCKS", &process.socks), list("OR", &process.or), list("control", &process.control)]
        .join("  ")
}

fn bootstrap(model: &Model, theme: Theme) -> Vec<Span<'static>> {
    let Some(bootstrap) = model.bootstrap() else { return Vec::new() };
    let style = match (bootstrap.percent, &bootstrap.warning) {
        (_, Some(_)) => theme.bad(),
        (100.., _) => theme.good(),
        _ => theme.warning(),
    };
    let mut spans = vec![Span::styled(format!("bootstrap {} %", bootstrap.percent), style)];
    if model.live.is_reachable == Some(false) {
        spans.push(Span::styled("  network down", theme.bad()));
    }
    spans
}

fn tabs(model: &Model, theme: Theme, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    for (number, tab) in (1..).zip(Tab::ALL) {
        let count = match tab {
            Tab::Circuits => Some(model.live.circuits.len()),
            Tab::Connections => Some(model.live.connections.len()),
            Tab::Onion => Some(model.services.len()),
            Tab::Overview | Tab::Log => None,
        };
        let title = tab.title();
        let text = count.map_or_else(
            || format!("{number} {title}"),
            |count| format!("{number} {title} ({count})"),
        );
        spans.push(match tab == model.tab {
            true => Span::styled(format!("[{text}]"), theme.selected()),
            false => Span::raw(format!(" {text} ")),
        });
    }
    Line::from(cut(spans, width))
}
