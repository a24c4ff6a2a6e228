//! The steps of bringing up a network.
//!
//! An authority makes a consensus at the end of a voting round, which takes half an hour. So the
//! first vote is scheduled late, until the authorities have the descriptors of all relays, and then
//! rescheduled to the next seconds.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::builder::PrivateNetworkBuilder;
use super::directory::{NetworkDirectory, create};
use super::dns::NameServer;
use super::keys::Keys;
use super::node::{Node, Role};
use super::options::{self, ReservedPorts, Setting};
use super::progress::Reporter;
use super::stage::Stage;
use super::{Nodes, PrivateNetwork};
use crate::clock::{self, deadline_after};
use crate::controller::EventQueue;
use crate::error::{Error, Result, TestnetStep};
use crate::event::EventKind;

/// How often a network is started again because another program took the port of an authority.
const ATTEMPTS: u32 = 3;
/// How long to wait for an event before the state is polled.
const EVENT_LIMIT: Duration = Duration::from_millis(200);
/// How often the relays are polled for the consensus.
const POLL_PAUSE: Duration = Duration::from_millis(40);
/// The time after which a relay without the consensus is reloaded to fetch it.
const FETCH_PAUSE: Duration = Duration::from_millis(600);
/// The seconds from the command to the first consensus. An authority executes the command within a
/// second, and must do so before the scheduled second begins.
const VOTE_DELAY: u64 = 2;
/// The same for several authorities, which exchange votes for two seconds and signatures for two.
const VOTE_DELAY_OF_SEVERAL: u64 = 6;
/// The part of a second in which the command is sent, in milliseconds: late enough for the timers of
/// an authority to count it to this second, and early enough to be executed in it.
const COMMAND_WINDOW: RangeInclusive<u32> = 40..=500;
/// How late a consensus may be before the vote is scheduled again.
const VOTE_GRACE: Duration = Duration::from_millis(1500);

pub(super) fn bring_up(
    plan: &PrivateNetworkBuilder,
    mut reporter: Reporter,
) -> Result<PrivateNetwork> {
    let stage = Stage::new(TestnetStep::Prepare, plan.timeout);
    reporter.begin(stage);
    let directory = NetworkDirectory::create(plan.directory.as_deref())
        .map_err(|problem| stage.error(problem))?;
    let name_server = NameServer::start().map_err(|problem| stage.error(problem))?;
    let mut attempt = 1;
    let (nodes, client_options) = loop {
        let launched = launch(plan, &directory, &name_server, stage, &mut reporter);
        match launched {
            Err(error) if attempt < ATTEMPTS && is_stolen_port(&error) => {
                log::debug!("another program took the port of an authority: {error}");
                attempt += 1;
                directory.clear().map_err(|problem| stage.error(problem))?;
            }
            launched => break launched?,
        }
    };
    collect_descriptors(&nodes, reporter.begin(stage.at(TestnetStep::Descriptors)))?;
    vote(&nodes, reporter.begin(stage.at(TestnetStep::Vote)))?;
    wait_until_complete(&nodes, reporter.begin(stage.at(TestnetStep::Spread)))?;
    reporter.begin(stage.at(TestnetStep::Ready));
    Ok(PrivateNetwork {
        nodes,
        name_server,
        client_options,
        timeout: plan.timeout,
        directory,
        remains: None,
    })
}

/// Whether an authority could not bind the port that was reserved for it.
fn is_stolen_port(error: &Error) -> bool {
    let Error::Testnet(error) = error else { return false };
    let is_bind_error = |line: &String| line.contains("Could not bind to ");
    error.step() == TestnetStep::Launch && error.last_lines().iter().any(is_bind_error)
}

