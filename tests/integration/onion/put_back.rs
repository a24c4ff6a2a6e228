//! A service whose lines another program puts back while it is added again after a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use torcon::onion::Publication;

use super::{LONG, services};
use crate::support::proxy::Proxy;
use crate::support::real_tor::RealTor;
use crate::support::socket::{Lines, QUIET};
use crate::support::watchdog::eventually;

/// The end of the service restored these lines, as if tor's configuration file had them: found by
/// the storm `services`, with the change of another service under way at the reload.
#[test]
fn a_service_that_was_put_back_after_a_reload_is_removed_at_its_end() {
    let tor = Arc::new(RealTor::start());
    // The queries of the service since the reload: the first finds that tor has lost it.
    let queries = Arc::new(AtomicUsize::new(usize::MAX));
    let lines = Arc::new(parking_lot::Mutex::new(String::new()));
    let (shared, counted, put_back) = (Arc::clone(&tor), Arc::clone(&queries), Arc::clone(&lines));
    let proxy = Proxy::before(
        tor.address(),
        move |client, tor| {
            let mut commands = Lines::default();
            while let Ok(line) = commands.next_text(client, QUIET) {
                if line.starts_with("GETCONF HiddenServiceOptions")
                    && counted.load(Ordering::SeqCst) != usize::MAX
                    && counted.fetch_add(1, Ordering::SeqCst) == 1
                {
                    let lines = put_back.lock().clone();
                    assert_eq!(shared.raw().ask(&format!("SETCONF {lines}")), ["250 OK"]);
                }
                if tor.write_lines(&[line]).is_err() {
                    break;
                }
            }
        },
        |tor, client| {
            let mut replies = Lines::default();
            while let Ok(message) = replies.next_message(tor, QUIET) {
                if client.write_lines(&message).is_err() {
                    break;
                }
            }
        },
    );
    let controller = torcon::connect(proxy.endpoint()).unwrap();
    let endpoint = controller.onion_endpoint(80).publication(Publication::None);
    let listener = endpoint.temporary_dir().listen().unwrap();
    let configured = services(&tor);
    let quoted = |line: &String| {
        let (name, value) = line.split_once('=').unwrap();
        format!("{name}=\"{value}\"")
    };
    *lines.lock() = configured.iter().map(quoted).collect::<Vec<_>>().join(" ");
    queries.store(0, Ordering::SeqCst);
    tor.hang_up();
    eventually(LONG, "the service is added again", || {
        queries.load(Ordering::SeqCst) > 1 && services(&tor) == configured
    });
    listener.close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}
