//! `HSFETCH`, and the wait for its `HS_DESC_CONTENT` event.
//!
//! tor answers `HSFETCH` at once, and reports each queried directory and its result by events. If a
//! directory fails, tor queries the next one; it does not report that none is left. But it queries
//! the next one before it answers the next command. So a `GETINFO` is sent as a barrier: if no
//! query is pending when its reply arrives, none will follow.

use std::time::Duration;

use crate::clock::deadline_after;
use crate::command::{GetInfo, HsFetch};
use crate::controller::wait::Waiter;
use crate::controller::{Controller, if_allowed};
use crate::descriptor::OnionDescriptor;
use crate::error::{
    Error, HsDirFailure, InvalidInput, OnionError, OnionProblem, ProtocolError, Result, Timeout,
    Wait,
};
use crate::event::{Event, EventKind, EventText, HsDescContentEvent, HsDescEvent};
use crate::names::{Fingerprint, HsDescAction, HsDescReason, OnionAddress, RelaySpec};

/// The state of a fetch, where that allows a conclusion.
enum Step {
    Found(Result<OnionDescriptor, ProtocolError>),
    /// No query is pending; only a barrier shows whether tor queries another directory.
    Idle,
    /// No query was pending at the barrier.
    Exhausted,
}

/// A query to one directory.
struct Query {
    hsdir: RelaySpec,
    descriptor_id: Vec<u8>,
    /// The reason of the failure, if the query has failed.
    failure: Option<Option<HsDescReason>>,
}

/// One fetch; pure.
struct Fetch<'a> {
    address: OnionAddress,
    /// The directories that were requested; all, if there is none.
    servers: &'a [Fingerprint],
    /// The number of the first event after the reply to `HSFETCH`.
    first: u64,
    /// The number of the first event after the last barrier; `u64::MAX` without one.
    barrier: u64,
    queries: Vec<Query>,
    /// The reasons why tor could query no directory.
    refusals: Vec<Option<HsDescReason>>,
}

impl<'a> Fetch<'a> {
    fn new(address: OnionAddress, servers: &'a [Fingerprint], first: u64) -> Self {
        let (queries, refusals) = (Vec::new(), Vec::new());
        Self { address, servers, first, barrier: u64::MAX, queries, refusals }
    }

    fn apply(&mut self, number: u64, event: &Event) -> Option<Step> {
        let is_after_barrier = number >= self.barrier;
        if is_after_barrier && self.is_idle() {
            return Some(Step::Exhausted);
        }
        match event {
            // An earlier fetch may be for the same service.
            _ if number < self.first => None,
            Event::HsDesc(event) if self.is_about(event.address().as_ref()) => {
                self.record(event);
                (is_after_barrier && self.is_idle()).then_some(Step::Idle)
            }
            Event::HsDescContent(event) if self.is_about(event.address().as_ref()) => {
                self.read(event).map(Step::Found)
            }
            _ => None,
        }
    }

    fn is_about(&self, address: Option<&EventText>) -> bool {
        let id = self.address.service_id().as_bytes();
        address.is_some_and(|address| address.as_bytes().eq_ignore_ascii_case(id))
    }

    fn record(&mut self, event: &HsDescEvent) {
        let id = event.descriptor_id().map(|id| id.as_bytes().to_vec());
        match (event.action(), &event.hsdir()) {
            (HsDescAction::Requested, Some(hsdir)) if self.is_requested(hsdir) => {
                let descriptor_id = id.unwrap_or_default();
                self.queries.push(Query { hsdir: hsdir.clone(), descriptor_id, failure: None });
            }
            // A failed upload differs from a failed fetch by its reason only.
            (HsDescAction::Failed, _) if event.reason() == Some(HsDescReason::UploadRejected) => {}
            (HsDescAction::Failed, Some(hsdir)) => {
                let query = self.queries.iter_mut().find(|query| {
                    query.failure.is_none()
                        && query.hsdir.is_same_relay(hsdir)
                        && id.as_ref().is_none_or(|id| *id == query.descriptor_id)
                });
                if let Some(query) = query {
                    query.failure = Some(event.reason());
                }
            }
            (HsDescAction::Failed, None) => self.refusals.push(event.reason()),
            _ => {}
        }
    }

    /// Returns whether this fetch requested the directory. When a requested one has failed, tor
    /// queries all directories that should have the descriptor, possibly one that it has queried
    /// already.
    fn is_requested(&self, hsdir: &RelaySpec) -> bool {
        let is_server = |server| hsdir.fingerprint() == Some(server);
        let is_asked = || self.queries.iter().any(|query| query.hsdir.is_same_relay(hsdir));
        self.servers.is_empty() || self.servers.iter().copied().any(is_server) && !is_asked()
    }

    fn read(&self, event: &HsDescContentEvent) -> Option<Result<OnionDescriptor, ProtocolError>> {
        let (text, hsdir) = (event.descriptor()?, event.hsdir()?);
        let id = event.descriptor_id();
        let id = id.as_bytes();
        let is_answered =
            |query: &Query| query.hsdir.is_same_relay(&hsdir) && query.descriptor_id == id;
        let is_answer = self.queries.iter().any(is_answered);
        is_answer.then(|| OnionDescriptor::downloaded(text.as_bytes(), hsdir.clone()))
    }

