//! Services whose tor ends, on real tors whose network is off.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::controller::{ConnectOptions, Controller};
use crate::error::{Error, OnionProblem};
use crate::link::CancelToken;
use crate::names::{OnionAddress, OnionKey, PortTarget};
use crate::onion::{
    OnionEndpoint, OnionListener, OnionProgress, Publication, Register, SupervisedService,
    TorSource,
};
use crate::process::{Launcher, Ready, TorProcess};
use crate::sync::Mutex;

/// A limit that is never reached in a successful run.
const LONG: Duration = Duration::from_secs(60);
const BRIEF: Duration = Duration::from_millis(100);

fn tor() -> TorProcess {
    let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "0");
    launcher.wait_for(Ready::Controller).launch().unwrap()
}

fn another_connection(tor: &TorProcess) -> Controller {
    ConnectOptions::new().connect(tor.control_endpoint().unwrap()).unwrap()
}

/// The services of a supervisor.
#[derive(Clone, Default)]
struct Supervisor(Arc<Mutex<Vec<Arc<dyn SupervisedService>>>>);

impl Supervisor {
    fn endpoint(&self, controller: &Controller, launched: bool) -> OnionEndpoint {
        let (own, controller) = (self.clone(), controller.clone());
        let obtain = move |_: Option<&CancelToken>| {
            let register: Register = Box::new(move |service| own.0.lock().push(service));
            Ok((controller, register))
        };
        OnionEndpoint::new(TorSource::Supervised(Box::new(obtain), launched), 80)
            .publication(Publication::None)
            .check_interval(BRIEF)
    }

    fn service(&self) -> Arc<dyn SupervisedService> {
        Arc::clone(&self.0.lock()[0])
    }
}

fn key(number: u8) -> OnionKey {
    OnionKey::from_seed([number; 32])
}

/// Requires that the listener is open and accepts.
#[track_caller]
fn accepts(listener: &OnionListener) {
    let PortTarget::Tcp(address) = listener.local_addr() else { panic!("no TCP") };
    let _client = TcpStream::connect(address).unwrap();
    drop(listener.accept_timeout(LONG).unwrap());
}

#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_configured(controller: &Controller, directory: &Path) -> bool {
    let lines = controller.get_conf(["HiddenServiceOptions"]).unwrap();
    let wanted = directory.as_os_str().as_encoded_bytes();
    lines.lines().any(|(name, value)| {
        name.eq_ignore_ascii_case("HiddenServiceDir") && value.is_some_and(|it| it == wanted)
    })
}

fn has(controller: &Controller, address: OnionAddress) -> bool {
    controller.onions().unwrap().contains(&address)
}

#[track_caller]
fn end(tor: &TorProcess, controller: &Controller) {
    tor.kill().unwrap();
    eventually("the connection has ended", || !controller.is_alive());
}

#[test]
fn an_ephemeral_service_moves_to_each_next_tor_while_its_listener_accepts() {
    let supervisor = Supervisor::default();
    let mut first = tor();
    let mut controller = first.controller().unwrap().clone();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reported);
    let endpoint = supervisor.endpoint(&controller, false).key(key(1));
    let listener = endpoint.on_progress(move |step| sink.lock().push(step.clone())).listen();
    let listener = listener.unwrap();
    let (service, address) = (supervisor.service(), key(1).address());
    assert_eq!(service.address(), address);
    for round in 1..4 {
        end(&first, &controller);
        accepts(&listener);
        assert!(listener.accept_timeout(BRIEF).unwrap_err().is_timeout());
        let waited = listener.wait_published(Publication::First, BRIEF);
        assert!(waited.unwrap_err().is_timeout(), "the next tor may publish it");
        first = tor();
        controller = first.controller().unwrap().clone();
        assert!(service.restore(&controller).unwrap());
        assert!(has(&controller, address));
        assert!(listener.controller().is_alive());
        accepts(&listener);
        eventually("it is reported", || reported.lock().len() > round);
    }
    let mut steps = vec![OnionProgress::Added(address)];
    steps.resize(4, OnionProgress::Restored(address));
    assert_eq!(*reported.lock(), steps);
    // The monitor watches the service in the new tor.
    controller.del_onion(address).unwrap();
    eventually("it is added again", || has(&controller, address));
    drop(listener);
    assert!(!has(&controller, address));
    assert!(service.is_over());
    assert!(!service.restore(&controller).unwrap());
}

