//! The names that users of txtorcon, Stem and bine search for lead to an item of torcon.
//!
//! The lists are the public names of txtorcon 24, of the modules `control`, `connection` and
//! `process` of Stem 2, and of bine's `control`, `process` and `tor`. They leave out what those
//! libraries have for themselves: methods that Twisted calls, state machines, constants of the
//! authentication, text parsers and lists of what is cached.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TXTORCON: &str = "
    process State launch connect Tor quit protocol version get_config web_agent dns_resolve
    dns_resolve_ptr add_onion_authentication remove_onion_authentication onion_authentication
    stream_via create_authenticated_onion_endpoint create_onion_endpoint
    create_filesystem_onion_endpoint create_filesystem_authenticated_onion_endpoint
    create_state is_ready become_ready create_onion_service create_filesystem_onion_service
    TorNotFound TorProcessProtocol when_connected cleanup progress SocksError
    GeneralServerFailureError ConnectionNotAllowedError NetworkUnreachableError
    HostUnreachableError ConnectionRefusedError TtlExpiredError CommandNotSupportedError
    AddressTypeNotSupportedError resolve resolve_ptr TorSocksEndpoint launch_tor TorConfigType
    parse validate Boolean Boolean_Auto Integer SignedInteger Port TimeInterval
    TimeMsecInterval DataSize Float Time CommaList TimeIntervalCommaList RouterList String
    Filename LineList config_types is_list_config_type HiddenService private_key clients
    hostname client_keys config_attributes EphemeralHiddenService add_to_tor remove_from_tor
    TorConfig from_protocol socks_endpoint create_socks_endpoint attach_protocol get_type
    bootstrap needs_save mark_unsaved save config_args create_torrc tor_agent
    agent_for_socks_port hexIdFromHash hashFromHexId PortRange Router modified get_location
    location flags bandwidth policy accepts_port build_tor_connection
    build_local_tor_connection TorState undo_attacher set_attacher close_stream close_circuit
    on_circuit_new on_circuit_launched on_circuit_extend on_circuit_built on_circuit_closed
    on_circuit_failed add_circuit_listener on_stream_new on_stream_succeeded on_stream_attach
    on_stream_detach on_stream_closed on_stream_failed add_stream_listener build_circuit
    find_circuit router_from_id stream_new stream_succeeded stream_attach stream_detach
    stream_closed stream_failed circuit_launched circuit_extend circuit_built circuit_new
    circuit_destroy circuit_closed circuit_failed CircuitBuildFailedError
    CircuitBuildClosedError Stream listen unlisten close TorCircuitEndpoint Circuit is_built
    when_built when_closed time_created age update_path CircuitBuildTimedOutError
    build_timeout_circuit ITor IStreamListener StreamListenerMixin IStreamAttacher
    attach_stream_failure attach_stream ICircuitContainer ICircuitListener CircuitListenerMixin
    ITorControlProtocol get_info get_conf signal add_event_listener IRouterContainer
    IAddrListener addrmap_added addrmap_expired DEFAULT_VALUE TorProtocolError
    TorDisconnectError TorProtocolFactory Event TorControlProtocol get_info_raw
    get_info_incremental get_info_single get_conf_single get_conf_raw set_conf
    remove_event_listener protocolinfo authenticate queue_command when_disconnected
    PriorityAttacher add_attacher remove_attacher city country version_at_least create_geoip
    maybe_create_db is_executable find_tor_binary process_from_address NetLocation
    available_tcp_port default_control_port remove FakeControlProtocol event_happened
    answer_pending HiddenServiceClientAuth IOnionService IFilesystemOnionService
    IAuthenticatedOnionClients get_permanent_id client_names get_client add_client del_client
    IOnionClient FilesystemOnionService ports directory group_readable AuthBasic AuthStealth
    DISCARD EphemeralAuthenticatedOnionService EphemeralOnionService
    EphemeralAuthenticatedOnionServiceClient name auth_token
    FilesystemAuthenticatedOnionServiceClient authorize_client hidden_service_directory
    FilesystemAuthenticatedOnionService Addr AddrMap add_listener get_global_tor_instance
    get_global_tor IProgressProvider add_progress_listener TCPHiddenServiceEndpoint system_tor
    global_tor private_tor onion_uri onion_private_key TorOnionAddress onion_service onion_key
    IHiddenService TorOnionListeningPort startListening stopListening getHost tor_config
    local_address hidden_service_dir TCPHiddenServiceEndpointParser TorClientEndpoint
    from_connection TorClientEndpointStringParser TorInfo password_function progress_updates
    connection_creator connected_cb kill_on_stderr tor_binary valid_signals valid_events
    is_owned on_disconnect create_authenticated_onion_service";

