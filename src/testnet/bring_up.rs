//! The steps from nothing to a network.
//!
//! An authority makes a consensus at the end of a voting round, and a round lasts half an hour.
//! So the first round is told to end far away until the authorities have every relay's
//! descriptor, and then to end at once.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::builder::PrivateNetworkBuilder;
use super::deadline::Deadline;
use super::dns::NameServer;
use super::keys::{Keys, directory_problem, make_directory};
use super::node::{Node, Role};
use super::options::{self, AuthorityPorts, Setting};
use super::progress::Reporter;
use super::{Nodes, PrivateNetwork};
use crate::controller::EventQueue;
use crate::error::{Error, InvalidInput, Result, TestnetError, TestnetProblem, TestnetStep};
use crate::event::EventKind;
use crate::names::Nickname;
use crate::temporary::{self, TemporaryDirectory};

/// How often a network is begun anew because someone else took an authority's port.
const ATTEMPTS: u32 = 3;
/// How long an event is waited for before the state is looked at anyway.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How often relays are asked whether they have the consensus.
const ASK_AGAIN: Duration = Duration::from_millis(40);
/// How long a relay that still lacks it is left alone.
const FETCH_AGAIN: Duration = Duration::from_millis(600);
/// How many seconds after the command the first consensus is due. An authority acts on the
/// command a second later, and must do so before the second that it names begins.
const LEAD: u64 = 2;
/// The same where authorities have to send each other votes, two seconds, and then signatures,
/// two seconds.
const LEAD_OF_SEVERAL: u64 = 6;
/// In which part of a second the command is given, in milliseconds: so late that the clocks of an
/// authority's timers cannot take it for the second before, and so early that it can be late.
const PUNCTUAL: RangeInclusive<u32> = 40..=500;
/// How late a consensus may come before the vote is called again.
const VOTE_GRACE: Duration = Duration::from_millis(1500);

pub(super) fn bring_up(
    plan: &PrivateNetworkBuilder,
    mut reporter: Reporter,
) -> Result<PrivateNetwork> {
    let deadline = Deadline::after(plan.timeout);
    reporter.begin(TestnetStep::Prepare);
    let root = Root::prepare(plan.directory.as_deref()).map_err(in_step(TestnetStep::Prepare))?;
    let name_server = NameServer::start().map_err(in_step(TestnetStep::Prepare))?;
    let mut attempt = 1;
    let (nodes, client_options) = loop {
        let launched = launch(plan, &root, &name_server, deadline, &mut reporter);
        match launched {
            Err(error) if attempt < ATTEMPTS && is_stolen_port(&error) => {
                log::debug!("a port of an authority was taken by someone else: {error}");
                attempt += 1;
                root.clear().map_err(in_step(TestnetStep::Prepare))?;
            }
            launched => break launched?,
        }
    };
    reporter.begin(TestnetStep::Descriptors);
    collect_descriptors(&nodes, deadline)?;
    reporter.begin(TestnetStep::Vote);
    vote(&nodes, deadline)?;
    reporter.begin(TestnetStep::Spread);
    spread(&nodes, deadline)?;
    reporter.begin(TestnetStep::Ready);
    Ok(PrivateNetwork { nodes, name_server, client_options, timeout: plan.timeout, root })
}

fn in_step(step: TestnetStep) -> impl Fn(TestnetProblem) -> Error {
    move |problem| TestnetError::new(step, problem).into()
}

/// Whether an authority could not have the port that was free a moment before.
fn is_stolen_port(error: &Error) -> bool {
    let Error::Testnet(error) = error else { return false };
    let is_it = |line: &String| line.contains("Could not bind to ");
    error.step() == TestnetStep::Launch && error.last_lines().iter().any(is_it)
}

