//! The names that users of txtorcon and Stem search for lead to an item of torcon.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TXTORCON: &str = "
    connect TorControlProtocol TorProtocolFactory TorProcessProtocol TCPHiddenServiceEndpoint
    TorState TorConfig launch_tor TorOnionAddress TorOnionListeningPort TorInfo AddrMap Router
    PriorityAttacher IStreamAttacher ICircuitListener IStreamListener EphemeralOnionService
    FilesystemOnionService HiddenService build_circuit build_timeout_circuit when_built when_closed
    stream_via dns_resolve dns_resolve_ptr create_onion_service create_filesystem_onion_service
    create_authenticated_onion_service create_torrc get_global_tor system_tor private_tor
    password_function progress_updates connection_creator connected_cb kill_on_stderr tor_binary
    add_event_listener remove_event_listener get_info_raw get_info_incremental get_conf_raw
    queue_command protocolinfo valid_events valid_signals on_disconnect is_owned";

const STEM: &str = "
    Controller ControllerError SocketClosed EventType Signal from_port from_socket_file
    authenticate close is_alive msg add_status_listener get_info get_version get_exit_policy
    get_ports get_listeners get_accounting_stats get_protocolinfo get_user get_pid get_uptime
    get_microdescriptor get_microdescriptors get_server_descriptor get_server_descriptors
    get_network_status get_network_statuses get_hidden_service_descriptor get_conf get_conf_map
    set_conf reset_conf set_options get_hidden_service_conf set_hidden_service_conf
    create_hidden_service remove_hidden_service list_ephemeral_hidden_services
    create_ephemeral_hidden_service remove_ephemeral_hidden_service add_hidden_service_auth
    remove_hidden_service_auth list_hidden_service_auth get_newnym_wait
    load_conf save_conf enable_feature get_circuits new_circuit extend_circuit repurpose_circuit
    close_circuit get_streams attach_stream close_stream signal is_newnym_available
    is_geoip_unavailable map_address drop_guards launch_tor_with_config";

/// Collects the public names and the aliases in the sources below a directory.
fn collect(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines().map(str::trim) {
            let item = ["pub fn ", "pub struct ", "pub enum ", "pub trait "]
                .iter()
                .find_map(|begin| line.strip_prefix(begin));
            let alias = line.strip_prefix("#[doc(alias = \"");
            let name = item.or(alias).unwrap_or_default();
            let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            let end = name.find(|letter| !is_of_name(letter)).unwrap_or(name.len());
            names.insert(name[..end].to_owned());
        }
    }
}

#[test]
fn the_names_of_txtorcon_and_stem_lead_to_an_item() {
    let mut names = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    let wanted = TXTORCON.split_whitespace().chain(STEM.split_whitespace());
    let missing: Vec<_> = wanted.filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "no item and no alias: {missing:?}");
}
