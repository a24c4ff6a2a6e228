use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use torcon::command::ExtendCircuit;
use torcon::names::{CircuitPurpose, Fingerprint, RelaySpec};
use torcon::process::Ready;
use torcon::socks::SocksProxy;
use torcon::state::{CircuitChange, Snapshot, State, StreamChange};
use torcon::{Controller, Launcher, Signal};

use super::joining::socks_port;
use super::{LIMIT, join, shared_network};
use crate::support::watchdog::eventually;

/// The number of changes in a storm.
const STORM: usize = 1000;

/// The limit of a stream whose circuit may be closed.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The text with which a state and the replies of tor are compared.
type Contents = BTreeMap<String, String>;

/// The contents of a snapshot.
fn contents_of_state(snapshot: &Snapshot) -> Contents {
    let mut picture = Contents::new();
    for info in &snapshot.circuits {
        let mut text = info.text().to_string();
        if text.starts_with("CIRC_MINOR ") {
            // The event has more fields than the reply, and the kind of change instead of the status.
            text = text.replacen("CIRC_MINOR", "CIRC", 1);
            for word in ["PURPOSE_CHANGED", "CANNIBALIZED"] {
                text = text.replacen(word, info.status().as_str(), 1);
            }
        }
        picture.insert(format!("circuit {}", info.id()), comparable(&text));
    }
    for info in &snapshot.streams {
        // tor lists every stream that waits as a new one.
        let status = info.status();
        let status = match status.as_str() {
            "DETACHED" | "CONTROLLER_WAIT" => "NEW",
            other => other,
        };
        let circuit = info.circuit().map_or("0".to_owned(), |id| id.to_string());
        picture.insert(
            format!("stream {}", info.id()),
            format!("{status} {circuit} {}", info.target()),
        );
    }
    for guard in &snapshot.guards {
        picture.insert(format!("guard {}", fingerprint(&guard.relay)), guard.status.to_string());
    }
    for mapping in &snapshot.address_map {
        picture.insert(format!("address {}", mapping.address), mapping.new_address.clone());
    }
    for connection in &snapshot.connections {
        let peer = connection.peer.to_string();
        let peer = peer.split('~').next().unwrap_or_default();
        let count = picture.entry(format!("connection {peer} {}", connection.status)).or_default();
        count.push('I');
    }
    if let Some(bootstrap) = &snapshot.bootstrap {
        picture.insert("bootstrap".to_owned(), bootstrap.progress.to_string());
    }
    let liveness = snapshot.liveness.as_ref().map(ToString::to_string).unwrap_or_default();
    picture.insert("liveness".to_owned(), liveness.to_lowercase());
    picture
}

/// tor's replies to queries.
fn contents_of_tor(controller: &Controller) -> Contents {
    let mut picture = Contents::new();
    for circuit in controller.circuit_status().unwrap() {
        picture
            .insert(format!("circuit {}", circuit.id()), comparable(&circuit.text().to_string()));
    }
    for stream in controller.stream_status().unwrap() {
        let circuit = stream.circuit().map_or("0".to_owned(), |id| id.to_string());
        let text = format!("{} {circuit} {}", stream.status(), stream.target());
        picture.insert(format!("stream {}", stream.id()), text);
    }
    for guard in controller.entry_guards().unwrap() {
        picture.insert(format!("guard {}", fingerprint(&guard.relay)), guard.status.to_string());
    }
    for mapping in controller.address_mappings().unwrap() {
        picture.insert(format!("address {}", mapping.address), mapping.new_address);
    }
    for connection in controller.orconn_status().unwrap() {
        let peer = connection.peer().to_string();
        let peer = peer.split('~').next().unwrap_or_default();
        let count =
            picture.entry(format!("connection {peer} {}", connection.status())).or_default();
        count.push('I');
    }
    let bootstrap = controller.bootstrap_phase().unwrap();
    picture.insert("bootstrap".to_owned(), bootstrap.progress.to_string());
    picture.insert("liveness".to_owned(), controller.get_info_one("network-liveness").unwrap());
    picture
}

fn fingerprint(relay: &RelaySpec) -> Fingerprint {
    relay.fingerprint().expect("tor names guards so")
}