#[test]
fn a_filesystem_service_moves_with_its_directory() {
    let supervisor = Supervisor::default();
    let first = tor();
    let controller = another_connection(&first);
    let listener = supervisor.endpoint(&controller, true).listen().unwrap();
    let (service, address) = (supervisor.service(), listener.onion_address());
    let directory = listener.hidden_service_dir().unwrap().to_owned();

    // The same tor over another connection still has it.
    let again = another_connection(&first);
    controller.close();
    assert!(service.restore(&again).unwrap());
    assert!(is_configured(&again, &directory));
    accepts(&listener);

    end(&first, &again);
    let second = tor();
    let controller = second.controller().unwrap();
    assert!(service.restore(controller).unwrap());
    assert!(is_configured(controller, &directory));
    accepts(&listener);
    // The monitor notices changes of other controllers in the new tor.
    controller.reset_conf([("HiddenServiceOptions", None::<&str>)]).unwrap();
    eventually("it is added again", || is_configured(controller, &directory));
    assert_eq!(listener.onion_address(), address);
    listener.close().unwrap();
    assert!(!is_configured(controller, &directory));
    assert!(!directory.exists());
}

#[test]
fn an_address_that_an_earlier_connection_still_uses_is_added_when_that_has_ended() {
    let supervisor = Supervisor::default();
    let tor = tor();
    let first = another_connection(&tor);
    let listener = supervisor.endpoint(&first, false).key(key(1)).listen().unwrap();
    let (service, address) = (supervisor.service(), key(1).address());
    let second = another_connection(&tor);
    // The former connection has not ended, so tor still has the service.
    let error = service.restore(&second).unwrap_err();
    assert!(
        matches!(&error, Error::Onion(error)
        if matches!(error.problem(), OnionProblem::AddressInUse { .. })),
        "{error}"
    );
    accepts(&listener);
    first.close();
    eventually("the monitor adds it", || has(&second, address));
    accepts(&listener);
    assert!(service.restore(&second).unwrap());
    // A connection that has just ended causes no such error.
    let third = another_connection(&tor);
    second.close();
    assert!(service.restore(&third).unwrap());
    assert!(has(&third, address));
}

#[test]
fn a_detached_service_is_still_there_or_added_again() {
    let supervisor = Supervisor::default();
    let first = tor();
    let controller = another_connection(&first);
    let endpoint = supervisor.endpoint(&controller, false).key(key(1)).detach();
    let listener = endpoint.listen().unwrap();
    let (service, address) = (supervisor.service(), key(1).address());
    controller.close();
    let again = another_connection(&first);
    assert!(service.restore(&again).unwrap());
    end(&first, &again);
    let second = tor();
    let controller = second.controller().unwrap();
    assert!(service.restore(controller).unwrap());
    assert_eq!(controller.detached_onions().unwrap(), [address]);
    drop(listener);
    assert_eq!(controller.detached_onions().unwrap(), [address]);
}

#[test]
fn a_service_closed_without_a_connection_is_removed_over_the_next_one() {
    let supervisor = Supervisor::default();
    let tor = tor();
    let (first, second) = (another_connection(&tor), another_connection(&tor));
    let listener = supervisor.endpoint(&first, true).listen().unwrap();
    let (service, directory) = (supervisor.service(), listener.hidden_service_dir().unwrap());
    let directory = directory.to_owned();
    first.close();
    drop(listener);
    assert!(directory.exists(), "tor may be using it");
    assert!(!service.is_over());
    assert!(is_configured(&second, &directory));
    assert!(!service.restore(&second).unwrap());
    assert!(!is_configured(&second, &directory));
    assert!(!directory.exists());
    assert!(service.is_over());
}

#[test]
fn a_service_closed_without_a_tor_leaves_nothing() {
    for launched in [false, true] {
        let supervisor = Supervisor::default();
        let first = tor();
        let controller = first.controller().unwrap();
        let listener = supervisor.endpoint(controller, launched).listen().unwrap();
        let directory = listener.hidden_service_dir().map(Path::to_owned);
        end(&first, controller);
        first.wait().unwrap();
        listener.close().unwrap();
        assert!(directory.is_none_or(|directory| !directory.exists()));
        assert!(supervisor.service().is_over());
        let closed = listener.accept().unwrap_err();
        assert_eq!(closed.to_string(), "the listener is closed");
    }
}

#[test]
fn the_end_of_the_supervisor_ends_the_wait_with_its_reason() {
    for launched in [false, true] {
        let supervisor = Supervisor::default();
        let tor = tor();
        let controller = tor.controller().unwrap();
        let listener = supervisor.endpoint(controller, launched).listen().unwrap();
        let (service, address) = (supervisor.service(), listener.onion_address());
        let reason: Error = crate::error::InvalidInput::new("password", "is wrong").into();
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().map(drop));
            let waiting = scope.spawn(|| listener.wait_published(Publication::First, LONG));
            service.end(&reason);
            for outcome in [accepting.join().unwrap(), waiting.join().unwrap()] {
                assert_eq!(outcome.unwrap_err().to_string(), reason.to_string());
            }
        });
        assert!(!has(controller, address));
        assert!(service.is_over());
        listener.close().unwrap();
    }
}

