//! The options and the client authorization keys that a supervisor restores.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::options::IfChanged;
use super::shared::Shared;
use super::status::{SupervisedPart, UnrestoredPart};
use crate::command::{
    Command, ConfSetting, ConfValue, GetConf, OnionClientAuthAdd, OnionClientAuthRemove,
    OnionClientAuthView, SetConf,
};
use crate::controller::{Controller, HookEvent, HookGuard, if_allowed};
use crate::error::{Error, Result, SupervisorError, SupervisorProblem};
use crate::event::EventKind;
use crate::link::timeout;
use crate::names::OnionAddress;
use crate::sync::{Mutex, ReentrantMutex, ReentrantMutexGuard};
use crate::wire::Reply;

/// The options and keys that a supervisor sets in tor.
#[derive(Default)]
pub(super) struct Settings {
    /// Held across commands, before every other lock. Reentrant, since a logger that a command calls
    /// may change settings.
    sending: ReentrantMutex<()>,
    /// A leaf lock.
    kept: Mutex<Kept>,
    /// The connection on which changes are watched, and its hook, unless a filter refuses the events.
    /// A leaf lock.
    watch: Mutex<Option<(u64, Option<HookGuard>)>>,
}

#[derive(Default)]
struct Kept {
    /// In the order in which they were last set.
    options: Vec<WantedOption>,
    /// The number of calls that set options.
    calls: u64,
    client_auths: Vec<OnionClientAuthAdd>,
    /// Keys that tor may still have, although the program has removed them.
    removed_auths: Vec<OnionClientAuthAdd>,
}

#[derive(Clone)]
struct WantedOption {
    /// The name that the program uses.
    name: Box<str>,
    /// The name that tor uses, as far as it is known.
    tor_name: Box<str>,
    /// The number of the call that set the option.
    call: u64,
    /// All lines of the option.
    settings: Vec<ConfSetting>,
    progress: Progress,
}

#[derive(Clone)]
enum Progress {
    /// No tor has accepted the settings.
    Pending,
    /// A tor has accepted the settings, and has returned no value since. The value that it returned
    /// before, if any, may be that of another controller.
    Sent(Option<ConfValue>),
    /// The value that tor returned after it had accepted the settings, which may already be that of
    /// another controller: only if tor returns it again after they were sent again, it is theirs.
    Read(ConfValue),
    /// The value that tor returns for the settings, which can be written in another way.
    Accepted(ConfValue),
}

impl WantedOption {
    /// Records that a tor has accepted the settings. It writes them as before unless it `is_new`.
    fn sent(&mut self, is_new: bool) {
        self.progress = match std::mem::replace(&mut self.progress, Progress::Pending) {
            Progress::Pending => Progress::Sent(None),
            Progress::Read(value) => Progress::Sent(Some(value)),
            // Usually the same value is returned again.
            Progress::Accepted(value) if is_new => Progress::Sent(Some(value)),
            progress => progress,
        };
    }

    /// Records the value that tor returned. If the settings were sent before, it is theirs if it is
    /// written in the same way, or if it was returned twice.
    fn returned(&mut self, value: &ConfValue) {
        if let Progress::Sent(last) = &self.progress {
            let is_certain = last.as_ref() == Some(value) || self.is_written_as(value);
            let value = value.clone();
            self.progress = match is_certain {
                true => Progress::Accepted(value),
                false => Progress::Read(value),
            };
        }
    }

    fn is_written_as(&self, value: &ConfValue) -> bool {
        let settings = self.settings.iter().filter_map(ConfSetting::value);
        settings.eq(value.values().iter().map(String::as_bytes))
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.tor_name.eq_ignore_ascii_case(name)
    }

    fn lines(&self) -> impl Iterator<Item = (&str, ConfSetting)> {
        self.settings.iter().map(|setting| (&*self.name, setting.clone()))
    }

    fn unrestored(&self, error: Error) -> UnrestoredPart {
        UnrestoredPart { part: SupervisedPart::Option(self.name.clone()), error }
    }
}

/// The values of options, by the names that tor uses.
type Values = HashMap<Box<str>, ConfValue>;

/// The result of a restore of options.
#[derive(Default)]
pub(super) struct RestoredOptions {
    pub(super) unrestored: Vec<UnrestoredPart>,
    /// Whether values of other controllers were replaced.
    pub(super) has_corrected: bool,
}

impl Settings {
    pub(super) fn is_empty(&self) -> bool {
        let kept = self.kept.lock();
        kept.options.is_empty() && kept.client_auths.is_empty() && kept.removed_auths.is_empty()
    }

    pub(super) fn has_client_auths(&self) -> bool {
        !self.kept.lock().client_auths.is_empty()
    }