const STEM: &str = "
    EVENTS_LISTENING_TIMEOUT MALFORMED_EVENTS State EventType Listener IMMUTABLE_CONFIG_OPTIONS
    MSG_TIMEOUT CACHEABLE_GETINFO_PARAMS EVENT_DESCRIPTIONS AccountingStats UserTrafficAllowed
    CreateHiddenServiceOutput HiddenServiceCredential with_default event_description
    BaseController msg is_alive is_localhost connection_time is_authenticated connect close
    get_socket get_latest_heartbeat add_status_listener remove_status_listener Controller
    from_port from_socket_file authenticate reconnect get_info get_version get_exit_policy
    get_ports get_listeners get_accounting_stats get_protocolinfo get_user get_pid
    get_start_time get_uptime is_user_traffic_allowed get_microdescriptor get_microdescriptors
    get_server_descriptor get_server_descriptors get_network_status get_network_statuses
    get_hidden_service_descriptor get_conf get_conf_map is_set set_conf reset_conf set_options
    get_hidden_service_conf set_hidden_service_conf create_hidden_service remove_hidden_service
    list_ephemeral_hidden_services create_ephemeral_hidden_service
    remove_ephemeral_hidden_service add_hidden_service_auth remove_hidden_service_auth
    list_hidden_service_auth add_event_listener remove_event_listener is_caching_enabled
    set_caching clear_cache load_conf save_conf is_feature_enabled enable_feature get_circuit
    get_circuits new_circuit extend_circuit repurpose_circuit close_circuit get_streams
    attach_stream close_stream signal is_newnym_available get_newnym_wait get_effective_rate
    map_address drop_guards NO_TORRC DEFAULT_INIT_TIMEOUT launch_tor launch_tor_with_config
    AuthMethod authenticate_none authenticate_password authenticate_cookie
    authenticate_safecookie AuthenticationFailure UnrecognizedAuthMethods IncorrectSocketType
    OpenAuthFailed OpenAuthRejected PasswordAuthFailed PasswordAuthRejected IncorrectPassword
    MissingPassword CookieAuthFailed CookieAuthRejected IncorrectCookieValue
    IncorrectCookieSize UnreadableCookieFile AuthChallengeFailed AuthChallengeUnsupported
    UnrecognizedAuthChallengeMethod AuthSecurityFailure InvalidClientNonce MissingAuthInfo
    NoAuthMethods NoAuthCookie Signal SocketClosed ControllerError is_geoip_unavailable";

const BINE: &str = "
    Response IsOk DataWithReply ReadResponse Conn NewConn SendRequest Close Authenticate
    AttachStream RedirectStream CloseStream KeyVal NewKeyVal KeyVals ValSet ExtendCircuit
    SetCircuitPurpose CloseCircuit SetConf ResetConf GetConf SaveConf LoadConf
    GetHiddenServiceDescriptorAsync PostHiddenServiceDescriptorAsync EventCode EventCodes
    EventWait HandleEvents HandleNextEvent AddEventListener RemoveEventListener Event
    ParseEvent CircuitEvent ParseCircuitEvent Code StreamEvent ParseStreamEvent ORConnEvent
    ParseORConnEvent BandwidthEvent ParseBandwidthEvent LogEvent ParseLogEvent NewDescEvent
    ParseNewDescEvent AddrMapEvent ParseAddrMapEvent DescChangedEvent ParseDescChangedEvent
    StatusEvent ParseStatusEvent GuardEvent ParseGuardEvent NetworkStatusEvent
    ParseNetworkStatusEvent StreamBandwidthEvent ParseStreamBandwidthEvent ClientsSeenEvent
    ParseClientsSeenEvent NewConsensusEvent ParseNewConsensusEvent BuildTimeoutSetEvent
    ParseBuildTimeoutSetEvent SignalEvent ParseSignalEvent ConfChangedEvent
    ParseConfChangedEvent CircuitMinorEvent ParseCircuitMinorEvent TransportLaunchedEvent
    ParseTransportLaunchedEvent ConnBandwidthEvent ParseConnBandwidthEvent
    CircuitBandwidthEvent ParseCircuitBandwidthEvent CellStatsEvent ParseCellStatsEvent
    TokenBucketEmptyEvent ParseTokenBucketEmptyEvent HSDescEvent ParseHSDescEvent
    HSDescContentEvent ParseHSDescContentEvent NetworkLivenessEvent ParseNetworkLivenessEvent
    UnrecognizedEvent ParseUnrecognizedEvent KeyType KeyAlgo Key KeyFromString GenKey
    GenKeyFromBlob Type Blob ED25519Key ED25519KeyFromBlob AddOnionRequest AddOnionResponse
    AddOnion DelOnion Signal Quit MapAddresses GetInfo PostDescriptor UseFeatures ResolveAsync
    TakeOwnership DropGuards ProtocolInfo HasAuthMethod Process Creator CmdCreatorFunc
    NewCreator New EmbeddedControlConn ControlPortFromFileContents Dialer DialConf DialContext
    OnionService ListenConf Listen Accept Addr Network String OnionForward ForwardConf Forward
    Tor StartConf Start EnableNetwork";