/// Creates the keys, starts all tors and waits for their control connections.
fn launch(
    plan: &PrivateNetworkBuilder,
    network: &NetworkDirectory,
    name_server: &NameServer,
    stage: Stage,
    reporter: &mut Reporter,
) -> Result<(Nodes, Vec<Setting>)> {
    let resolv_conf = network
        .write("resolv.conf", &options::resolv_conf(name_server.address()))
        .map_err(|problem| stage.error(problem))?;
    let empty = network.write("empty-torrc", "").map_err(|problem| stage.error(problem))?;

    let stage = reporter.begin(stage.at(TestnetStep::Keys));
    let mut started = Vec::new();
    for number in 0..plan.authorities {
        let name = format!("auth{number}");
        let tor = plan.authority_tor_path(number);
        let directory = network.path().join(&name);
        let start = || {
            let ports = ReservedPorts::bind()?;
            create(&directory)?;
            let keys =
                Keys::start(tor, &plan.tor_gencert, &name, &directory, &empty, ports.ports.dir)?;
            Ok((ports, keys))
        };
        let (ports, keys) = start().map_err(|problem| stage.error(problem))?;
        started.push((name, directory, ports, keys));
    }
    let mut authorities = Vec::new();
    let mut lines = Vec::new();
    for (name, directory, ports, keys) in started {
        let identity = keys.finish(stage, plan.cancel.as_ref())?;
        lines.push(options::dir_authority(&name, ports.ports, identity));
        authorities.push((name, directory, ports));
    }
    let mut client_options = options::client(lines);
    client_options.extend(plan.client_options.iter().cloned());

    let stage = reporter.begin(stage.at(TestnetStep::Launch));
    let mut nodes = Nodes(Vec::new(), plan.cancel.clone());
    nodes.check(stage)?;
    let settings = |own: &[Setting]| [client_options.as_slice(), own].concat();
    for (number, (name, directory, ports)) in authorities.into_iter().enumerate() {
        let role = Role::Authority { ports: ports.ports };
        let settings = settings(&plan.authority_options);
        let tor = plan.authority_tor_path(number).to_owned();
        let node = Node::new(name.parse()?, role, tor, directory, settings);
        // Frees the ports for the authority, and for any other program.
        drop(ports);
        node.spawn(stage, plan.cancel.as_ref())?;
        network.record_process(&node);
        nodes.0.push(node);
    }
    for number in 0..plan.relays {
        let name = format!("relay{number}");
        let is_exit = plan.exits.is_none_or(|exits| number < exits);
        let role = Role::Relay { is_exit, resolv_conf: resolv_conf.clone() };
        let directory = network.path().join(&name);
        let settings = settings(&plan.relay_options);
        let tor = plan.relay_tor_path(number).to_owned();
        let node = Node::new(name.parse()?, role, tor, directory, settings);
        node.spawn(stage, plan.cancel.as_ref())?;
        network.record_process(&node);
        nodes.0.push(node);
    }
    for node in &nodes.0 {
        node.connect(stage)?;
    }
    Ok((nodes, client_options))
}

/// Waits until every authority has the descriptors of all relays.
fn collect_descriptors(nodes: &Nodes, stage: Stage) -> Result<()> {
    let all: BTreeSet<_> =
        nodes.0.iter().filter_map(Node::fingerprint).map(|print| print.to_string()).collect();
    for authority in nodes.authorities() {
        let events = subscribe(authority, EventKind::NewDesc, stage)?;
        loop {
            let descriptors = authority.get_info(stage, "desc/all-recent")?;
            if descriptor_fingerprints(&descriptors).is_superset(&all) {
                break;
            }
            nodes.check(stage)?;
            wait_for_event(&events, stage);
        }
    }
    Ok(())
}

/// Schedules the vote and waits until each authority has a consensus that lists all relays.
fn vote(nodes: &Nodes, stage: Stage) -> Result<()> {
    let all = nodes.nicknames();
    let queues = nodes
        .authorities()
        .map(|authority| subscribe(authority, EventKind::NewConsensus, stage))
        .collect::<Result<Vec<_>>>()?;
    let is_single = nodes.authorities().count() == 1;
    let mut delay = if is_single { VOTE_DELAY } else { VOTE_DELAY_OF_SEVERAL };
    loop {
        wait_for_command_window(stage);
        let (now, _) = options::since_epoch();
        let when = options::vote_at(now + delay);
        for authority in nodes.authorities() {
            authority.set_conf(stage, &when)?;
        }
        let limit = Duration::from_secs(delay).saturating_add(VOTE_GRACE);
        let end = deadline_after(limit);
        for (authority, events) in nodes.authorities().zip(&queues) {
            while !has_consensus(authority, &all, stage)? {
                nodes.check(stage)?;
                if clock::has_passed(end) {
                    break;
                }
                wait_for_event(events, stage);
            }
        }
        let mut all_agree = true;
        for authority in nodes.authorities() {
            all_agree &= has_consensus(authority, &all, stage)?;
        }
        if all_agree {
            return Ok(());
        }
        log::debug!("this vote produced no consensus; the next one gets more time");
        delay += 1;
    }
}

