//! The options and the client authorization keys that a supervisor restores.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::options::IfChanged;
use super::shared::Shared;
use super::status::{SupervisedPart, UnrestoredPart};
use crate::command::{
    Command, ConfSetting, ConfValue, GetConf, OnionClientAuthAdd, OnionClientAuthView, SetConf,
};
use crate::controller::{Controller, HookEvent, HookGuard, if_allowed};
use crate::error::{Error, Result, SupervisorError, SupervisorProblem, Timeout, Wait};
use crate::event::EventKind;
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
    /// In the order in which they were set.
    options: Vec<WantedOption>,
    client_auths: Vec<OnionClientAuthAdd>,
}

#[derive(Clone)]
struct WantedOption {
    name: Box<str>,
    /// All lines of the option.
    settings: Vec<ConfSetting>,
    progress: Progress,
}

#[derive(Clone)]
enum Progress {
    /// No tor has accepted the settings.
    Pending,
    /// A tor has accepted the settings. The value that it returned then may already be that of
    /// another controller.
    Sent(Option<ConfValue>),
    /// The value that tor returns for the settings, which can be written in another way.
    Accepted(ConfValue),
}

impl WantedOption {
    /// Records that a tor has accepted the settings. It writes them as before unless it `is_new`.
    fn sent(&mut self, is_new: bool) {
        self.progress = match std::mem::replace(&mut self.progress, Progress::Pending) {
            Progress::Pending => Progress::Sent(None),
            // Usually the same value is returned again.
            Progress::Accepted(value) if is_new => Progress::Sent(Some(value)),
            progress => progress,
        };
    }

    /// Records the value that tor returned after it had accepted the settings. It is that of the
    /// settings if it is written in the same way, or if it was returned twice.
    fn returned(&mut self, value: &ConfValue) {
        if let Progress::Sent(last) = &self.progress {
            let is_certain = last.as_ref() == Some(value) || self.is_written_as(value);
            let value = value.clone();
            self.progress = match is_certain {
                true => Progress::Accepted(value),
                false => Progress::Sent(Some(value)),
            };
        }
    }

    fn is_written_as(&self, value: &ConfValue) -> bool {
        let settings = self.settings.iter().map(ConfSetting::value);
        settings.eq(value.values().iter().map(|value| Some(value.as_bytes())))
    }

    fn lines(&self) -> impl Iterator<Item = (&str, ConfSetting)> {
        self.settings.iter().map(|setting| (&*self.name, setting.clone()))
    }

    fn unrestored(&self, error: Error) -> UnrestoredPart {
        UnrestoredPart { part: SupervisedPart::Option(self.name.clone()), error }
    }
}

