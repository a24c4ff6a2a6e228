use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::names::OnionAddress;
use torcon::supervisor::SupervisorOptions;
use torcon::{ConnectOptions, Launcher, Supervisor};

use super::cutting_proxy::CuttingProxy;
use super::{LIMIT, OPTION, OTHER_VALUE};
use crate::support::named_thread::named;
use crate::support::random::Random;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;
use crate::testnet::shared_network;

/// How long another program has the control port.
const HELD: Duration = Duration::from_secs(1);
/// How long tor is stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// The way to the tor of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Socket,
    Port,
    Proxy,
    Launch,
}

/// A disturbance of tor or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// SIGKILL; tor is started again.
    Kill,
    /// SIGTERM; tor is started again.
    Terminate,
    /// SIGKILL; another program has the control port for a second, then tor is started again.
    PortTaken,
    /// The proxy cuts the connection.
    Cut,
    /// SIGHUP.
    Reload,
    /// SIGSTOP, and SIGCONT three seconds later.
    Stop,
    /// Another controller sets an option of the supervisor.
    SetConf,
    /// Another controller removes a service of the supervisor.
    DelOnion,
}

impl Ending {
    fn of(way: Way) -> &'static [Self] {
        match way {
            Way::Socket | Way::Launch => &[
                Self::Kill,
                Self::Terminate,
                Self::Reload,
                Self::Stop,
                Self::SetConf,
                Self::DelOnion,
            ],
            Way::Port => &[Self::PortTaken, Self::PortTaken, Self::Kill, Self::Terminate],
            Way::Proxy => &[Self::Cut, Self::Cut, Self::Kill, Self::Stop],
        }
    }

    /// Returns a random one of those that are possible.
    pub(super) fn choose(way: Way, random: &mut Random) -> Self {
        let possible = Self::of(way);
        possible[random.below(possible.len())]
    }

    /// Whether the connection ends.
    pub(super) fn ends_connection(self) -> bool {
        matches!(self, Self::Kill | Self::Terminate | Self::PortTaken | Self::Cut)
    }
}

/// The tor of a supervisor.
pub(super) struct Subject {
    /// `None` if the supervisor launches it.
    own: Option<RealTor>,
    proxy: Option<CuttingProxy>,
}

impl Subject {
    pub(super) fn start(way: Way) -> Self {
        let own = (way != Way::Launch).then(|| {
            let tor = RealTor::builder().line("SocksPort auto").line("DisableNetwork 0");
            let tor = if way == Way::Port { tor.control_port().without_socket() } else { tor };
            let options = shared_network().client_options().iter();
            options.fold(tor, |tor, (name, value)| tor.line(format!("{name} {value}"))).start()
        });
        let proxied = own.as_ref().filter(|_| way == Way::Proxy);
        let proxy = proxied.map(|tor| CuttingProxy::before(tor.socket_path()));
        Self { own, proxy }
    }

    pub(super) fn supervisor(&self) -> Supervisor {
        let options = SupervisorOptions::new()
            .backoff(Duration::from_millis(50), Duration::from_secs(1))
            .check_interval(Duration::from_secs(5))
            .crash_loop(10_000, Duration::from_secs(60));
        let Some(tor) = &self.own else {
            let launcher = Launcher::new().network(shared_network()).option("SocksPort", "auto");
            return options.launch(launcher.timeout(LIMIT)).unwrap();
        };
        let endpoint = self.proxy.as_ref().map_or_else(|| tor.endpoint(), CuttingProxy::endpoint);
        // Silent programs at the port are left after this time.
        let connect = ConnectOptions::new().timeout(Duration::from_secs(5));
        options.connect([endpoint.as_str()], connect).unwrap()
    }