/// Waits until every relay has the consensus and enough descriptors to build circuits.
fn wait_until_complete(nodes: &Nodes, stage: Stage) -> Result<()> {
    let all = nodes.nicknames();
    let mut missing: Vec<&Node> = nodes.0.iter().collect();
    let mut next_fetch = clock::now();
    loop {
        let mut incomplete = Vec::new();
        for node in missing {
            let is_complete = has_consensus(node, &all, stage)? && has_enough(node, stage)?;
            if !is_complete {
                incomplete.push(node);
            }
        }
        missing = incomplete;
        if missing.is_empty() {
            return Ok(());
        }
        nodes.check(stage)?;
        fetch_if_due(&mut next_fetch, &missing, stage)?;
        clock::sleep(POLL_PAUSE);
    }
}

/// Waits until a restarted relay can build circuits.
pub(super) fn wait_until_back(node: &Node, stage: Stage) -> Result<()> {
    let mut next_fetch = deadline_after(FETCH_PAUSE);
    while !has_enough(node, stage)? {
        node.check_alive(stage)?;
        if stage.is_over() {
            let name = node.nickname.as_str();
            return Err(stage.node_error(name, stage.timeout(), Vec::new()));
        }
        fetch_if_due(&mut next_fetch, &[node], stage)?;
        clock::sleep(POLL_PAUSE);
    }
    Ok(())
}

/// Reloads relays, if it is time: a relay that tried to fetch the consensus too early would wait
/// before it tries again.
fn fetch_if_due(due: &mut Instant, nodes: &[&Node], stage: Stage) -> Result<()> {
    if !clock::has_passed(*due) {
        return Ok(());
    }
    *due = deadline_after(FETCH_PAUSE);
    // A reload would drop the schedule of an authority, which has its own consensus anyway.
    nodes.iter().filter(|node| !node.is_authority()).try_for_each(|node| node.reload(stage))
}

fn subscribe(node: &Node, kind: EventKind, stage: Stage) -> Result<EventQueue> {
    node.controller(stage)?.events([kind])
}

/// Waits for an event for a short time. The caller polls the state then.
fn wait_for_event(events: &EventQueue, stage: Stage) {
    // A closed connection fails the next command.
    let _ = events.recv_timeout(EVENT_LIMIT.min(stage.time_left()));
}

/// Waits for the [`COMMAND_WINDOW`] of a second.
fn wait_for_command_window(stage: Stage) {
    let (_, now) = options::since_epoch();
    if !COMMAND_WINDOW.contains(&now) {
        let begin = *COMMAND_WINDOW.start();
        let begin = if now < begin { begin } else { begin + 1000 };
        let wait = Duration::from_millis(begin.saturating_sub(now).into());
        clock::sleep(wait.min(stage.time_left()));
    }
}

fn has_consensus(node: &Node, all: &BTreeSet<&str>, stage: Stage) -> Result<bool> {
    let listed = node.get_info(stage, "ns/all")?;
    Ok(listed_nicknames(&listed).is_superset(all))
}

fn has_enough(node: &Node, stage: Stage) -> Result<bool> {
    Ok(node.get_info(stage, "status/enough-dir-info")? == "1")
}

/// Returns the fingerprints of server descriptors: `fingerprint 0123 4567 ...`.
fn descriptor_fingerprints(descriptors: &str) -> BTreeSet<String> {
    let lines = descriptors.lines().filter_map(|line| line.strip_prefix("fingerprint "));
    lines.map(|groups| groups.replace(' ', "")).collect()
}

/// Returns the nicknames of router status entries: `r auth0 ...`.
fn listed_nicknames(entries: &str) -> BTreeSet<&str> {
    let lines = entries.lines().filter_map(|line| line.strip_prefix("r "));
    lines.filter_map(|line| line.split(' ').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::{descriptor_fingerprints, listed_nicknames};

    #[test]
    fn fingerprints_and_nicknames_are_found() {
        let descriptors = "router relay0 127.0.0.1 1 0 0\n\
                           fingerprint 0123 4567\nrouter relay1\nfingerprint 89AB CDEF\n";
        let found: Vec<_> = descriptor_fingerprints(descriptors).into_iter().collect();
        assert_eq!(found, ["01234567", "89ABCDEF"]);
        let entries = "r relay0 AAAA BBBB\ns Running\nr auth0 CCCC\nrelay2\n";
        assert_eq!(listed_nicknames(entries).into_iter().collect::<Vec<_>>(), ["auth0", "relay0"]);
        assert!(listed_nicknames("").is_empty());
    }
}
