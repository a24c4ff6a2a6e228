use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use torcon::command::{OnionClientAuthAdded, OnionClientAuthRemoved};
use torcon::names::{ClientAuthKey, OnionKey};
use torcon::onion::Publication;
use torcon::{ConnectOptions, Controller, Error};

use super::{LONG, entries, services};
use crate::error_text::check_text;
use crate::support::exclusive::exclusive;
use crate::support::proxy::Proxy;
use crate::support::real_tor::RealTor;
use crate::support::socket::{Lines, QUIET, Socket};
use crate::support::watchdog::{eventually, within};

/// How long a command waits for its reply. With a slower tor more replies are late, and the
/// requirements are the same.
const SHORT: Duration = Duration::from_secs(1);

/// A proxy that drops one reply to each of some commands.
pub(super) struct LossyProxy(Proxy);

impl LossyProxy {
    /// For each pair, drops the reply to the command with this keyword that follows so many others
    /// with it.
    pub(super) fn before(tor: &RealTor, losses: &[(&'static str, usize)]) -> Self {
        let losses = losses.to_vec();
        let pending = Arc::new(Mutex::new(VecDeque::new()));
        let expected = Arc::clone(&pending);
        Self(Proxy::before(
            tor.address(),
            move |client, tor| pass_commands(client, tor, losses, &pending),
            move |tor, client| pass_replies(tor, client, &expected),
        ))
    }

    pub(super) fn connect(&self) -> Controller {
        let endpoint = self.0.endpoint();
        ConnectOptions::new().command_timeout(SHORT).connect(endpoint.as_str()).unwrap()
    }
}

/// Records for each command whether its reply is lost.
fn pass_commands(
    client: &mut Socket,
    tor: &mut Socket,
    mut losses: Vec<(&str, usize)>,
    pending: &Mutex<VecDeque<bool>>,
) {
    let mut lines = Lines::default();
    while let Ok(line) = lines.next_text(client, QUIET) {
        let keyword = line.split(' ').next().unwrap();
        // The probe of the connection is not a command of a caller.
        let loss = losses
            .iter_mut()
            .find(|(lost, _)| *lost == keyword && !line.starts_with("GETINFO torcon/sync/"));
        let is_lost = loss.is_some_and(|(_, others)| {
            *others = others.wrapping_sub(1);
            *others == usize::MAX
        });
        pending.lock().push_back(is_lost);
        if tor.write_lines(&[line]).is_err() {
            break;
        }
    }
}

fn pass_replies(tor: &mut Socket, client: &mut Socket, pending: &Mutex<VecDeque<bool>>) {
    let mut lines = Lines::default();
    while let Ok(message) = lines.next_message(tor, QUIET) {
        let is_event = message[0].starts_with("650");
        let is_lost = !is_event && pending.lock().pop_front().unwrap_or_default();
        if !is_lost && client.write_lines(&message).is_err() {
            break;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Ephemeral,
    DiscardedKey,
    Detached,
    Temporary,
    Given,
}

/// Adds a service and closes it while one reply is lost, and requires that nothing is left.
fn lose(tor: &RealTor, root: &Path, kind: Kind, keyword: &'static str, others: usize) {
    let what = format!("{kind:?} {keyword} {others}");
    let proxy = LossyProxy::before(tor, &[(keyword, others)]);
    let controller = proxy.connect();
    let directory = root.join(format!("{kind:?}-{keyword}-{others}"));
    let endpoint = controller.onion_endpoint(80).publication(Publication::None);
    let endpoint = match kind {
        Kind::Ephemeral => endpoint,
        Kind::DiscardedKey => endpoint.discard_key(),
        Kind::Detached => endpoint.detach(),
        Kind::Temporary => endpoint.temporary_dir(),
        Kind::Given => endpoint.hidden_service_dir(&directory),
    };
    let is_known = |error: &Error| {
        check_text(error);
        assert!(error.is_timeout(), "{what}: {error:?}");
    };
    let path = match within(LONG, &what, move || endpoint.listen()) {
        Ok(listener) => {
            let path = listener.hidden_service_dir().map(Path::to_owned);
            // A call that failed with a timeout can be repeated.
            eventually(LONG, "the service can be closed", || {
                listener.close().map_err(|error| is_known(&error)).is_ok()
            });
            if kind == Kind::Detached {
                let address = listener.onion_address();
                eventually(LONG, "the service can be deleted", || {
                    let deleted = controller.del_onion(address);
                    deleted.is_ok_and(|()| true)
                        || controller.detached_onions().is_ok_and(|all| !all.contains(&address))
                });
            }
            path
        }
        Err(error) => {
            is_known(&error);
            assert!(!directory.exists(), "{what}");
            None
        }
    };
    assert!(controller.is_alive(), "{what}");
    assert_eq!(controller.onions().unwrap(), [], "{what}");
    let left = services(tor);
    let is_left = |path: &Path| left.iter().any(|line| line.ends_with(path.to_str().unwrap()));
    assert!(
        !is_left(&directory) && !path.is_some_and(|path: PathBuf| is_left(&path)),
        "{what}: {left:?}"
    );
}

#[test]
fn no_lost_reply_leaves_a_service_or_a_directory() {
    exclusive(|| {
        let tor = RealTor::start();
        let root = tempfile::tempdir_in(tor.directory()).unwrap();
        let ephemeral = [("SETEVENTS", 0), ("ADD_ONION", 0), ("DEL_ONION", 0)];
        // The second GETCONF is that of the monitor: if its reply is lost while the service is
        // closed, the connection may end deliberately, since tor numbers no reply.
        let filed =
            [("SETEVENTS", 0), ("GETINFO", 0), ("GETCONF", 0), ("SETCONF", 0), ("SETCONF", 1)];
        // In parallel: nearly all of the time is waiting for lost replies.
        thread::scope(|scope| {
            for kind in [Kind::Ephemeral, Kind::DiscardedKey, Kind::Detached] {
                for (keyword, others) in ephemeral {
                    let (tor, root) = (&tor, root.path());
                    scope.spawn(move || lose(tor, root, kind, keyword, others));
                }
            }
            scope.spawn(|| {
                for kind in [Kind::Temporary, Kind::Given] {
                    for (keyword, others) in filed {
                        lose(&tor, root.path(), kind, keyword, others);
                    }
                }
            });
        });
        assert_eq!(services(&tor), ["HiddenServiceOptions"]);
        assert_eq!(tor.raw().get_info("onions/detached"), "");
        let temporary = entries(&std::env::temp_dir());
        assert!(!temporary.iter().any(|name| name.contains("onion")), "{temporary:?}");
        assert!(tor.try_wait().is_none());
    });
}

#[test]
fn a_client_key_whose_reply_is_lost_can_be_added_again() {
    let tor = RealTor::start();
    let commands = ["ONION_CLIENT_AUTH_ADD", "ONION_CLIENT_AUTH_VIEW", "ONION_CLIENT_AUTH_REMOVE"];
    let proxy = LossyProxy::before(&tor, &commands.map(|command| (command, 0)));
    let controller = proxy.connect();
    let service = OnionKey::generate().unwrap().address();
    let key = ClientAuthKey::generate().unwrap();
    let add = || controller.add_onion_client_auth(service, &key);
    assert!(add().unwrap_err().is_timeout());
    // tor had the key already.
    assert_eq!(add().unwrap(), OnionClientAuthAdded::Replaced);
    assert!(controller.onion_client_auths().unwrap_err().is_timeout());
    assert_eq!(controller.onion_client_auths().unwrap().len(), 1);
    assert!(controller.remove_onion_client_auth(service).unwrap_err().is_timeout());
    let removed = controller.remove_onion_client_auth(service).unwrap();
    assert_eq!(removed, OnionClientAuthRemoved::NotThere);
    assert!(controller.onion_client_auths().unwrap().is_empty());
}
