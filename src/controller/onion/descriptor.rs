//! The descriptor of an onion service, fetched while the caller waits.
//!
//! tor answers `HSFETCH` at once, and tells by events which directory it asks and what that one
//! says. If it says no, tor asks the next, until there is none left; it does not tell that there is
//! none. But it does the next thing before it answers the next command: once a command behind is
//! answered and no directory is being asked, none will be.

use std::time::Duration;

use crate::command::{GetInfo, HsFetch};
use crate::controller::Controller;
use crate::controller::wait::Waiter;
use crate::descriptor::OnionDescriptor;
use crate::error::{
    Error, HsDirFailure, InvalidInput, OnionError, OnionProblem, Result, Timeout, Wait,
};
use crate::event::{Event, EventKind, EventText, HsDescContentEvent, HsDescEvent};
use crate::link::deadline_after;
use crate::names::{Fingerprint, HsDescAction, HsDescReason, OnionAddress, RelaySpec};

/// What events have told of a fetch.
enum Step {
    Found(OnionDescriptor),
    /// Nobody is being asked any more.
    Idle,
}

/// A directory that was asked.
struct Asked {
    hsdir: RelaySpec,
    id: Vec<u8>,
    /// What it said, if it was no.
    failure: Option<Option<HsDescReason>>,
}

/// One fetch; pure.
struct Fetch<'a> {
    address: OnionAddress,
    /// Those that count; all, if there is none.
    servers: &'a [Fingerprint],
    /// The number of the first event after the reply.
    first: u64,
    asked: Vec<Asked>,
    /// Why tor found nobody to ask.
    refusals: Vec<Option<HsDescReason>>,
}

impl<'a> Fetch<'a> {
    fn new(address: OnionAddress, servers: &'a [Fingerprint], first: u64) -> Self {
        Self { address, servers, first, asked: Vec::new(), refusals: Vec::new() }
    }

    fn see(&mut self, number: u64, event: &Event) -> Option<Step> {
        match event {
            // Another fetch, older than this one, may be for the same service.
            _ if number < self.first => None,
            Event::HsDesc(event) if self.is_about(event.address.as_ref()) => {
                self.note(event);
                (event.action == HsDescAction::Failed && self.is_idle()).then_some(Step::Idle)
            }
            Event::HsDescContent(event) if self.is_about(event.address.as_ref()) => {
                self.read(event).map(Step::Found)
            }
            _ => None,
        }
    }

    fn is_about(&self, address: Option<&EventText>) -> bool {
        let id = self.address.service_id().as_bytes();
        address.is_some_and(|address| address.as_bytes().eq_ignore_ascii_case(id))
    }

    fn note(&mut self, event: &HsDescEvent) {
        let id = event.descriptor_id.as_ref().map(|id| id.as_bytes().to_vec());
        match (&event.action, &event.hsdir) {
            (HsDescAction::Requested, Some(hsdir)) if self.counts(hsdir) => {
                let id = id.unwrap_or_default();
                self.asked.push(Asked { hsdir: hsdir.clone(), id, failure: None });
            }
            // A failed upload differs from a failed fetch by its reason only.
            (HsDescAction::Failed, _) if event.reason == Some(HsDescReason::UploadRejected) => {}
            (HsDescAction::Failed, Some(hsdir)) => {
                let asked = self.asked.iter_mut().find(|asked| {
                    asked.failure.is_none()
                        && is_same(&asked.hsdir, hsdir)
                        && id.as_ref().is_none_or(|id| *id == asked.id)
                });
                if let Some(asked) = asked {
                    asked.failure = Some(event.reason.clone());
                }
            }
            (HsDescAction::Failed, None) => self.refusals.push(event.reason.clone()),
            _ => {}
        }
    }

    /// Whether it matters what this directory says. When one of those that were named has failed,
    /// tor goes on to all that should have the descriptor, also to others of those.
    fn counts(&self, hsdir: &RelaySpec) -> bool {
        let is_wanted = |server| hsdir.fingerprint() == Some(server);
        let is_asked = || self.asked.iter().any(|asked| is_same(&asked.hsdir, hsdir));
        self.servers.is_empty() || self.servers.iter().copied().any(is_wanted) && !is_asked()
    }

    fn read(&self, event: &HsDescContentEvent) -> Option<OnionDescriptor> {
        let (text, hsdir) = (event.descriptor.as_ref()?, event.hsdir.as_ref()?);
        let id = event.descriptor_id.as_bytes();
        let is_it = |asked: &Asked| is_same(&asked.hsdir, hsdir) && asked.id == id;
        self.asked.iter().any(is_it).then(|| {
            let id = String::from_utf8_lossy(id);
            OnionDescriptor::new(self.address, id, hsdir.clone(), text.as_bytes())
        })
    }

    /// Whether nobody is being asked.
    fn is_idle(&self) -> bool {
        self.asked.iter().all(|asked| asked.failure.is_some())
    }

    fn into_error(self) -> OnionError {
        let asked = self.asked.into_iter();
        let asked = asked.map(|it| HsDirFailure::new(Some(it.hsdir), it.failure.flatten()));
        let refusals = self.refusals.into_iter().map(|reason| HsDirFailure::new(None, reason));
        let failures = asked.chain(refusals).collect();
        OnionError::new(OnionProblem::NotFetched { address: self.address, failures })
    }
}