    /// Waits until no other thread sends settings. An error reports `limit`.
    pub(super) fn lock(
        &self,
        command: &str,
        deadline: Instant,
        limit: Duration,
    ) -> Result<ReentrantMutexGuard<'_, ()>> {
        let guard = self.sending.try_lock_until(deadline);
        guard.ok_or_else(|| timeout(command, limit).into())
    }

    /// Watches changes of the configuration on a connection, unless that is done. The event `SIGNAL`
    /// reports a reload that changes no option.
    pub(super) fn watch(
        &self,
        shared: &Arc<Shared>,
        controller: &Controller,
        generation: u64,
        deadline: Instant,
    ) -> Result<()> {
        if self.watch.lock().as_ref().is_some_and(|(watched, _)| *watched == generation) {
            return Ok(());
        }
        let shared = Arc::downgrade(shared);
        let see = move |seen: HookEvent<'_>| {
            if let (HookEvent::Event(_), Some(shared)) = (seen, shared.upgrade()) {
                shared.add_task(|_, tasks| tasks.conf_changed = true);
            }
        };
        let kinds = [EventKind::ConfChanged, EventKind::Signal];
        let mut hook = if_allowed(controller.watch_events_before(&kinds, see.clone(), deadline))?;
        if hook.is_none() {
            // A filter may allow one of them.
            let [conf_changed, _] = &kinds;
            let kinds = std::slice::from_ref(conf_changed);
            hook = if_allowed(controller.watch_events_before(kinds, see, deadline))?;
        }
        let former = self.watch.lock().replace((generation, hook));
        // Dropped without the lock, since it sends a command.
        drop(former);
        Ok(())
    }

    /// Ends the watch.
    pub(super) fn end(&self) {
        let watch = self.watch.lock().take();
        drop(watch);
    }

    /// Records options that tor has accepted (`is_sent`), or that will be sent at the next
    /// connection.
    pub(super) fn record(&self, settings: &[(Box<str>, ConfSetting)], is_sent: bool) {
        let mut kept = self.kept.lock();
        kept.calls += 1;
        let call = kept.calls;
        kept.options.retain(|option| !settings.iter().any(|(name, _)| option.is_called(name)));
        for (name, setting) in settings {
            match kept.option(name) {
                Some(option) => option.settings.push(setting.clone()),
                None => kept.options.push(WantedOption {
                    name: name.clone(),
                    tor_name: name.clone(),
                    call,
                    settings: vec![setting.clone()],
                    progress: if is_sent { Progress::Sent(None) } else { Progress::Pending },
                }),
            }
        }
    }

    /// Forgets an option. Returns whether it was recorded.
    pub(super) fn forget(&self, name: &str) -> bool {
        let mut kept = self.kept.lock();
        let before = kept.options.len();
        kept.options.retain(|option| !option.is_called(name));
        kept.options.len() < before
    }

    pub(super) fn record_client_auth(&self, key: &OnionClientAuthAdd) {
        let mut kept = self.kept.lock();
        let is_other = |known: &OnionClientAuthAdd| known.service() != key.service();
        kept.client_auths.retain(is_other);
        kept.removed_auths.retain(is_other);
        kept.client_auths.push(key.clone());
    }

    /// Takes a key for one that tor must not have although it may add it: it has not answered yet.
    pub(super) fn refuse_client_auth(&self, key: &OnionClientAuthAdd) {
        let mut kept = self.kept.lock();
        // Otherwise the recorded one replaces it.
        if kept.client_auths.iter().all(|known| known.service() != key.service()) {
            kept.removed_auths.push(key.clone());
        }
    }

    /// Takes a key for one that tor must no longer have. Returns whether it was recorded.
    pub(super) fn begin_client_auth_removal(&self, service: OnionAddress) -> bool {
        let kept = &mut *self.kept.lock();
        let known = std::mem::take(&mut kept.client_auths).into_iter();
        let (removed, others): (Vec<_>, Vec<_>) = known.partition(|key| key.service() == service);
        kept.client_auths = others;
        kept.removed_auths.extend(removed);
        kept.removed_auths.iter().any(|key| key.service() == service)
    }

    /// Records that tor does not have a removed key.
    pub(super) fn end_client_auth_removal(&self, service: OnionAddress) {
        self.kept.lock().removed_auths.retain(|key| key.service() != service);
    }

    fn options(&self, is_wanted: impl Fn(&WantedOption) -> bool) -> Vec<WantedOption> {
        self.kept.lock().options.iter().filter(|option| is_wanted(option)).cloned().collect()
    }

    /// Reads the values of options that tor has accepted, for later comparisons. Sets and reads those
    /// again that tor writes in another way.
    pub(super) fn settle(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        for is_repeated in [false, true] {
            let mut unsettled = self.options(|option| match option.progress {
                Progress::Sent(_) => !is_repeated,
                Progress::Read(_) => is_repeated,
                Progress::Pending | Progress::Accepted(_) => false,
            });
            if unsettled.is_empty() {
                continue;
            }
            if is_repeated {
                match self.set(controller, &unsettled, false, deadline) {
                    // tor has accepted them before. The next check tries each again.
                    Err(error) if is_refusal(&error) => return Ok(()),
                    outcome => outcome?,
                }
            }
            let values = self.query(controller, &mut unsettled, deadline)?;
            let mut kept = self.kept.lock();
            for (name, value) in &values {
                if let Some(option) = kept.option(name) {
                    option.returned(value);
                }
            }
        }
        // Another controller changes it at this moment; the next check continues.
        Ok(())
    }

    /// Sets the options that tor does not have as they were set, all in one command; if tor refuses
    /// it, those of each call in their own. On a connection that is not new, [`IfChanged::Report`]
    /// only reports those that others have changed.
    pub(super) fn restore_options(
        &self,
        controller: &Controller,
        is_new: bool,
        if_changed: IfChanged,
        deadline: Instant,
    ) -> Result<RestoredOptions> {
        let mut restored = RestoredOptions::default();
        let mut options = self.options(|_| true);
        if options.is_empty() {
            return Ok(restored);
        }
        let values = self.query(controller, &mut options, deadline)?;
        let is_changed = |option: &WantedOption| match &option.progress {
            Progress::Accepted(value) => {
                values.get(&option.tor_name).is_some_and(|found| found != value)
            }
            Progress::Pending | Progress::Sent(_) | Progress::Read(_) => false,
        };
        let mut wanted = Vec::new();
        for option in options {
            let is_wanted = match &option.progress {
                Progress::Pending => true,
                // A filter refuses the query, so that only a new connection needs them.
                _ if !values.contains_key(&option.tor_name) => is_new,
                Progress::Sent(_) | Progress::Read(_) => true,
                Progress::Accepted(_) => is_changed(&option),
            };
            if is_changed(&option) && !is_new && if_changed == IfChanged::Report {
                let error = SupervisorError::new(SupervisorProblem::Changed);
                restored.unrestored.push(option.unrestored(error.into()));
            } else if is_wanted {
                wanted.push(option);
            }
        }
        if wanted.is_empty() {
            return Ok(restored);
        }
        let refused = self.set_by_calls(controller, &wanted, is_new, deadline)?;
        let is_refused = |option: &WantedOption| {
            refused.iter().any(|(options, _)| options.iter().any(|one| one.name == option.name))
        };
        restored.has_corrected =
            !is_new && wanted.iter().any(|option| is_changed(option) && !is_refused(option));
        for (options, error) in &refused {
            restored.unrestored.extend(options.iter().map(|one| one.unrestored(error.clone())));
            if is_new {
                // No other controller has changed them, so the next check tries again.
                let mut kept = self.kept.lock();
                for option in *options {
                    if let Some(option) = kept.option(&option.name) {
                        option.progress = Progress::Pending;
                    }
                }
            }
        }
        self.settle(controller, deadline)?;
        Ok(restored)
    }

    /// Sends `SETCONF` with the settings of some options; if tor refuses it, one for each call that set
    /// some of them. Returns the options of the refused calls.
    fn set_by_calls<'a>(
        &self,
        controller: &Controller,
        options: &'a [WantedOption],
        is_new: bool,
        deadline: Instant,
    ) -> Result<Vec<(&'a [WantedOption], Error)>> {
        let error = match self.set(controller, options, is_new, deadline) {
            Err(error) if is_refusal(&error) => error,
            outcome => return outcome.map(|()| Vec::new()),
        };
        let calls: Vec<_> = options.chunk_by(|one, next| one.call == next.call).collect();
        if calls.len() == 1 {
            return Ok(vec![(options, error)]);
        }
        let mut refused = Vec::new();
        for call in calls {
            refused.extend(self.set_by_calls(controller, call, is_new, deadline)?);
        }
        Ok(refused)
    }

    /// Returns the values of options, without those that tor or a filter refuses to return: all in one
    /// query; if tor refuses it, each in its own, which also returns tor's names. An option that a
    /// later call set by another name is forgotten.
    fn query(
        &self,
        controller: &Controller,
        options: &mut Vec<WantedOption>,
        deadline: Instant,
    ) -> Result<Values> {
        let command = GetConf::new(options.iter().map(|option| &*option.tor_name));
        match controller.execute_before(&command, deadline) {
            Ok((conf, _)) => {
                let found = options.iter().filter_map(|option| {
                    Some((option.tor_name.clone(), conf.get(&option.tor_name)?.clone()))
                });
                return Ok(found.collect());
            }
            Err(error) if error.is_filtered() => return Ok(Values::new()),
            // One of the names is unknown, or tor calls an option by another name.
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(error),
        }
        let mut values = Values::new();
        for option in &mut *options {
            // Another tor may know only the name of the program.
            let command = QueryByAnyName(&option.name);
            let found = if_allowed(controller.execute_before(&command, deadline))?;
            if let Some((Some((name, value)), _)) = found {
                self.kept.lock().set_tor_name(&option.name, &name);
                option.tor_name = name.clone();
                values.insert(name, value);
            }
        }
        let kept = self.kept.lock();
        let is_kept = |one: &WantedOption| kept.options.iter().any(|other| other.name == one.name);
        options.retain(is_kept);
        Ok(values)
    }

    /// Sends `SETCONF` with the settings of some options.
    fn set(
        &self,
        controller: &Controller,
        options: &[WantedOption],
        is_new: bool,
        deadline: Instant,
    ) -> Result<()> {
        let lines = options.iter().flat_map(WantedOption::lines);
        controller.execute_before(&SetConf::new(lines), deadline)?;
        let mut kept = self.kept.lock();
        for option in options {
            if let Some(option) = kept.option(&option.name) {
                option.sent(is_new);
            }
        }
        Ok(())
    }

    /// Adds the client authorization keys that tor does not have, and removes those that the program
    /// removed while tor did not answer. tor 0.4.9 forgets all keys that are not permanent at each
    /// `SETCONF` and at each reload.
    pub(super) fn restore_client_auths(
        &self,
        controller: &Controller,
        deadline: Instant,
    ) -> Result<Vec<UnrestoredPart>> {
        let mut unrestored = Vec::new();
        let (wanted, removed) = {
            let kept = self.kept.lock();
            (kept.client_auths.clone(), kept.removed_auths.clone())
        };
        if wanted.is_empty() && removed.is_empty() {
            return Ok(unrestored);
        }
        let present = match controller.execute_before(&OnionClientAuthView::new(), deadline) {
            // A filter may refuse the query, and the key of another program may not be readable.
            Err(error) if is_refusal(&error) => None,
            present => Some(present?.0),
        };
        let is_present = |key: &OnionClientAuthAdd, if_unknown| {
            let found = |present: &Vec<_>| present.iter().any(|found| key.is(found));
            present.as_ref().map_or(if_unknown, found)
        };
        for key in &removed {
            // Another key of the service is that of another program.
            if is_present(key, true) {
                let command = OnionClientAuthRemove::new(key.service());
                match controller.execute_before(&command, deadline) {
                    Err(error) if is_refusal(&error) => {}
                    outcome => drop(outcome?),
                }
            }
            self.end_client_auth_removal(key.service());
        }
        // tor replaces a key that it has by the same key.
        for key in wanted.iter().filter(|key| !is_present(key, false)) {
            match controller.execute_before(key, deadline) {
                Err(error) if is_refusal(&error) => {
                    let part = SupervisedPart::ClientAuth(key.service());
                    unrestored.push(UnrestoredPart { part, error });
                }
                outcome => drop(outcome?),
            }
        }
        Ok(unrestored)
    }
}

