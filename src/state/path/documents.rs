//! The documents for the choice of a path, loaded when the first path is chosen.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Path;
use super::choice::PathChoice;
use super::descriptors::Descriptors;
use super::spec::PathSpec;
use super::weights::BandwidthWeights;
use crate::clock;
use crate::command::GetConf;
use crate::controller::{Controller, if_allowed};
use crate::error::{InvalidInput, PathError, PathProblem, Result};
use crate::link::CommandLock;
use crate::state::generation::Generation;
use crate::state::{Relays, State};

/// Cached documents of one connection.
#[derive(Default)]
pub(in crate::state) struct DocumentCache {
    cache: CommandLock<Option<Documents>>,
}

/// The documents of one consensus.
#[derive(Clone)]
struct Documents {
    relays: Relays,
    descriptors: Arc<Descriptors>,
    weights: Arc<BandwidthWeights>,
    /// Whether each relay has its descriptor. tor downloads descriptors without an event.
    is_complete: bool,
    loaded: Instant,
}

/// How long documents without some descriptors are used: tor rarely has the descriptors of all relays
/// of the public network.
const INCOMPLETE_FOR: Duration = Duration::from_secs(10);

impl Documents {
    fn load(controller: &Controller, relays: Relays, deadline: Instant) -> Result<Self> {
        let controller = controller.with_deadline(deadline);
        // tor refuses the key if it uses server descriptors, as relays do.
        let descriptors = match if_allowed(controller.microdescriptors())? {
            Some(list) => Descriptors::of_micro(&list),
            None => Descriptors::of_server(&controller.server_descriptors()?),
        };
        let mut weights = BandwidthWeights::default();
        for flavor in ["consensus-microdesc", "consensus"] {
            let key = format!("dir/status-vote/current/{flavor}");
            let outcome = controller.get_info_incremental(&key, |line| {
                weights.read_line(line.bytes());
                ControlFlow::Continue(())
            });
            if if_allowed(outcome)?.is_some() {
                break;
            }
        }
        let is_complete = relays.iter().all(|relay| descriptors.get(relay).is_some());
        let (descriptors, weights) = (Arc::new(descriptors), Arc::new(weights));
        Ok(Self { relays, descriptors, weights, is_complete, loaded: clock::now() })
    }
}

impl DocumentCache {
    /// Returns the documents of the present consensus; loads them first if necessary.
    fn get(&self, controller: &Controller, relays: Relays, deadline: Instant) -> Result<Documents> {
        let limit = controller.timeout();
        let mut cache = self.cache.lock_before("GETINFO", deadline, limit)?;
        let is_current = |documents: &&Documents| {
            let is_recent =
                documents.is_complete || clock::elapsed_since(documents.loaded) < INCOMPLETE_FOR;
            is_recent && documents.relays.is_same(&relays)
        };
        if let Some(documents) = cache.as_ref().filter(is_current) {
            return Ok(documents.clone());
        }
        let documents = Documents::load(controller, relays, deadline)?;
        *cache = Some(documents.clone());
        Ok(documents)
    }
}

impl State {
    /// Chooses the relays of a path by rules, as [`build_circuit`](Self::build_circuit) does, without
    /// building a circuit.
    ///
    /// Sends what [`relays`](Self::relays) does. With the first path, and after a change of the
    /// relays, or 10 seconds after tor lacked a descriptor, also sends `GETINFO md/all` (a relay: `GETINFO desc/all-recent`), and
    /// `GETINFO dir/status-vote/current/consensus-microdesc` (if refused, `..consensus`) for the
    /// weights, together several megabytes. Sends `GETCONF EnforceDistinctSubnets` unless
    /// [`PathSpec::distinct_subnets`] is set, and what [`country`](Self::country) does for rules about
    /// countries. Blocks for at most the [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Path`](crate::Error::Path) if no relay fits a position, with the reasons; [`Error::InvalidInput`](crate::Error::InvalidInput) if an
    /// argument of the rules is not valid; otherwise those of [`relays`](Self::relays).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::state::{Path, State};
    ///
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let path = state.choose_path(&Path::to("example.com:22"))?;
    /// for relay in path.relays().unwrap_or_default() {
    ///     println!("{relay}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn choose_path(&self, spec: &PathSpec) -> Result<Path> {
        let generation = self.shared.present();
        let controller = &generation.controller;
        generation.choose_path(controller, spec, controller.deadline())
    }
}

impl Generation {
    /// Chooses a path; an error reports the time limit of the controller.
    pub(in crate::state) fn choose_path(
        &self,
        controller: &Controller,
        spec: &PathSpec,
        deadline: Instant,
    ) -> Result<Path> {
        spec.check()?;
        let relays = self.relays.get(&controller.with_deadline(deadline))?;
        if relays.is_empty() {
            return Err(PathError::new(PathProblem::NoConsensus).into());
        }
        let documents = self.documents.get(controller, relays, deadline)?;
        let distinct_subnets = match spec.distinct_subnets {
            Some(distinct) => distinct,
            None => enforces_distinct_subnets(controller, deadline)?,
        };
        let mut countries = HashMap::new();
        if spec.needs_countries() {
            let addresses = documents.relays.iter().map(|relay| relay.address().into());
            let addresses: Vec<_> = addresses.collect();
            let found = self.countries.get(controller, &addresses, deadline)?;
            countries = addresses.into_iter().zip(found).collect();
        }
        let choice = PathChoice {
            spec,
            relays: documents.relays.iter().as_slice(),
            descriptors: &documents.descriptors,
            weights: &documents.weights,
            countries: &countries,
            distinct_subnets,
        };
        let chosen = choice.choose(&mut random_number);
        if chosen.is_err() && !documents.is_complete {
            // The next call looks for descriptors that tor has received since.
            if let Some(mut cache) = self.documents.cache.try_lock() {
                *cache = None;
            }
        }
        Ok(Path::of(chosen?))
    }
}

/// Returns tor's option `EnforceDistinctSubnets`, which is on unless its value can be read.
fn enforces_distinct_subnets(controller: &Controller, deadline: Instant) -> Result<bool> {
    const OPTION: &str = "EnforceDistinctSubnets";
    let answer = if_allowed(controller.execute_before(&GetConf::new(OPTION), deadline))?;
    let value = answer.and_then(|(conf, _)| Some(conf.get(OPTION)?.first()?.to_owned()));
    Ok(value.as_deref() != Some("0"))
}

fn random_number() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        let problem = format!("cannot be chosen without random numbers: {error}");
        InvalidInput::new("path", problem)
    })?;
    Ok(u64::from_ne_bytes(bytes))
}
