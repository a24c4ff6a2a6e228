//! The answers of torcon to the requests of `compare.py`: JSON, one line for each.
//!
//! A request is a JSON array of texts, whose first is its name. An answer has `ok` or `error`.
#![expect(clippy::print_stdout, reason = "the output is the answer")]

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use torcon::command::{
    AddOnion, AddedOnion, AuthChallenge, Command, ConfMap, ConfValue, ExtendCircuit, GetConf,
    GetInfo, GetProtocolInfo, MapAddress, MapOutcome, ProtocolInfo, SendSignal,
};
use torcon::config::{Config, ConfiguredService};
use torcon::descriptor::{ExitPolicy, OnionDescriptor, RouterStatuses};
use torcon::event::{Event, EventText};
use torcon::names::{
    CircuitId, Fingerprint, ListenerKind, Nickname, OnionAddress, OnionPort, Signal, StreamId,
    TorVersion,
};
use torcon::testnet::PrivateNetwork;
use torcon::{ConnectOptions, Controller, EventKind, EventQueue, Launcher, Reply, ReplyLine, Tor};

type Result<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let mut session = Session::default();
    for line in io::stdin().lock().lines() {
        let request: Vec<String> = serde_json::from_str(&line?)?;
        let request: Vec<&str> = request.iter().map(String::as_str).collect();
        let answer = match session.answer(&request) {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

/// The state between two requests.
#[derive(Default)]
struct Session {
    controller: Option<Controller>,
    events: Option<EventQueue>,
    network: Option<(Tor, PrivateNetwork)>,
}

impl Session {
    fn answer(&mut self, request: &[&str]) -> Result<Value> {
        match request {
            ["event", text] => event(&Event::parse(EventText::new(&bytes(text)))),
            ["reply", kind, reply, arguments @ ..] => read_reply(kind, &bytes(reply), arguments),
            ["versions", one, other] => {
                let (one, other): (TorVersion, TorVersion) = (one.parse()?, other.parse()?);
                let order = format!("{:?}", one.cmp(&other));
                Ok(json!([one.to_string(), one.numbers(), one.status_tag(), order]))
            }
            ["policy", rules, targets @ ..] => policy(Some(rules.parse()?), targets),
            ["decrypt", service, descriptor] => {
                let descriptor = OnionDescriptor::parse(bytes(descriptor))?;
                Ok(serde_json::to_value(descriptor.decrypt(&service.parse()?, None)?)?)
            }
            ["name", kind, text] => name(kind, text),
            ["network", directory] => self.launch(Path::new(directory)),
            ["connect", endpoint] => {
                self.events = None;
                self.controller = Some(ConnectOptions::new().timeout(LIMIT).connect(*endpoint)?);
                Ok(Value::Null)
            }
            ["subscribe"] => {
                // A tor that tells two clients of each step of both connections does nothing else.
                let kinds = self.controller()?.valid_events()?;
                let kinds = kinds.iter().filter(|kind| **kind != EventKind::Debug).cloned();
                self.events = Some(self.controller()?.events(kinds)?);
                Ok(Value::Null)
            }
            // The events up to one that contains this text.
            ["events", last] => {
                let queue = self.events.as_ref().ok_or("not subscribed")?;
                let mut found = Vec::new();
                loop {
                    let next = queue.recv_timeout(LIMIT)?;
                    found.push(event(&next)?);
                    if next.text().is_some_and(|text| text.to_str_lossy().contains(last)) {
                        return Ok(found.into());
                    }
                }
            }
            _ => ask(self.controller()?, request),
        }
    }

    fn controller(&self) -> Result<&Controller> {
        self.controller.as_ref().ok_or_else(|| "not connected".into())
    }

    /// Launches a private network and a tor that uses it. Returns the control ports of that tor and
    /// of an exit relay, the fingerprints and nicknames of all relays, and the directory of their files.
    fn launch(&mut self, directory: &Path) -> Result<Value> {
        let network = PrivateNetwork::builder().directory(directory).launch()?;
        let client = Launcher::new().network(&network).option("SocksPort", "auto");
        let client = client.data_directory(directory.join("client"));
        let tor = Tor::launch(client)?;
        let relays = network.relays();
        let exit = relays.iter().find(|relay| relay.is_exit).ok_or("no exit")?;
        let exit = network.controller(&exit.nickname.to_string())?;
        let fingerprints: Vec<_> = relays.iter().map(|it| it.fingerprint.to_string()).collect();
        let nicknames: Vec<_> = relays.iter().map(|it| it.nickname.to_string()).collect();
        let answer = json!({
            "client": tor.controller().endpoint().to_string(),
            "exit": exit.endpoint().to_string(),
            "fingerprints": fingerprints,
            "nicknames": nicknames,
        });
        self.network = Some((tor, network));
        Ok(answer)
    }
}

/// Returns the bytes of a text with one character for each.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

/// Returns an event with its fields, with the relays of a list, and with the secrets that `Serialize`
/// hides.
fn event(event: &Event) -> Result<Value> {
    let mut value = serde_json::to_value(event)?;
    let mut set = |name: &str, field: Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.insert(name.to_owned(), field);
        }
    };
    let shown = |text: EventText| text.to_str_lossy().into_owned();
    set("text", event.text().cloned().map(shown).into());
    match event {
        Event::Ns(event) => set("relays", relays(&event.body())?),
        Event::NewConsensus(event) => set("relays", relays(&event.body())?),
        Event::Circ(event) => {
            set("socks_username", event.socks_username().map(shown).into());
            set("socks_password", event.socks_password().map(shown).into());
        }
        Event::ConfChanged(event) => {
            let changes = event.changes().map(
                |change| json!({ "name": shown(change.name), "value": change.value.map(shown) }),
            );
            set("changes", changes.collect());
        }
        _ => {}
    }
    Ok(value)
}