impl Kept {
    fn option(&mut self, name: &str) -> Option<&mut WantedOption> {
        self.options.iter_mut().find(|option| option.is_called(name))
    }

    /// Records tor's name of an option. Of two names of one option, that of the last call counts.
    fn set_tor_name(&mut self, name: &str, tor_name: &str) {
        if let Some(option) = self.option(name) {
            option.tor_name = tor_name.into();
        }
        let last = self.options.iter().rfind(|option| option.is_called(tor_name));
        if let Some(last) = last.map(|last| last.name.clone()) {
            self.options.retain(|option| !option.is_called(tor_name) || option.name == last);
        }
    }
}

/// `GETCONF` with one name, which can be a former name of the option. Returns the present name too.
struct QueryByAnyName<'a>(&'a str);

impl Command for QueryByAnyName<'_> {
    type Reply = Option<(Box<str>, ConfValue)>;

    const KEYWORD: &'static str = "GETCONF";

    fn request(&self) -> Result<crate::wire::Request, crate::error::InvalidInput> {
        GetConf::new([self.0]).request()
    }

    fn reply(&self, reply: Reply) -> Result<Self::Reply> {
        let values = GetConf::values(reply)?;
        Ok(values.iter().next().map(|(name, value)| (name.into(), value.clone())))
    }
}

/// Returns whether tor refuses a command, or torcon does: the connection goes on.
fn is_refusal(error: &Error) -> bool {
    error.status_code().is_some() || matches!(error, Error::InvalidInput(_) | Error::Protocol(_))
}

#[cfg(test)]
mod tests;