/// Whether two names are of one relay: the fingerprint counts, and the nickname may be missing.
fn is_same(one: &RelaySpec, other: &RelaySpec) -> bool {
    match (one.fingerprint(), other.fingerprint()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

impl Controller {
    /// Fetches the descriptor of an onion service from the directories that should have it, and
    /// returns it. [`hs_fetch`](Self::hs_fetch) does not wait.
    ///
    /// tor asks one directory after the other until one gives it. A directory that was asked in
    /// the last 15 minutes is not asked again; [`fetch_onion_descriptor_from`] asks it all the
    /// same. Any thread may wait, also inside a listener.
    ///
    /// Sends `HSFETCH address`, and `GETINFO version` behind it and whenever a directory has failed,
    /// to learn whether tor asks another; and `SETEVENTS` as
    /// [`add_event_listener`](Self::add_event_listener) does.
    ///
    /// Blocks the current thread until the descriptor is there or every directory has failed, for
    /// at most the given time after tor has taken the command, and the
    /// [time limit](Self::with_timeout) before that; each `GETINFO` may add the time limit.
    ///
    /// # Errors
    ///
    /// [`Error::Onion`] with [`OnionProblem::NotFetched`] if every directory that was asked has
    /// failed, with the reason of each, or if tor asks none, as without a network;
    /// [`Error::Timeout`] if none gave it in time, [`Error::Closed`] if the connection ended first;
    /// otherwise those of [`hs_fetch`](Self::hs_fetch) and
    /// [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let address = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let descriptor = controller.fetch_onion_descriptor(address, Duration::from_secs(60))?;
    /// println!("{} from {}", descriptor.id(), descriptor.hsdir());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`fetch_onion_descriptor_from`]: Self::fetch_onion_descriptor_from
    #[doc(alias = "get_hidden_service_descriptor")]
    pub fn fetch_onion_descriptor(
        &self,
        service: OnionAddress,
        limit: Duration,
    ) -> Result<OnionDescriptor> {
        self.fetch(service, &[], limit)
    }

    /// Fetches the descriptor of an onion service from the given directories, and returns the first
    /// that one of them gives.
    ///
    /// tor asks all of them at once. When they have failed it goes on to others, which count for
    /// nothing here.
    ///
    /// Sends `HSFETCH address SERVER=$fingerprint ..`; to tor up to 0.4.9.11 `GETINFO ns/id/` for
    /// each server before, since that tor aborts on a relay outside its consensus. Everything else is as with
    /// [`fetch_onion_descriptor`](Self::fetch_onion_descriptor).
    ///
    /// Blocks the current thread until the descriptor is there or every directory has failed, as
    /// long as [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) does.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_onion_descriptor`](Self::fetch_onion_descriptor);
    /// [`Error::InvalidInput`] also if a server is not in the consensus of a tor up to 0.4.9.11.
    pub fn fetch_onion_descriptor_from(
        &self,
        service: OnionAddress,
        servers: impl IntoIterator<Item = Fingerprint>,
        limit: Duration,
    ) -> Result<OnionDescriptor> {
        let servers: Vec<_> = servers.into_iter().collect();
        if servers.is_empty() {
            return Err(InvalidInput::new("servers", "none is given").into());
        }
        self.fetch(service, &servers, limit)
    }

    fn fetch(
        &self,
        service: OnionAddress,
        servers: &[Fingerprint],
        limit: Duration,
    ) -> Result<OnionDescriptor> {
        let deadline = deadline_after(self.timeout);
        let waiter = Waiter::new(self, &[EventKind::HsDesc, EventKind::HsDescContent], deadline)?;
        let command = servers.iter().fold(HsFetch::new(service), |it, server| it.server(*server));
        let ((), first) = self.execute_before(&command, deadline)?;
        let mut fetch = Fetch::new(service, servers, first);
        let deadline = deadline_after(limit);
        let timeout = Timeout::new(Wait::OnionDescriptor, limit);
        loop {
            let before = self.next_event()?;
            let mut was_idle = None;
            let found = waiter.find_now(|number, event| {
                if before.is_some_and(|before| number >= before) && was_idle.is_none() {
                    was_idle = Some(fetch.is_idle());
                }
                match fetch.see(number, &event) {
                    Some(Step::Found(descriptor)) => Some(descriptor),
                    Some(Step::Idle) | None => None,
                }
            });
            if let Some(descriptor) = found {
                return Ok(descriptor);
            }
            match before {
                Some(_) if was_idle.unwrap_or_else(|| fetch.is_idle()) => {
                    return Err(fetch.into_error().into());
                }
                // It is so only since.
                Some(_) if fetch.is_idle() => continue,
                _ => {}
            }
            let look = |number, event: Event| fetch.see(number, &event);
            if let Step::Found(descriptor) = waiter.find(look, deadline, &timeout)? {
                return Ok(descriptor);
            }
        }
    }

    /// Returns the number of the next event once tor has told everything that followed at once
    /// from what came before; `None` if a filter does not let the question through.
    fn next_event(&self) -> Result<Option<u64>> {
        match self.execute_sequenced(&GetInfo::new(["version"])) {
            Ok((_, next)) => Ok(Some(next)),
            Err(Error::Rejected(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
