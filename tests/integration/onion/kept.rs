use std::time::Duration;

use torcon::onion::{IfRemoved, OnionEndpoint, Publication};

use super::lost_replies::LossyProxy;
use super::{LONG, listen};
use crate::support::filter::{Filter, Profile, allow};
use crate::support::real_tor::RealTor;

/// Passes only the form of `ADD_ONION` by which tor generates the key.
const NEW_ONLY: Profile = Profile {
    name: "new-only",
    commands: &[
        allow("ADD_ONION", "NEW:<**>"),
        allow("DEL_ONION", "*"),
        allow("GETINFO", "onions/current"),
        allow("GETCONF", "hiddenservicesinglehopmode"),
    ],
    confs: &["disablenetwork"],
    events: &[],
};

#[test]
fn a_change_that_a_filter_refuses_does_not_end_an_ephemeral_service() {
    let tor = RealTor::start();
    let filter = Filter::before(tor.address(), tor.cookie_path(), &NEW_ONLY);
    let endpoint = OnionEndpoint::system_tor(filter.endpoint().as_str(), 80)
        .publication(Publication::None)
        .check_interval(Duration::from_millis(50));
    let listener = listen(endpoint);
    let refusals = [
        listener.upload_again(Publication::None, LONG).unwrap_err(),
        listener.authorize_client("alice").unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.status_code(), Some(510), "{refusal:?}");
    }
    let ended = listener.accept_timeout(Duration::from_secs(1)).unwrap_err();
    assert!(ended.is_timeout(), "{ended:?}");
    assert!(listener.controller().onions().unwrap().contains(&listener.onion_address()));
    assert!(listener.clients().is_empty());
}

/// Revokes a client while the reply to one command is lost, and requires that the service goes on.
fn revoke(command: &'static str, others: usize, has_directory: bool) {
    let tor = RealTor::start();
    let proxy = LossyProxy::before(&tor, &[(command, others)]);
    let controller = proxy.connect();
    let endpoint = controller
        .onion_endpoint(80)
        .publication(Publication::None)
        .if_removed(IfRemoved::End)
        .check_interval(Duration::from_millis(200))
        .authorize_client("alice")
        .authorize_client("bob");
    let path = tor.directory().join("late");
    let listener = match has_directory {
        false => listen(endpoint),
        true => listen(endpoint.hidden_service_dir(&path)),
    };
    let outcome = listener.revoke_client("bob");
    assert!(outcome.as_ref().is_err_and(torcon::Error::is_timeout), "{outcome:?}");
    let ended = listener.accept_timeout(Duration::from_secs(8)).unwrap_err();
    assert!(ended.is_timeout(), "{ended:?}");
    let clients = listener.clients();
    assert!(clients.iter().all(|client| client.name.as_str() == "alice"), "{clients:?}");
}

#[test]
fn a_late_reply_to_a_revocation_does_not_end_an_ephemeral_service() {
    revoke("ADD_ONION", 1, false);
}

#[test]
fn a_late_reply_to_a_revocation_does_not_end_a_filesystem_service() {
    revoke("SETCONF", 1, true);
}