/// Makes the keys, starts every tor and waits for every control connection.
fn launch(
    plan: &PrivateNetworkBuilder,
    root: &Root,
    name_server: &NameServer,
    deadline: Deadline,
    reporter: &mut Reporter,
) -> Result<(Nodes, Vec<Setting>)> {
    let resolv_conf = root.file("resolv.conf", &options::resolv_conf(name_server.address()))?;
    let empty = root.file("empty-torrc", "")?;

    reporter.begin(TestnetStep::Keys);
    let step = TestnetStep::Keys;
    let mut making = Vec::new();
    for number in 0..plan.authorities {
        let name = format!("auth{number}");
        let directory = root.path.join(&name);
        let begun = || {
            let ports = FreePorts::find()?;
            make_directory(&directory)?;
            let (tor, gencert) = (&plan.tor, &plan.tor_gencert);
            let keys = Keys::start(tor, gencert, &name, &directory, &empty, ports.ports.dir)?;
            Ok((ports, keys))
        };
        let (ports, keys) = begun().map_err(in_step(step))?;
        making.push((name, directory, ports, keys));
    }
    let mut authorities = Vec::new();
    let mut lines = Vec::new();
    for (name, directory, ports, keys) in making {
        let identity = keys
            .finish(deadline)
            .map_err(|(problem, printed)| TestnetError::of_node(step, &name, problem, printed))?;
        lines.push(options::dir_authority(&name, ports.ports, identity));
        authorities.push((name, directory, ports));
    }
    let mut client_options = options::client(lines);
    client_options.extend(plan.client_options.iter().cloned());

    reporter.begin(TestnetStep::Launch);
    let step = TestnetStep::Launch;
    let mut nodes = Nodes(Vec::new());
    let settings = |own: &[Setting]| [client_options.as_slice(), own].concat();
    for (name, directory, ports) in authorities {
        let role = Role::Authority { ports: ports.ports };
        let settings = settings(&plan.authority_options);
        let node = Node::new(nickname(&name)?, role, plan.tor.clone(), directory, settings);
        // From here on it is free for the authority, and for anyone else.
        drop(ports);
        node.spawn(step, deadline)?;
        root.record_process(&node);
        nodes.0.push(node);
    }
    for number in 0..plan.relays {
        let name = format!("relay{number}");
        let is_exit = plan.exits.is_none_or(|exits| number < exits);
        let role = Role::Relay { is_exit, resolv_conf: resolv_conf.clone() };
        let directory = root.path.join(&name);
        let settings = settings(&plan.relay_options);
        let node = Node::new(nickname(&name)?, role, plan.tor.clone(), directory, settings);
        node.spawn(step, deadline)?;
        root.record_process(&node);
        nodes.0.push(node);
    }
    for node in &nodes.0 {
        node.attach(step, deadline)?;
    }
    Ok((nodes, client_options))
}

fn nickname(name: &str) -> Result<Nickname> {
    name.parse::<Nickname>().map_err(|error| InvalidInput::from(error).into())
}

/// Waits until every authority holds every relay's descriptor.
fn collect_descriptors(nodes: &Nodes, deadline: Deadline) -> Result<()> {
    let step = TestnetStep::Descriptors;
    let all: BTreeSet<_> =
        nodes.0.iter().filter_map(Node::fingerprint).map(|print| print.to_string()).collect();
    for authority in nodes.authorities() {
        let news = subscribe(authority, EventKind::NewDesc, step, deadline)?;
        loop {
            let descriptors = authority.get_info(step, deadline, "desc/all-recent")?;
            if descriptor_fingerprints(&descriptors).is_superset(&all) {
                break;
            }
            nodes.check(step, deadline)?;
            wait_for_news(&news, deadline);
        }
    }
    Ok(())
}

/// Has the authorities vote, and waits until each has a consensus that lists all.
fn vote(nodes: &Nodes, deadline: Deadline) -> Result<()> {
    let step = TestnetStep::Vote;
    let all = nodes.nicknames();
    let news = nodes
        .authorities()
        .map(|authority| subscribe(authority, EventKind::NewConsensus, step, deadline))
        .collect::<Result<Vec<_>>>()?;
    let is_one = nodes.authorities().count() == 1;
    let mut lead = if is_one { LEAD } else { LEAD_OF_SEVERAL };
    loop {
        wait_for_early_part_of_second(deadline);
        let (now, _) = options::since_epoch();
        let when = options::vote_at(now + lead);
        for authority in nodes.authorities() {
            authority.set_conf(step, deadline, &when)?;
        }
        let patience = Duration::from_secs(lead).saturating_add(VOTE_GRACE);
        let again = Instant::now().checked_add(patience);
        for (authority, news) in nodes.authorities().zip(&news) {
            while !has_consensus(authority, &all, step, deadline)? {
                nodes.check(step, deadline)?;
                if again.is_some_and(|again| again <= Instant::now()) {
                    break;
                }
                wait_for_news(news, deadline);
            }
        }
        let mut all_agree = true;
        for authority in nodes.authorities() {
            all_agree &= has_consensus(authority, &all, step, deadline)?;
        }
        if all_agree {
            return Ok(());
        }
        log::debug!("no consensus from this vote; the next one gets more time");
        lead += 1;
    }
}

