//! The commands with which a state begins, and the parts that tor or a filter refuses.

use std::sync::Arc;
use std::time::Instant;

use super::refresh::Part;
use super::snapshot::InfoKey;
use super::store::{KINDS, Store};
use super::tracker::Answers;
use crate::command::GetInfo;
use crate::controller::{Controller, HookGuard};
use crate::error::{Error, Result};

/// A part of tor's state that a [`State`](super::State) lacks.
///
/// Returned by [`State::missing`](super::State::missing).
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for part in state.missing() {
///     println!("without {}: {}", part.name, part.error);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MissingPart {
    /// The event to which the state is not subscribed, such as `GUARD`, or the key of `GETINFO`
    /// whose answer is missing or incomplete, such as `entry-guards`.
    pub name: Box<str>,
    /// The rejection, or the error of the first line that cannot be parsed.
    pub error: Error,
}

impl MissingPart {
    pub(super) fn new(name: &str, error: Error) -> Self {
        Self { name: name.into(), error }
    }
}

/// Subscribes to all events of a state in one command or, if tor refuses it, one by one.
pub(super) fn subscribe(
    controller: &Controller,
    store: &Arc<Store>,
    missing: &mut Vec<MissingPart>,
    deadline: Instant,
) -> Result<Vec<HookGuard>> {
    let rejection = match controller.hook_before(KINDS, store.clone(), deadline) {
        Ok(hook) => return Ok(vec![hook]),
        Err(error @ Error::Rejected(_)) => error,
        Err(error) => return Err(error),
    };
    let mut hooks = Vec::new();
    for kind in KINDS {
        match controller.hook_before(std::slice::from_ref(kind), store.clone(), deadline) {
            Ok(hook) => hooks.push(hook),
            Err(error @ Error::Rejected(_)) => missing.push(MissingPart::new(kind.as_str(), error)),
            Err(error) => return Err(error),
        }
    }
    if hooks.is_empty() {
        return Err(rejection);
    }
    Ok(hooks)
}

/// Queries all keys in one command or, if tor refuses it, key by key. Returns the answers, and the
/// number of events that all of them reflect.
pub(super) fn query_all(
    controller: &Controller,
    store: &Store,
    missing: &mut Vec<MissingPart>,
    deadline: Instant,
) -> Result<(Answers, u64)> {
    let mut answers = Answers::default();
    match query(controller, &InfoKey::ALL, &mut answers, missing, deadline) {
        Ok(events_before) => return Ok((answers, events_before)),
        Err(Error::Rejected(_)) => {}
        Err(error) => return Err(error),
    }
    // An event that a later answer reflects is applied again, which changes nothing.
    let mut first_known = None;
    for key in InfoKey::ALL {
        match query(controller, &[key], &mut answers, missing, deadline) {
            Ok(events_before) => {
                first_known.get_or_insert(events_before);
            }
            Err(error @ Error::Rejected(_)) => {
                if let Some(part) = Part::ALL.into_iter().find(|part| part.info_key() == key) {
                    store.set_unavailable(part);
                }
                missing.push(MissingPart::new(key.as_str(), error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((answers, first_known.unwrap_or_default()))
}

/// Sends one `GETINFO`, and adds the answers to `answers`. Returns the number of events that they
/// reflect. An answer with a line that cannot be parsed is added to `missing` too.
pub(super) fn query(
    controller: &Controller,
    keys: &[InfoKey],
    answers: &mut Answers,
    missing: &mut Vec<MissingPart>,
    deadline: Instant,
) -> Result<u64> {
    let names = keys.iter().map(|key| key.as_str());
    let (info, events_before) = controller.execute_before(&GetInfo::new(names), deadline)?;
    for key in keys {
        let answer = info.bytes(key.as_str()).unwrap_or_default();
        if let Err(error) = key.read(answer, answers) {
            missing.push(MissingPart::new(key.as_str(), error.into()));
        }
    }
    Ok(events_before)
}