/// Returns the name as the documentation search compares it.
fn searched(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// Collects the public names and the aliases in the sources below a directory.
fn collect(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            collect_from(&fs::read_to_string(&path).unwrap(), names);
        }
    }
}

fn collect_from(source: &str, names: &mut BTreeSet<String>) {
    let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    for line in source.lines().map(str::trim) {
        let item =
            ["pub fn ", "pub const fn ", "pub struct ", "pub enum ", "pub trait ", "pub mod "]
                .iter()
                .find_map(|begin| line.strip_prefix(begin));
        if let Some(name) = item {
            let end = name.find(|letter| !is_of_name(letter)).unwrap_or(name.len());
            names.insert(searched(&name[..end]));
        }
    }
    for list in source.split("#[doc(alias").skip(1) {
        let end = list.find(")]").unwrap_or_default();
        let quoted = list[..end].split('"').skip(1).step_by(2);
        names.extend(quoted.map(searched));
    }
}

#[test]
fn the_names_of_other_libraries_lead_to_an_item() {
    let mut names = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    for (library, list) in [("txtorcon", TXTORCON), ("Stem", STEM), ("bine", BINE)] {
        let missing: Vec<_> =
            list.split_whitespace().filter(|name| !names.contains(&searched(name))).collect();
        assert!(missing.is_empty(), "no item and no alias for names of {library}: {missing:?}");
    }
}

#[test]
fn aliases_are_read_in_each_of_their_forms() {
    let mut names = BTreeSet::new();
    let source =
        "#[doc(alias = \"get_thing\")]\n#[doc(alias(\n    \"A\",\n    \"B_c\",\n))]\npub fn thing(";
    collect_from(source, &mut names);
    let expected = ["a", "bc", "getthing", "thing"];
    assert_eq!(names, expected.map(str::to_owned).into());
}

/// Returns the names of types, free functions and re-exports that have an alias in a source.
fn with_alias(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut has_alias = false;
    for line in source.lines() {
        let is_item = ["pub struct ", "pub enum ", "pub trait ", "pub use "]
            .iter()
            .any(|begin| line.trim_start().starts_with(begin))
            || line.starts_with("pub fn ");
        if is_item && has_alias {
            found.push(line.trim());
        }
        let is_end = line.trim().is_empty() || line.ends_with(['{', ';', '}']);
        has_alias = (has_alias || line.trim_start().starts_with("#[doc(alias")) && !is_end;
    }
    found
}

#[test]
fn an_alias_stands_where_the_documentation_shows_the_item() {
    // rustdoc drops the aliases of a type that a public module re-exports from a private one. They
    // must stand at the `pub use`.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(root.join("lib.rs")).unwrap();
    let mut places = vec![root.clone()];
    let mut misplaced = Vec::new();
    while let Some(directory) = places.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                places.push(path);
                continue;
            }
            let module = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_shown = directory == root
                && (module == "lib" || library.contains(&format!("\npub mod {module};")));
            if !is_shown && path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let items = with_alias(&source);
                misplaced.extend(items.iter().map(|item| format!("{}: {item}", path.display())));
            }
        }
    }
    assert!(misplaced.is_empty(), "move the aliases to the re-export:\n{}", misplaced.join("\n"));
}