/// The fields of a circuit without those that change without an event, such as the nickname of a
/// relay, which tor learns with the first consensus.
fn comparable(text: &str) -> String {
    let is_told = |word: &&str| {
        !word.starts_with("OLD_")
            && !word.starts_with("CONFLUX_RTT=")
            && !word.starts_with("SOCKS_")
    };
    let without_nickname = |relay: &str| relay.split('~').next().unwrap_or_default().to_owned();
    let path = |word: &str| word.split(',').map(without_nickname).collect::<Vec<_>>().join(",");
    let words = text.split(' ').filter(is_told);
    let words = words.map(|word| if word.starts_with('$') { path(word) } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
}

/// Requires that the state equals the replies of tor, once no event arrives in between.
#[track_caller]
fn assert_same(state: &State, storm: usize) {
    let end = Instant::now() + LIMIT;
    loop {
        let before = state.snapshot();
        let asked = contents_of_tor(&state.controller());
        let after = state.snapshot();
        let told = contents_of_state(&after);
        if before.number() == after.number() && told == asked {
            return;
        }
        if Instant::now() > end {
            let mut difference = String::new();
            for key in told.keys().chain(asked.keys()) {
                let (ours, theirs) = (told.get(key), asked.get(key));
                if ours != theirs {
                    writeln!(difference, "{key}:\n  state {ours:?}\n  tor   {theirs:?}").unwrap();
                }
            }
            panic!(
                "after storm {storm}, at {} and {}:\n{difference}",
                before.number(),
                after.number()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// An echo server for any number of connections.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let copy = move || drop(std::io::copy(&mut &stream, &mut &stream));
            thread::Builder::new().name("echo".to_owned()).spawn(copy).unwrap();
        }
    };
    thread::Builder::new().name("echo".to_owned()).spawn(serve).unwrap();
    address
}

/// Opens a stream through tor and uses it; `None` if tor fails.
fn stream(socks: SocketAddr, port: u16) -> Option<TcpStream> {
    let proxy = SocksProxy::new(socks.to_string().as_str()).unwrap().timeout(ANSWER_LIMIT);
    let mut stream = proxy.connect(("echo.test", port)).ok()?.into_tcp().unwrap();
    stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
    stream.write_all(b"x").ok()?;
    stream.read_exact(&mut [0]).ok()?;
    Some(stream)
}

#[test]
fn after_each_of_ten_storms_the_state_equals_tor_s_answers() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let socks = socks_port(&tor);
    let port = echo().port();
    let state = State::new(controller).unwrap();
    let relays: Vec<_> =
        shared_network().relays()[1..].iter().map(|relay| relay.fingerprint).collect();

    let changes = Arc::new(AtomicUsize::new(0));
    let (of_circuits, of_streams) = (Arc::clone(&changes), Arc::clone(&changes));
    state
        .on_circuit(move |update| {
            let is_new = matches!(update.change, CircuitChange::Existing | CircuitChange::New);
            of_circuits.fetch_add(usize::from(!is_new), Ordering::Relaxed);
        })
        .unwrap();
    state
        .on_stream(move |update| {
            let is_change = !matches!(update.change, StreamChange::Existing);
            of_streams.fetch_add(usize::from(is_change), Ordering::Relaxed);
        })
        .unwrap();

    for storm in 0..10 {
        let begin = changes.load(Ordering::Relaxed);
        // The state has some streams when it is read.
        let mut open = Vec::new();
        let end = Instant::now() + 3 * LIMIT;
        for turn in 0.. {
            if changes.load(Ordering::Relaxed) >= begin + STORM {
                break;
            }
            assert!(Instant::now() < end, "storm {storm} takes too long");
            thread::scope(|scope| {
                let streams: Vec<_> = (0..4).map(|_| scope.spawn(|| stream(socks, port))).collect();
                for number in 0..6 {
                    let path: Vec<_> =
                        (0..3).map(|hop| relays[(turn + number + hop) % relays.len()]).collect();
                    let begun = ExtendCircuit::along(path).purpose(CircuitPurpose::Controller);
                    let id = controller.extend_circuit(&begun).unwrap();
                    if number % 2 == 0 {
                        // It may have ended meanwhile.
                        let _ = controller.set_circuit_purpose(id, CircuitPurpose::General);
                    }
                }
                open.extend(streams.into_iter().filter_map(|stream| stream.join().unwrap()));
            });
            let keep = turn % 5;
            open.truncate(keep);
            // All but a few of those that are built are closed.
            for circuit in state.circuits().iter().skip(keep) {
                if circuit.info().is_built() {
                    // It may have ended meanwhile.
                    let _ = controller.close_circuit(circuit.id());
                }
            }
        }
        let name = format!("storm{}.example", storm % 3);
        controller.map_address([(name.as_str(), format!("10.0.0.{storm}"))]).unwrap();
        assert_same(&state, storm);
        println!(
            "storm {storm}: {} changes; {} circuits and {} streams are open",
            changes.load(Ordering::Relaxed) - begin,
            state.circuits().len(),
            state.streams().len(),
        );
    }
    drop(state);
    // A thread of the state may be calling the closures, and then has the last handle.
    eventually(LIMIT, "the state has ended", || controller.subscribed_events().is_empty());
    tor.quit().unwrap();
}

#[test]
fn a_state_that_is_made_before_the_network_is_enabled_follows_the_whole_bootstrap() {
    let launcher = Launcher::new().network(shared_network()).wait_for(Ready::Controller);
    let launcher = launcher.option("DisableNetwork", "1").option("SocksPort", "0");
    let tor = launcher.timeout(LIMIT).launch().expect("tor starts without the network");
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    assert!(state.relays().unwrap().is_empty(), "there is no consensus yet");
    assert!(state.guards().is_empty() && state.circuits().is_empty());
    assert!(state.bootstrap().is_some_and(|bootstrap| !bootstrap.is_done()));
    let sent_before = controller.subscribed_events();

    controller.set_conf([("DisableNetwork", "0")]).unwrap();
    eventually(LIMIT, "tor has started", || {
        state.bootstrap().is_some_and(|bootstrap| bootstrap.is_done())
    });
    let network = shared_network().relays();
    eventually(LIMIT, "the consensus has arrived", || {
        state.relays().unwrap().len() == network.len()
    });
    assert!(state.is_live());
    assert!(!state.guards().is_empty() && !state.connections().is_empty());
    assert_same(&state, 0);
    for relay in &controller.relay_statuses().unwrap() {
        let relay = relay.unwrap();
        let known = state.relay(relay.identity()).unwrap().expect("it is in the consensus");
        assert_eq!(known.nickname(), relay.nickname());
        assert_eq!(known.or_port(), relay.or_port());
        assert!(known.flags().eq(relay.flags()), "{known} {relay}");
    }
    assert_eq!(controller.subscribed_events(), sent_before);
    tor.quit().unwrap();
}

#[test]
fn a_resolved_name_is_in_the_address_map_until_tor_clears_its_cache() {
    let launcher = Launcher::new().network(shared_network()).timeout(LIMIT);
    let launcher = launcher.option("SocksPort", "127.0.0.1:auto CacheIPv4DNS");
    let tor = launcher.launch().expect("a tor can join the network");
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    controller.map_address([("kept.test", "other.test")]).unwrap();
    let port = echo().port();
    eventually(LIMIT, "tor connects", || stream(socks_port(&tor), port).is_some());
    let names = || {
        let map = state.address_map();
        map.into_iter().map(|mapping| mapping.address).collect::<Vec<_>>()
    };
    eventually(LIMIT, "it is remembered", || names().contains(&"echo.test".to_owned()));
    let map = state.address_map();
    let echo = map.iter().find(|mapping| mapping.address == "echo.test").unwrap();
    assert_eq!(echo.new_address, "127.0.0.1");
    assert!(echo.expires.is_some_and(|end| end > SystemTime::now()), "{echo:?}");
    assert_same(&state, 0);

    controller.signal(Signal::ClearDnsCache).unwrap();
    eventually(LIMIT, "it is forgotten", || names() == ["kept.test"]);
    assert_same(&state, 1);
    tor.quit().unwrap();
}

#[test]
fn the_relays_of_a_state_are_those_of_the_consensus() {
    let tor = join();
    let controller = tor.controller().unwrap();
    let state = State::new(controller).unwrap();
    let relays = state.relays().unwrap();
    let network = shared_network().relays();
    assert_eq!(relays.len(), network.len());
    for relay in &network {
        let found = state.relay(relay.fingerprint).unwrap().expect("it is in the consensus");
        assert_eq!(found.nickname(), relay.nickname);
        let named = state.relays_named(relay.nickname).unwrap();
        assert_eq!(named, [found]);
    }
    let authorities = state.authorities().unwrap();
    let names: Vec<_> = authorities.iter().map(|relay| relay.nickname().to_string()).collect();
    assert_eq!(names, ["auth0"]);
    assert!(!state.guards().is_empty());
    tor.quit().unwrap();
}