#[test]
fn a_service_that_cannot_be_restored_waits_for_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let (path, aside) = (directory.path().join("service"), directory.path().join("aside"));
    let supervisor = Supervisor::default();
    let first = tor();
    let controller = first.controller().unwrap();
    let endpoint = supervisor.endpoint(controller, true).hidden_service_dir(&path);
    let listener = endpoint.listen().unwrap();
    let service = supervisor.service();
    end(&first, controller);
    std::fs::rename(&path, &aside).unwrap();
    let second = tor();
    let controller = second.controller().unwrap();
    let error = service.restore(controller).unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
    accepts(&listener);
    std::fs::rename(&aside, &path).unwrap();
    assert!(service.restore(controller).unwrap());
    assert!(is_configured(controller, &path));
    drop(listener);
    assert!(!is_configured(controller, &path));
    assert!(path.exists(), "it was given");
}

#[test]
fn a_service_in_the_torrc_of_the_next_tor_is_restored_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service");
    let supervisor = Supervisor::default();
    let first = tor();
    let controller = first.controller().unwrap();
    let endpoint = supervisor.endpoint(controller, true).hidden_service_dir(&path);
    let listener = endpoint.listen().unwrap();
    end(&first, controller);
    first.wait().unwrap();
    let launcher = Launcher::new().option("DisableNetwork", "1").option("SocksPort", "0");
    let launcher = launcher.option("HiddenServiceDir", &path).option("HiddenServicePort", "81");
    let second = launcher.wait_for(Ready::Controller).launch().unwrap();
    let controller = second.controller().unwrap();
    assert!(supervisor.service().restore(controller).unwrap());
    let ports = |wanted: &str| {
        let lines = controller.get_conf(["HiddenServiceOptions"]).unwrap();
        lines
            .lines()
            .filter_map(|(_, value)| value)
            .filter(|value| value.starts_with(wanted.as_bytes()))
            .count()
    };
    assert_eq!((ports("80 "), ports("81")), (1, 0));
    accepts(&listener);
    listener.close().unwrap();
    assert_eq!((ports("80 "), ports("81")), (0, 1));
}

#[test]
fn a_key_may_not_be_discarded_where_the_service_must_be_added_again() {
    let supervisor = Supervisor::default();
    let tor = tor();
    let endpoint = supervisor.endpoint(tor.controller().unwrap(), false).discard_key();
    assert_eq!(
        endpoint.listen().unwrap_err().to_string(),
        "invalid argument \"discard_key\": is not for a tor with a supervisor, which adds the \
         service again"
    );
    assert!(supervisor.0.lock().is_empty());
}

/// No thread waits for the one that calls the closure of the program.
#[test]
fn a_closure_that_does_not_return_delays_neither_the_supervisor_nor_the_end() {
    let supervisor = Supervisor::default();
    let first = tor();
    let controller = first.controller().unwrap();
    let (let_go, held) = std::os::unix::net::UnixStream::pair().unwrap();
    let endpoint = supervisor.endpoint(controller, false).on_progress(move |step| {
        if matches!(step, OnionProgress::Restored(_)) {
            let _ = (&held).read(&mut [0]);
        }
    });
    let listener = endpoint.listen().unwrap();
    let service = supervisor.service();
    end(&first, controller);
    let second = tor();
    assert!(service.restore(second.controller().unwrap()).unwrap());
    accepts(&listener);
    listener.close().unwrap();
    drop(let_go);
}

#[test]
fn clients_that_change_without_a_connection_are_known_to_the_next_one() {
    let supervisor = Supervisor::default();
    let tor = tor();
    let count = |text| tor.last_lines().iter().filter(|line| line.contains(text)).count();
    // tor logs a line for each SETCONF, before that of the next connection.
    let settings = |connections| {
        let next = another_connection(&tor);
        eventually("the connection is logged", || count("New control connection") == connections);
        (next, count("DisableNetwork is set"))
    };
    // With that of the launch, there are three connections.
    let (first, second) = (another_connection(&tor), another_connection(&tor));
    let listener = supervisor.endpoint(&first, true).listen().unwrap();
    let clients = listener.hidden_service_dir().unwrap().join("authorized_clients");
    first.close();
    let alice = listener.authorize_client("alice").unwrap();
    assert!(clients.join("alice.auth").exists());
    assert_eq!(listener.clients()[0].public_key, alice.public_key);
    let (_connection, before) = settings(4);
    assert!(supervisor.service().restore(&second).unwrap());
    second.close();
    let (third, after) = settings(5);
    assert!(after > before, "the service is set");
    assert!(supervisor.service().restore(&third).unwrap());
    assert_eq!(settings(6).1, after, "nothing has changed");
}
