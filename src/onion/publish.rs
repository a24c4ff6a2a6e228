//! Waiting until directories have the descriptor of a service.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::uploads::Uploads;
use crate::controller::{Controller, HookGuard, Seen};
use crate::error::{Error, HsDirUpload, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::event::{Event, EventKind, HsDescEvent};
use crate::link::deadline_after;
use crate::names::OnionAddress;

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
    board: Arc<Board>,
    /// Ends with the publisher. `None` once the service has been closed.
    watch: Mutex<Option<HookGuard>>,
}

/// What those who wait for a service look at: for directories, or for clients.
pub(super) struct Board {
    // A leaf lock.
    state: Mutex<State>,
    changed: Condvar,
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
}

impl Publisher {
    /// Begins to follow the descriptors of all services; to be called before the service is added.
    pub(super) fn start(controller: &Controller) -> Result<Self> {
        let board = Arc::new(Board::new()?);
        let for_events = Arc::clone(&board);
        let tell = move |seen: Seen<'_>| match seen {
            Seen::Event(Event::HsDesc(event)) => for_events.note(event),
            Seen::Event(_) => {}
            Seen::Ended(reason) => for_events.finish(reason.clone().into()),
        };
        let watch = controller.watch_events(&[EventKind::HsDesc], tell)?;
        Ok(Self { board, watch: Mutex::new(Some(watch)) })
    }

    pub(super) fn board(&self) -> &Arc<Board> {
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
        let watch = self.watch.lock().take();
        drop(watch);
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

impl Board {
    fn new() -> Result<Self> {
        let pair = UnixStream::pair();
        let (ended, end) =
            pair.map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        Ok(Self { state: Mutex::default(), changed: Condvar::new(), ended, end })
    }

    fn note(&self, event: &HsDescEvent) {
        self.state.lock().note(event);
        self.changed.notify_all();
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
            if let Some(ending) = &state.ending {
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
