//! Queries of what tor has no event for. A refused query leaves its value out: a filter in front of
//! tor may refuse any of them.

use std::time::{Duration, SystemTime};

use torcon::Controller;
use torcon::info::Traffic;
use torcon::names::ListenerKind;

use crate::model::Process;
use crate::text::printable;

/// The time limit of a query.
const LIMIT: Duration = Duration::from_secs(10);

/// Returns tor's version, process and ports.
pub(super) fn process(controller: &Controller) -> Process {
    let controller = controller.with_timeout(LIMIT);
    let uptime = controller.uptime().ok();
    let listeners = |kind: &ListenerKind| {
        let endpoints = controller.listeners(kind).unwrap_or_default();
        endpoints.iter().map(|endpoint| printable(endpoint.to_string())).collect()
    };
    Process {
        version: printable(controller.version().to_string()),
        pid: controller.process_info().ok().map(|process| process.pid),
        started: uptime.and_then(|uptime| SystemTime::now().checked_sub(uptime)),
        socks: listeners(&ListenerKind::Socks),
        or: listeners(&ListenerKind::Or),
        control: listeners(&ListenerKind::Control),
    }
}

/// Returns the bytes that tor has read and written since its start.
pub(super) fn traffic(controller: &Controller) -> Option<Traffic> {
    controller.with_timeout(LIMIT).traffic().ok()
}