fn relays(body: &EventText) -> Result<Value> {
    list(RouterStatuses::new([body.as_bytes(), b"\n"].concat()).iter())
}

/// Returns a list of what was found.
fn of_one<T: Serialize>(found: Option<T>) -> Result<Value> {
    Ok(serde_json::to_value(Vec::from_iter(found))?)
}

/// Returns what was read of a list; the first error if there is one.
fn list<T: Serialize>(
    items: impl Iterator<Item = std::result::Result<T, impl StdError + Send + Sync + 'static>>,
) -> Result<Value> {
    let items = items.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(serde_json::to_value(items)?)
}

/// Returns the values of each option, and `null` for an option that is not set.
fn conf(found: &ConfMap) -> Value {
    let option = |(name, value): (&str, &ConfValue)| {
        (name.to_owned(), (!value.is_default()).then(|| value.values()).into())
    };
    Value::Object(found.iter().map(option).collect())
}

/// Returns what a command reads in a reply.
fn read_reply(kind: &str, reply: &[u8], arguments: &[&str]) -> Result<Value> {
    let reply = Reply::parse(reply.to_vec())?;
    Ok(match kind {
        "GETINFO" => {
            let found = GetInfo::new(arguments.iter().copied()).reply(reply)?;
            let value = |key: &&str| ((*key).to_owned(), found.get(key).into());
            Value::Object(arguments.iter().map(value).collect())
        }
        "GETCONF" => conf(&GetConf::new(arguments.iter().copied()).reply(reply)?),
        "lines" => {
            let line = |line: ReplyLine<'_>| {
                let data = line.data().map(|data| data.iter().copied().map(char::from).collect());
                let text: String = line.bytes().iter().copied().map(char::from).collect();
                json!([line.code(), text, data.unwrap_or_else(String::new)])
            };
            reply.lines().map(line).collect()
        }
        "PROTOCOLINFO" => protocol_info(&GetProtocolInfo::new().reply(reply)?),
        "AUTHCHALLENGE" => {
            // It has no fields that a program can read.
            AuthChallenge::new([0; 32]).reply(reply)?;
            Value::Null
        }
        "MAPADDRESS" => mappings(&MapAddress::new(pairs(arguments)).reply(reply)?),
        "ADD_ONION" => {
            let command = AddOnion::new([OnionPort::new(80, 80)]);
            added_onion(&command.reply(reply)?)
        }
        "SINGLELINE" => {
            SendSignal::new(Signal::Heartbeat).reply(reply)?;
            Value::Null
        }
        _ => return Err("an unknown kind of reply".into()),
    })
}

fn pairs<'a>(words: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    words.chunks_exact(2).filter_map(|pair| match pair {
        [one, other] => Some((*one, *other)),
        _ => None,
    })
}

fn protocol_info(info: &ProtocolInfo) -> Value {
    let methods: BTreeSet<_> = info.auth_methods.iter().map(ToString::to_string).collect();
    json!({
        "version": info.tor_version.as_str(),
        "methods": methods,
        "cookie_file": info.cookie_file.as_ref().map(|path| path.to_string_lossy()),
    })
}

/// Returns the new address of each address that is mapped.
fn mappings(outcomes: &[MapOutcome]) -> Value {
    let mapped = outcomes.iter().filter_map(|outcome| match outcome {
        MapOutcome::Mapped { from, to, .. } => Some((from.clone(), to.as_str().into())),
        _ => None,
    });
    Value::Object(mapped.collect())
}