    /// Carries out an ending. Returns when tor was back.
    #[track_caller]
    pub(super) fn carry_out(
        &self,
        ending: Ending,
        supervisor: &Supervisor,
        service: Option<OnionAddress>,
        random: &mut Random,
    ) -> Instant {
        // The supervisor starts the tor that it launches without a delay of the test.
        let delay = random.millis(0..800) * u32::from(self.own.is_some());
        match ending {
            Ending::Kill | Ending::PortTaken => {
                self.signal(supervisor, Signal::SIGKILL);
                self.wait_ended();
                if let (Ending::PortTaken, Some(tor)) = (ending, &self.own) {
                    hold(tor.control_addr(), random.below(2) == 0);
                } else {
                    thread::sleep(delay);
                }
                self.start_again();
            }
            Ending::Terminate => {
                self.signal(supervisor, Signal::SIGTERM);
                self.wait_ended();
                thread::sleep(delay);
                self.start_again();
            }
            Ending::Cut => self.proxy.as_ref().expect("there is a proxy").cut(),
            Ending::Reload => self.signal(supervisor, Signal::SIGHUP),
            Ending::Stop => {
                self.signal(supervisor, Signal::SIGSTOP);
                thread::sleep(STOPPED);
                self.signal(supervisor, Signal::SIGCONT);
            }
            Ending::SetConf => {
                self.other_controller(supervisor, &format!("SETCONF {OPTION}={OTHER_VALUE}"));
            }
            Ending::DelOnion => {
                let Some(service) = service else { return Instant::now() };
                let command = format!("DEL_ONION {}", service.service_id());
                self.other_controller(supervisor, &command);
            }
        }
        Instant::now()
    }

    /// Sends a signal to tor. A tor that the supervisor launches has ended by chance or is present.
    fn signal(&self, supervisor: &Supervisor, signal: Signal) {
        match &self.own {
            Some(tor) => match signal {
                Signal::SIGKILL => tor.kill(),
                Signal::SIGTERM => tor.terminate(),
                Signal::SIGHUP => tor.hang_up(),
                Signal::SIGSTOP => tor.stop(),
                _ => tor.cont(),
            },
            None => {
                let tor = supervisor.wait_tor(LIMIT).unwrap();
                let pid = tor.process().expect("the supervisor has launched it").pid();
                // It may have ended since.
                let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal);
            }
        }
    }

    fn wait_ended(&self) {
        if let Some(tor) = &self.own {
            tor.wait(LIMIT);
        }
    }

    fn start_again(&self) {
        if let Some(tor) = &self.own {
            tor.start_again();
        }
    }

    /// Sends a command on another control connection.
    fn other_controller(&self, supervisor: &Supervisor, command: &str) {
        match &self.own {
            Some(tor) => assert_eq!(tor.raw().ask(command), ["250 OK"], "{command}"),
            None => {
                let tor = supervisor.wait_tor(LIMIT).unwrap();
                let process = tor.process().expect("the supervisor has launched it");
                let other = torcon::connect(process.control_endpoint().unwrap()).unwrap();
                let mut words = command.split(' ');
                let keyword = words.next().unwrap();
                let argument = words.next().unwrap();
                match keyword {
                    "SETCONF" => other.set_conf([argument.split_once('=').unwrap()]).unwrap(),
                    _ => other.del_onion(argument).unwrap(),
                }
            }
        }
    }

    /// Returns the services that tor has; `None` for a tor that the supervisor launches.
    pub(super) fn services(&self) -> Option<String> {
        let mut raw = self.own.as_ref()?.raw();
        Some(format!("{}{:?}", raw.get_info("onions/current"), raw.get_conf("HiddenServicePort")))
    }
}

/// Holds a port for a second, as a program that says nothing or greets as an SSH server.
fn hold(address: SocketAddr, is_silent: bool) {
    let mut listener = None;
    eventually(LIMIT, "the port is free", || {
        listener = TcpListener::bind(address).ok();
        listener.is_some()
    });
    let listener = listener.unwrap();
    listener.set_nonblocking(true).unwrap();
    let holder = named("port-holder", move || {
        let end = Instant::now() + HELD;
        let mut clients = Vec::new();
        while Instant::now() < end {
            match listener.accept() {
                Ok((mut client, _)) => {
                    if !is_silent {
                        client.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").ok();
                    }
                    clients.push(client);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    holder.join().unwrap();
}