/// Waits until every relay has the consensus and what it needs to build circuits.
fn spread(nodes: &Nodes, deadline: Deadline) -> Result<()> {
    let step = TestnetStep::Spread;
    let all = nodes.nicknames();
    let mut missing: Vec<&Node> = nodes.0.iter().collect();
    let mut fetch_again = None;
    loop {
        let mut still = Vec::new();
        for node in missing {
            let is_full =
                has_consensus(node, &all, step, deadline)? && has_enough(node, step, deadline)?;
            if !is_full {
                still.push(node);
            }
        }
        missing = still;
        if missing.is_empty() {
            return Ok(());
        }
        nodes.check(step, deadline)?;
        fetch_if_due(&mut fetch_again, &missing, step, deadline)?;
        thread::sleep(ASK_AGAIN);
    }
}

/// Waits until a relay that was started again can build circuits.
pub(super) fn wait_until_back(node: &Node, deadline: Deadline) -> Result<()> {
    let step = TestnetStep::Restart;
    let mut fetch_again = Instant::now().checked_add(FETCH_AGAIN);
    while !has_enough(node, step, deadline)? {
        node.check_alive(step)?;
        if deadline.is_over() {
            let name = node.nickname.as_str();
            return Err(TestnetError::of_node(step, name, deadline.problem(), Vec::new()).into());
        }
        fetch_if_due(&mut fetch_again, &[node], step, deadline)?;
        thread::sleep(ASK_AGAIN);
    }
    Ok(())
}

/// A relay that asked for the consensus too early asks again only after a while, unless it is told
/// to.
fn fetch_if_due(
    due: &mut Option<Instant>,
    nodes: &[&Node],
    step: TestnetStep,
    deadline: Deadline,
) -> Result<()> {
    let now = Instant::now();
    if due.is_some_and(|due| due > now) {
        return Ok(());
    }
    *due = now.checked_add(FETCH_AGAIN);
    // An authority would forget when the vote is; it has what it made itself.
    nodes
        .iter()
        .filter(|node| !node.is_authority())
        .try_for_each(|node| node.reload(step, deadline))
}

fn subscribe(
    node: &Node,
    kind: EventKind,
    step: TestnetStep,
    deadline: Deadline,
) -> Result<EventQueue> {
    node.controller(step, deadline)?.events([kind])
}

/// Waits for the next event, not for long; what counts is looked at afterwards.
fn wait_for_news(news: &EventQueue, deadline: Deadline) {
    // A connection that has ended shows at the next command.
    let _ = news.recv_timeout(LOOK_AGAIN.min(deadline.left()));
}

/// An authority must act on the command within the second after the one in which it got it.
fn wait_for_early_part_of_second(deadline: Deadline) {
    let (_, now) = options::since_epoch();
    if !PUNCTUAL.contains(&now) {
        let begin = *PUNCTUAL.start();
        let begin = if now < begin { begin } else { begin + 1000 };
        let wait = Duration::from_millis(begin.saturating_sub(now).into());
        thread::sleep(wait.min(deadline.left()));
    }
}

fn has_consensus(
    node: &Node,
    all: &BTreeSet<&str>,
    step: TestnetStep,
    deadline: Deadline,
) -> Result<bool> {
    let listed = node.get_info(step, deadline, "ns/all")?;
    Ok(listed_nicknames(&listed).is_superset(all))
}