fn added_onion(onion: &AddedOnion) -> Value {
    let clients: Vec<_> = onion.clients.iter().map(ToString::to_string).collect();
    json!({
        "service_id": onion.address.service_id(),
        "key": onion.key.as_ref().map(|key| key.reveal_blob().clone()),
        "clients": clients,
    })
}

/// Returns a name as torcon writes it.
fn name(kind: &str, text: &str) -> Result<Value> {
    Ok(match kind {
        "fingerprint" => text.parse::<Fingerprint>()?.to_string().into(),
        "nickname" => text.parse::<Nickname>()?.to_string().into(),
        "circuit" => text.parse::<CircuitId>()?.to_string().into(),
        "stream" => text.parse::<StreamId>()?.to_string().into(),
        "onion" => text.parse::<OnionAddress>()?.service_id().into(),
        _ => return Err("an unknown kind of name".into()),
    })
}

/// Returns a policy, and the targets that it allows.
fn policy(policy: Option<ExitPolicy>, targets: &[&str]) -> Result<Value> {
    let Some(policy) = policy else { return Ok(Value::Null) };
    let mut allowed = Vec::new();
    for target in targets {
        let address: SocketAddr = target.parse()?;
        if policy.allows(address.ip(), address.port()) {
            allowed.push(*target);
        }
    }
    Ok(json!({ "policy": policy.to_string(), "allowed": allowed }))
}

/// Asks tor by the typed methods.
fn ask(tor: &Controller, request: &[&str]) -> Result<Value> {
    Ok(match request {
        ["info", key] => tor.get_info(*key)?.into(),
        ["conf", names @ ..] => conf(&tor.get_conf(names.iter().copied())?),
        ["protocol_info"] => protocol_info(&tor.protocol_info()?),
        ["map", addresses @ ..] => mappings(&tor.map_address(pairs(addresses))?),
        ["extend", path @ ..] => {
            let path: std::result::Result<Vec<Fingerprint>, _> =
                path.iter().map(|it| it.parse()).collect();
            tor.extend_circuit(&ExtendCircuit::along(path?))?.to_string().into()
        }
        ["circuits"] => {
            let circuits = tor.circuit_status()?.into_iter().map(Event::Circ);
            circuits.map(|circuit| event(&circuit)).collect::<Result<_>>()?
        }
        ["streams"] => serde_json::to_value(tor.stream_status()?)?,
        ["relays"] => list(tor.relay_statuses()?.iter())?,
        ["microdescriptors"] => list(tor.microdescriptors()?.iter())?,
        ["server_descriptors"] => list(tor.server_descriptors()?.iter())?,
        ["relay", fingerprint] => of_one(tor.relay_status(fingerprint.parse()?)?)?,
        ["relay_by_name", nickname] => of_one(tor.relay_status_by_name(nickname.parse()?)?)?,
        ["microdescriptor", fingerprint] => of_one(tor.microdescriptor(fingerprint.parse()?)?)?,
        ["server_descriptor", fingerprint] => of_one(tor.server_descriptor(fingerprint.parse()?)?)?,
        ["accounting"] => serde_json::to_value(tor.accounting()?)?,
        ["process"] => serde_json::to_value(tor.process_info()?)?,
        ["version"] => tor.full_version()?.to_string().into(),
        ["exit_policy", targets @ ..] => policy(tor.exit_policy()?, targets)?,
        ["default_exit_policy", targets @ ..] => policy(Some(tor.default_exit_policy()?), targets)?,
        ["listeners", kind] => {
            let found = tor.listeners(&ListenerKind::from(*kind))?;
            found.iter().map(ToString::to_string).collect::<Vec<_>>().into()
        }
        ["onions"] => {
            tor.onions()?.iter().map(|it| it.service_id().to_owned()).collect::<Vec<_>>().into()
        }
        ["detached_onions"] => {
            let found = tor.detached_onions()?;
            found.iter().map(|it| it.service_id().to_owned()).collect::<Vec<_>>().into()
        }
        ["services"] => {
            let service = |it: &ConfiguredService| {
                let shown = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let lines: Vec<_> =
                    it.lines().map(|(name, value)| (name.to_owned(), shown(value))).collect();
                let ports: Vec<_> = it.ports().iter().map(ToString::to_string).collect();
                json!({ "directory": it.directory().to_string_lossy(), "ports": ports, "lines": lines })
            };
            Config::new(tor).onion_services()?.iter().map(service).collect()
        }
        ["bootstrap"] => serde_json::to_value(tor.bootstrap_phase()?)?,
        _ => return Err(format!("unknown request {request:?}").into()),
    })
}
