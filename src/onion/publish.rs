//! Waiting until directories have the descriptor of a service.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::uploads::Uploads;
use crate::controller::{Controller, HookGuard, Seen};
use crate::error::{
    Error, HsDirUpload, OnionError, OnionProblem, RemovedBy, Result, Timeout, Wait,
};
use crate::event::{ConfChangedEvent, Event, EventKind, HsDescEvent};
use crate::link::deadline_after;
use crate::names::{OnionAddress, Signal};

/// The directories that must have the descriptor before a service counts as published.
///
/// tor uploads two descriptors, one for each of two time periods, each to up to eight directories.
/// A client fetches the descriptor of the period that its clock and its consensus name, from up to
/// six of these directories, until one has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// None: the service has its address, and tor publishes it in its own time.
    None,
    /// One directory, for one of the two descriptors. A client that asks for the other descriptor,
    /// or asks the directories that have not got it yet, is refused.
    First,
    /// More than half of the directories of each descriptor, so that every client finds some that
    /// have it.
    #[default]
    Reachable,
    /// All: every upload has been answered or has run out, and at least one has succeeded.
    All,
}

/// The most events that are kept while the address is not yet known.
const EARLY: usize = 1024;

/// How long uploads may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct UploadLimits {
    /// For the answer to an upload.
    pub(super) answer: Duration,
    /// For the beginning of another upload when every one has failed.
    pub(super) grace: Duration,
}

/// Follows the descriptors of one service, from before it exists until it is dropped.
pub(super) struct Publisher {
    board: Arc<PublicationState>,
    /// End with the publisher; none once the service has been closed.
    watches: Mutex<Vec<HookGuard>>,
    /// Whether tor reports uploads.
    has_uploads: bool,
}

/// What a service needs to be told by events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Its publication will be waited for, so a refusal of `HS_DESC` is an error.
    pub(super) uploads: bool,
    /// It is in tor's configuration, which others change.
    pub(super) changes: bool,
    /// It goes on in tor when the control connection ends.
    pub(super) outlives_connection: bool,
}

/// What those who wait for a service look at: for directories, or for clients.
pub(super) struct PublicationState {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
    outlives_connection: bool,
    /// Readable when the service has ended: for those who wait for a socket at the same time.
    ended: UnixStream,
    end: UnixStream,
}

#[derive(Default)]
struct State {
    address: Option<OnionAddress>,
    /// What came before the address was known.
    early: Vec<HsDescEvent>,
    uploads: Uploads,
    limits: Option<UploadLimits>,
    /// When the last upload began or ended.
    changed_at: Option<Instant>,
    /// What has changed and nobody has been told of; kept only while somebody wants to be told.
    news: Vec<HsDirUpload>,
    telling: bool,
    /// Why the service has ended; the first reason counts.
    ending: Option<Error>,
    /// Why nothing more is reported, if the service goes on without a connection.
    disconnected: Option<Error>,
    /// What may have removed the service from tor since that was last looked at.
    doubt: Option<RemovedBy>,
}

impl Publisher {
    /// Begins to follow the descriptors of all services; to be called before the service is added.
    ///
    /// A filter in front of the control port may refuse events. The service does without those
    /// that are only convenient.
    pub(super) fn start(controller: &Controller, needs: Needs) -> Result<Self> {
        let board = Arc::new(PublicationState::new(needs.outlives_connection)?);
        let watch = |kinds: &[EventKind]| {
            let board = Arc::clone(&board);
            controller.watch_events(kinds, move |seen: Seen<'_>| board.see(seen))
        };
        let without = |error: &dyn std::fmt::Display| {
            log::info!("an onion service does without events: {error}");
            None
        };
        let uploads = match watch(&[EventKind::HsDesc]) {
            Err(Error::Rejected(error)) if !needs.uploads => without(&error),
            uploads => Some(uploads?),
        };
        let mut changes = Vec::new();
        let wanted: [&[EventKind]; 2] =
            [&[EventKind::ConfChanged, EventKind::Signal], &[EventKind::ConfChanged]];
        for kinds in wanted.into_iter().filter(|_| needs.changes) {
            if changes.is_empty() {
                changes.extend(match watch(kinds) {
                    Err(Error::Rejected(error)) => without(&error),
                    watch => Some(watch?),
                });
            }
        }
        let has_uploads = uploads.is_some();
        let watches = Mutex::new(uploads.into_iter().chain(changes).collect());
        Ok(Self { board, watches, has_uploads })
    }

    /// Whether publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.has_uploads
    }