    /// Returns whether no query is pending.
    fn is_idle(&self) -> bool {
        self.queries.iter().all(|query| query.failure.is_some())
    }

    fn into_error(self) -> OnionError {
        let queries = self.queries.into_iter();
        let failed = queries.map(|it| HsDirFailure::new(Some(it.hsdir), it.failure.flatten()));
        let refusals = self.refusals.into_iter().map(|reason| HsDirFailure::new(None, reason));
        let failures = failed.chain(refusals).collect();
        OnionError::new(OnionProblem::NotFetched { address: self.address, failures })
    }
}

/// # Descriptors of onion services
impl Controller {
    /// Fetches the descriptor of an onion service from the directories that are responsible for
    /// it.
    ///
    /// tor queries one directory after another. It does not query a directory again within 15
    /// minutes; [`fetch_onion_descriptor_from`] does. Any thread may call this method, also a
    /// listener.
    ///
    /// Sends `HSFETCH address`; `GETINFO version` behind it and after each failure, to learn
    /// whether tor queries another directory; and `SETEVENTS` as
    /// [`add_event_listener`](Self::add_event_listener) does for `HS_DESC` and `HS_DESC_CONTENT`.
    ///
    /// Blocks the current thread until tor has the descriptor or every directory has failed, for at
    /// most `limit` after tor has accepted `HSFETCH`, before that for at most the
    /// [time limit](Self::with_timeout); each `GETINFO` may add the time limit.
    ///
    /// # Errors
    ///
    /// [`Error::Onion`] with [`OnionProblem::NotFetched`] and the reason of
    /// each directory if all queries have failed, or tor sent none, as without a network;
    /// [`Error::Timeout`]; [`Error::Closed`];
    /// otherwise those of [`hs_fetch`](Self::hs_fetch) and
    /// [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let address = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// let descriptor = controller.fetch_onion_descriptor(address, Duration::from_secs(60))?;
    /// println!("{:?} from {:?}", descriptor.id(), descriptor.hsdir());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    ///
    /// [`fetch_onion_descriptor_from`]: Self::fetch_onion_descriptor_from
    #[doc(alias = "get_hidden_service_descriptor")]
    pub fn fetch_onion_descriptor<A>(&self, service: A, limit: Duration) -> Result<OnionDescriptor>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.fetch(service.try_into()?, &[], limit)
    }

    /// Fetches the descriptor of an onion service from the given directories, and returns the first
    /// one that arrives.
    ///
    /// tor queries all of them at once. When they have failed it queries others, whose results are
    /// ignored here.
    ///
    /// Sends `HSFETCH address SERVER=$fingerprint ..`; to tor up to 0.4.9.11, which aborts on a
    /// relay outside its consensus, `GETINFO ns/id/` for each server before. It sends and blocks
    /// otherwise as [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) does.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_onion_descriptor`](Self::fetch_onion_descriptor);
    /// [`Error::InvalidInput`] also if no server is given, or one is not
    /// in the consensus of a tor up to 0.4.9.11.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// let server = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
    /// let limit = Duration::from_secs(60);
    /// let descriptor = controller.fetch_onion_descriptor_from(service, [server], limit)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn fetch_onion_descriptor_from<A>(
        &self,
        service: A,
        servers: impl IntoIterator<Item = Fingerprint>,
        limit: Duration,
    ) -> Result<OnionDescriptor>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        let servers: Vec<_> = servers.into_iter().collect();
        if servers.is_empty() {
            return Err(InvalidInput::new("servers", "none is given").into());
        }
        self.fetch(service.try_into()?, &servers, limit)
    }

    fn fetch(
        &self,
        service: OnionAddress,
        servers: &[Fingerprint],
        limit: Duration,
    ) -> Result<OnionDescriptor> {
        let begin = self.deadline();
        let waiter = Waiter::new(self, &[EventKind::HsDesc, EventKind::HsDescContent], begin)?;
        let command = servers.iter().fold(HsFetch::new(service), |it, server| it.server(*server));
        let ((), first) = self.execute_before(&command, begin)?;
        let mut fetch = Fetch::new(service, servers, first);
        let (deadline, timeout) =
            (deadline_after(limit), Timeout::new(Wait::OnionDescriptor, limit));
        loop {
            let barrier = self.barrier()?;
            fetch.barrier = barrier.unwrap_or(u64::MAX);
            // Every event before the barrier has arrived.
            let step = match waiter.find_now(|number, event| fetch.apply(number, &event)) {
                Some(step) => step,
                None if barrier.is_some() && fetch.is_idle() => Step::Exhausted,
                None => {
                    waiter.find(|number, event| fetch.apply(number, &event), deadline, &timeout)?
                }
            };
            match step {
                Step::Found(descriptor) => return Ok(descriptor?),
                Step::Exhausted => return Err(fetch.into_error().into()),
                Step::Idle => {}
            }
        }
    }

    /// Returns the number of the next event once tor has acted on every earlier command and event;
    /// `None` if a filter refuses the query.
    fn barrier(&self) -> Result<Option<u64>> {
        let outcome = self.execute_sequenced(&GetInfo::new(["version"]));
        Ok(if_allowed(outcome)?.map(|(_, next)| next))
    }
}