fn has_enough(node: &Node, step: TestnetStep, deadline: Deadline) -> Result<bool> {
    Ok(node.get_info(step, deadline, "status/enough-dir-info")? == "1")
}

/// The fingerprints of server descriptors: `fingerprint 0123 4567 ...`.
fn descriptor_fingerprints(descriptors: &str) -> BTreeSet<String> {
    let lines = descriptors.lines().filter_map(|line| line.strip_prefix("fingerprint "));
    lines.map(|groups| groups.replace(' ', "")).collect()
}

/// The nicknames of router status entries: `r auth0 ...`.
fn listed_nicknames(entries: &str) -> BTreeSet<&str> {
    let lines = entries.lines().filter_map(|line| line.strip_prefix("r "));
    lines.filter_map(|line| line.split(' ').next()).collect()
}

/// The directory of a network; a temporary one is deleted when this is dropped.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    temporary: Option<TemporaryDirectory>,
}

impl Root {
    fn prepare(given: Option<&Path>) -> Result<Self, TestnetProblem> {
        let Some(given) = given else {
            let parent = temporary::root();
            let problem = |error| directory_problem(&parent, error);
            temporary::sweep(&parent);
            let temporary = TemporaryDirectory::create_in(&parent, "net-").map_err(problem)?;
            // Apart from the lock, so that clearing does not remove that.
            let path = temporary.path().join("network");
            make_directory(&path)?;
            return Ok(Self { path, temporary: Some(temporary) });
        };
        let path = path::absolute(given).map_err(|error| directory_problem(given, error))?;
        match fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(TestnetProblem::NotEmpty { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_directory(&path)?,
            Err(error) => return Err(directory_problem(&path, error)),
        }
        Ok(Self { path, temporary: None })
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let written = fs::write(&path, text);
        written.map_err(|error| in_step(TestnetStep::Prepare)(directory_problem(&path, error)))?;
        Ok(path)
    }

    /// Keeps a temporary directory from being removed, after this program has ended, while this
    /// tor lives.
    pub(super) fn record_process(&self, node: &Node) {
        let Some((temporary, process)) = self.temporary.as_ref().zip(node.process()) else {
            return;
        };
        if let Err(error) = temporary.record_process(process.pid()) {
            log::warn!("tor is not recorded in {:?}: {error}", temporary.path());
        }
    }

    /// Removes everything in it.
    fn clear(&self) -> Result<(), TestnetProblem> {
        let cleared = fs::read_dir(&self.path).and_then(|mut entries| {
            entries.try_for_each(|entry| {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())
                } else {
                    fs::remove_file(entry.path())
                }
            })
        });
        cleared.map_err(|error| directory_problem(&self.path, error))
    }
}

/// Two ports of 127.0.0.1 that nobody else gets while this exists.
struct FreePorts {
    ports: AuthorityPorts,
    _held: [TcpListener; 2],
}

impl FreePorts {
    fn find() -> Result<Self, TestnetProblem> {
        let problem = |error| TestnetProblem::Resource {
            what: "a port for an authority",
            source: Arc::new(error),
        };
        let hold = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem);
        let held = [hold()?, hold()?];
        let [or, dir] = &held;
        let port = |socket: &TcpListener| Ok(socket.local_addr().map_err(problem)?.port());
        let ports = AuthorityPorts { or: port(or)?, dir: port(dir)? };
        Ok(Self { ports, _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::{descriptor_fingerprints, listed_nicknames};

    #[test]
    fn descriptors_and_entries_are_counted_by_what_names_them() {
        let descriptors = "router relay0 127.0.0.1 1 0 0\n\
                           fingerprint 0123 4567\nrouter relay1\nfingerprint 89AB CDEF\n";
        let found: Vec<_> = descriptor_fingerprints(descriptors).into_iter().collect();
        assert_eq!(found, ["01234567", "89ABCDEF"]);
        let entries = "r relay0 AAAA BBBB\ns Running\nr auth0 CCCC\nrelay2\n";
        assert_eq!(listed_nicknames(entries).into_iter().collect::<Vec<_>>(), ["auth0", "relay0"]);
        assert!(listed_nicknames("").is_empty());
    }
}