    pub(super) fn board(&self) -> &Arc<PublicationState> {
        &self.board
    }

    /// Says which service is meant, and how long its uploads may take. Events of other services
    /// are dropped.
    pub(super) fn set_address(&self, address: OnionAddress, limits: UploadLimits) {
        let mut state = self.board.state.lock();
        state.address = Some(address);
        state.limits = Some(limits);
        for event in std::mem::take(&mut state.early) {
            state.note(&event);
        }
        drop(state);
        self.board.changed.notify_all();
    }

    /// Ends every wait, now and later.
    pub(super) fn close(&self) {
        self.board.finish(OnionError::new(OnionProblem::Closed).into());
        let watches = std::mem::take(&mut *self.watches.lock());
        drop(watches);
    }

    pub(super) fn uploads(&self) -> Vec<HsDirUpload> {
        let mut state = self.board.state.lock();
        state.expire();
        state.uploads.list()
    }

    /// Waits on this thread, where `tell` is called too.
    pub(super) fn wait(
        &self,
        wanted: Publication,
        limit: Duration,
        tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        if wanted == Publication::None {
            return Ok(());
        }
        self.board.wait(wanted, limit, tell)
    }
}

impl PublicationState {
    fn new(outlives_connection: bool) -> Result<Self> {
        let pair = UnixStream::pair();
        let (ended, end) =
            pair.map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { state, changed, outlives_connection, ended, end })
    }

    /// Called on the reader thread.
    fn see(&self, seen: Seen<'_>) {
        match seen {
            Seen::Event(event) => match event {
                Event::HsDesc(event) => self.state.lock().note(event),
                Event::Signal(event) if event.signal == Signal::Reload => {
                    self.state.lock().doubt = Some(RemovedBy::Reload);
                }
                Event::ConfChanged(event) if concerns_services(event) => {
                    self.state.lock().doubt.get_or_insert(RemovedBy::Reconfiguration);
                }
                _ => return,
            },
            Seen::Ended(reason) => return self.disconnect(reason.clone().into()),
        }
        self.changed.notify_all();
    }

    /// Records the end of the control connection, which a detached service outlives.
    pub(super) fn disconnect(&self, reason: Error) {
        if !self.outlives_connection {
            return self.finish(reason);
        }
        self.state.lock().disconnected.get_or_insert(reason);
        self.changed.notify_all();
    }

    /// Waits until the service may have been removed from tor, or until it is time to ask.
    /// Returns whether to ask; otherwise there is nothing more to be watched.
    pub(super) fn wait_doubt(&self, limit: Duration) -> bool {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        loop {
            if state.ending.is_some() || state.disconnected.is_some() {
                return false;
            }
            if state.doubt.is_some() {
                return true;
            }
            if Instant::now() >= deadline {
                return true;
            }
            self.changed.wait_until(&mut state, deadline);
        }
    }

    /// Returns what may have removed the service since this was last called.
    pub(super) fn take_doubt(&self) -> Option<RemovedBy> {
        self.state.lock().doubt.take()
    }

    pub(super) fn finish(&self, reason: Error) {
        let mut state = self.state.lock();
        state.ending.get_or_insert(reason);
        state.early.clear();
        drop(state);
        self.changed.notify_all();
        // It can only fail if it was done before.
        let _ = self.end.shutdown(std::net::Shutdown::Both);
    }

    /// Returns why the service has ended, if it has.
    pub(super) fn ending(&self) -> Option<Error> {
        self.state.lock().ending.clone()
    }

    /// Returns what becomes readable when the service ends, and stays so.
    pub(super) fn ended(&self) -> &UnixStream {
        &self.ended
    }

    fn wait(
        &self,
        wanted: Publication,
        limit: Duration,
        mut tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        if tell.is_some() {
            state.telling = true;
            state.news = state.uploads.list();
        }
        let outcome = loop {
            state.expire();
            if let Some(tell) = tell.as_mut().filter(|_| !state.news.is_empty()) {
                let news = std::mem::take(&mut state.news);
                // The lock is never held while a closure of the user's runs.
                drop(state);
                news.into_iter().for_each(&mut **tell);
                state = self.state.lock();
                continue;
            }
            if state.is_published(wanted) {
                break Ok(());
            }
            if let Some(ending) = state.ending.as_ref().or(state.disconnected.as_ref()) {
                break Err(ending.clone());
            }
            let (now, hopeless_at) = (Instant::now(), state.hopeless_at());
            if hopeless_at.is_some_and(|hopeless_at| hopeless_at <= now) {
                break Err(state.not_published());
            }
            if now >= deadline {
                break Err(Timeout::new(Wait::Publication, limit).into());
            }
            let until = [hopeless_at, state.next_expiry()].into_iter().flatten().min();
            let until = until.map_or(deadline, |until| until.min(deadline));
            self.changed.wait_until(&mut state, until);
        };
        if tell.is_some() {
            state.telling = false;
            state.news.clear();
        }
        outcome
    }
}