/// The values of options, by the names that the program uses.
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
        kept.options.is_empty() && kept.client_auths.is_empty()
    }

    /// Waits until no other thread sends settings. An error reports `limit`.
    pub(super) fn lock(
        &self,
        command: &str,
        deadline: Instant,
        limit: Duration,
    ) -> Result<ReentrantMutexGuard<'_, ()>> {
        let guard = self.sending.try_lock_until(deadline);
        guard.ok_or_else(|| Timeout::new(Wait::Reply(command.into()), limit).into())
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
        let mut recorded: Vec<WantedOption> = Vec::new();
        for (name, setting) in settings {
            match recorded.iter_mut().find(|option| option.name.eq_ignore_ascii_case(name)) {
                Some(option) => option.settings.push(setting.clone()),
                None => {
                    let progress = if is_sent { Progress::Sent(None) } else { Progress::Pending };
                    let (name, settings) = (name.clone(), vec![setting.clone()]);
                    recorded.push(WantedOption { name, settings, progress });
                }
            }
        }
        for option in recorded {
            match kept.option(&option.name) {
                Some(known) => *known = option,
                None => kept.options.push(option),
            }
        }
    }

    /// Forgets an option. Returns whether it was recorded.
    pub(super) fn forget(&self, name: &str) -> bool {
        let mut kept = self.kept.lock();
        let before = kept.options.len();
        kept.options.retain(|option| !option.name.eq_ignore_ascii_case(name));
        kept.options.len() < before
    }

    pub(super) fn record_client_auth(&self, key: &OnionClientAuthAdd) {
        let mut kept = self.kept.lock();
        kept.client_auths.retain(|known| known.service() != key.service());
        kept.client_auths.push(key.clone());
    }

    /// Forgets a key. Returns whether it was recorded.
    pub(super) fn forget_client_auth(&self, service: OnionAddress) -> bool {
        let mut kept = self.kept.lock();
        let before = kept.client_auths.len();
        kept.client_auths.retain(|known| known.service() != service);
        kept.client_auths.len() < before
    }

    fn options(&self, is_wanted: impl Fn(&WantedOption) -> bool) -> Vec<WantedOption> {
        self.kept.lock().options.iter().filter(|option| is_wanted(option)).cloned().collect()
    }

    /// Reads the values of options that tor has just accepted, for later comparisons. Sets and reads
    /// those again that tor writes in another way.
    pub(super) fn settle(&self, controller: &Controller, deadline: Instant) -> Result<()> {
        for is_repeated in [false, true] {
            let unsettled = self.options(|option| matches!(option.progress, Progress::Sent(_)));
            if unsettled.is_empty() {
                return Ok(());
            }
            if is_repeated {
                match self.set(controller, &unsettled, false, deadline) {
                    // tor has accepted them before. The next check tries each again.
                    Err(error) if is_refusal(&error) => return Ok(()),
                    outcome => outcome?,
                }
            }
            let values = query(controller, &unsettled, deadline)?;
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
    /// it, each in its own. On a connection that is not new, [`IfChanged::Report`] only reports
    /// those that others have changed.
    pub(super) fn restore_options(
        &self,
        controller: &Controller,
        is_new: bool,
        if_changed: IfChanged,
        deadline: Instant,
    ) -> Result<RestoredOptions> {
        let mut restored = RestoredOptions::default();
        let options = self.options(|_| true);
        if options.is_empty() {
            return Ok(restored);
        }
        let values = query(controller, &options, deadline)?;
        let is_changed = |option: &WantedOption| match &option.progress {
            Progress::Accepted(value) => {
                values.get(&option.name).is_some_and(|found| found != value)
            }
            Progress::Pending | Progress::Sent(_) => false,
        };
        let (mut changed, others): (Vec<_>, Vec<_>) = options.into_iter().partition(is_changed);
        if if_changed == IfChanged::Report && !is_new {
            let error = Error::from(SupervisorError::new(SupervisorProblem::Changed));
            let reported = changed.drain(..).map(|option| option.unrestored(error.clone()));
            restored.unrestored.extend(reported);
        }
        restored.has_corrected = !changed.is_empty() && !is_new;
        let mut wanted = changed;
        wanted.extend(others.into_iter().filter(|option| match &option.progress {
            Progress::Pending => true,
            // A filter refuses the query, so that only a new connection needs them.
            _ if !values.contains_key(&option.name) => is_new,
            Progress::Sent(_) => true,
            Progress::Accepted(_) => false,
        }));
        if wanted.is_empty() {
            return Ok(restored);
        }
        match self.set(controller, &wanted, is_new, deadline) {
            Err(error) if is_refusal(&error) => {
                for option in &wanted {
                    match self.set(controller, std::slice::from_ref(option), is_new, deadline) {
                        Err(error) if is_refusal(&error) => {
                            restored.unrestored.push(option.unrestored(error));
                        }
                        outcome => outcome?,
                    }
                }
            }
            outcome => outcome?,
        }
        self.settle(controller, deadline)?;
        Ok(restored)
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

    /// Adds the client authorization keys that tor does not have. tor 0.4.9 forgets all keys that are
    /// not permanent at each `SETCONF` and at each reload.
    pub(super) fn restore_client_auths(
        &self,
        controller: &Controller,
        deadline: Instant,
    ) -> Result<Vec<UnrestoredPart>> {
        let mut unrestored = Vec::new();
        let wanted = self.kept.lock().client_auths.clone();
        if wanted.is_empty() {
            return Ok(unrestored);
        }
        let present = match controller.execute_before(&OnionClientAuthView::new(), deadline) {
            // A filter may refuse the query, and the key of another program may not be readable.
            // tor replaces a key that it has by the same key.
            Err(error) if is_refusal(&error) => Vec::new(),
            present => present?.0,
        };
        let is_present = |key: &&OnionClientAuthAdd| present.iter().any(|found| key.is(found));
        for key in wanted.iter().filter(|key| !is_present(key)) {
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
        self.options.iter_mut().find(|option| option.name.eq_ignore_ascii_case(name))
    }
}

/// Returns the values of options, without those that tor or a filter refuses to return: all in one
/// query; if tor refuses it, each in its own.
fn query(controller: &Controller, options: &[WantedOption], deadline: Instant) -> Result<Values> {
    let command = GetConf::new(options.iter().map(|option| &*option.name));
    let name = |option: &WantedOption| option.name.clone();
    match controller.execute_before(&command, deadline) {
        Ok((conf, _)) => {
            let found = options.iter().filter_map(|option| {
                conf.get(&option.name).map(|value| (name(option), value.clone()))
            });
            Ok(found.collect())
        }
        Err(error) if error.is_filtered() => Ok(Values::new()),
        // One of the names is unknown, or tor calls an option by another name.
        Err(error) if is_refusal(&error) => {
            let mut values = Values::new();
            for option in options {
                let command = QueryByAnyName(&option.name);
                let value = if_allowed(controller.execute_before(&command, deadline))?;
                values.extend(value.map(|(value, _)| (name(option), value)));
            }
            Ok(values)
        }
        Err(error) => Err(error),
    }
}

/// `GETCONF` with one name, which can be a former name of the option.
struct QueryByAnyName<'a>(&'a str);

impl Command for QueryByAnyName<'_> {
    type Reply = ConfValue;

    const KEYWORD: &'static str = "GETCONF";

    fn request(&self) -> Result<crate::wire::Request, crate::error::InvalidInput> {
        GetConf::new([self.0]).request()
    }

    fn reply(&self, reply: Reply) -> Result<ConfValue> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let value = |line: crate::wire::ReplyLine<'_>| {
            let text = String::from_utf8_lossy(line.bytes()).into_owned();
            text.split_once('=').map(|(_, value)| value.to_owned())
        };
        let values: Option<Vec<_>> = reply.lines().map(value).collect();
        Ok(values.map_or(ConfValue::Default, ConfValue::Set))
    }
}

/// Returns whether tor refuses a command, or torcon does: the connection goes on.
fn is_refusal(error: &Error) -> bool {
    error.status_code().is_some() || matches!(error, Error::InvalidInput(_) | Error::Protocol(_))
}

#[cfg(test)]
mod tests;