/// Whether options of onion services have changed.
fn concerns_services(event: &ConfChangedEvent) -> bool {
    const START: &[u8] = b"HiddenService";
    event.changes.iter().any(|change| {
        let start = change.name.as_bytes().get(..START.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(START))
    })
}

impl State {
    fn note(&mut self, event: &HsDescEvent) {
        let Some(address) = self.address else {
            if self.ending.is_none() && self.early.len() < EARLY {
                self.early.push(event.clone());
            }
            return;
        };
        let is_ours = |text: &crate::event::EventText| {
            text.as_bytes().eq_ignore_ascii_case(address.service_id().as_bytes())
        };
        if !event.address.as_ref().is_some_and(is_ours) {
            return;
        }
        let now = Instant::now();
        let changed = self.uploads.apply(event, now);
        self.tell(changed, now);
    }

    /// Gives up uploads that have had no answer for too long.
    fn expire(&mut self) {
        let (Some(limits), now) = (self.limits, Instant::now()) else { return };
        let changed = self.uploads.expire(limits.answer, now);
        self.tell(changed, now);
    }

    fn tell(&mut self, changed: impl IntoIterator<Item = HsDirUpload>, now: Instant) {
        for upload in changed {
            self.changed_at = Some(now);
            if self.telling {
                self.news.push(upload);
            }
        }
    }

    fn is_published(&self, wanted: Publication) -> bool {
        match wanted {
            Publication::None => true,
            Publication::First => self.uploads.any_taken(),
            Publication::Reachable => self.uploads.is_reachable(),
            Publication::All => self.uploads.all_known(),
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.uploads.next_expiry(self.limits?.answer)
    }

    /// Returns when publication is given up: every upload has failed, and tor has begun no other
    /// for a while.
    fn hopeless_at(&self) -> Option<Instant> {
        let since = self.changed_at.filter(|_| self.uploads.all_failed())?;
        since.checked_add(self.limits?.grace)
    }

    fn not_published(&self) -> Error {
        let uploads = self.uploads.list().into();
        match self.address {
            Some(address) => {
                OnionError::new(OnionProblem::NotPublished { address, uploads }).into()
            }
            None => OnionError::new(OnionProblem::Closed).into(),
        }
    }
}
