//! The options and the client authorization keys that a supervisor restores.

use std::sync::Arc;
use std::time::Instant;

use super::options::IfChanged;
use super::shared::Shared;
use super::status::{SupervisedPart, UnrestoredPart};
use crate::command::{
    ConfMap, ConfSetting, ConfValue, GetConf, OnionClientAuthAdd, OnionClientAuthView, SetConf,
};
use crate::controller::{Controller, HookGuard, Seen, if_allowed};
use crate::error::{Error, Result, SupervisorError, SupervisorProblem};
use crate::event::EventKind;
use crate::names::OnionAddress;

/// What a supervisor has set in tor.
#[derive(Default)]
pub(super) struct Settings {
    /// In the order in which they were set.
    options: Vec<WantedOption>,
    client_auths: Vec<OnionClientAuthAdd>,
    /// The connection on which changes are watched, and its hook, unless a filter refuses the events.
    pub(super) watch: Option<(u64, Option<HookGuard>)>,
}

struct WantedOption {
    name: Box<str>,
    /// All lines of the option.
    settings: Vec<ConfSetting>,
    progress: Progress,
}

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
    /// Records that a tor has accepted the settings.
    fn sent(&mut self) {
        self.progress = match std::mem::replace(&mut self.progress, Progress::Pending) {
            Progress::Pending => Progress::Sent(None),
            // Usually the same value is returned again.
            Progress::Accepted(value) => Progress::Sent(Some(value)),
            sent @ Progress::Sent(_) => sent,
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
}

impl Settings {
    pub(super) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.client_auths.is_empty()
    }

    /// Watches changes of the configuration on a connection, unless that is done. The event `SIGNAL`
    /// reports a reload that changes no option.
    pub(super) fn watch(
        &mut self,
        shared: &Arc<Shared>,
        controller: &Controller,
        generation: u64,
        deadline: Instant,
    ) -> Result<()> {
        if self.watch.as_ref().is_some_and(|(watched, _)| *watched == generation) {
            return Ok(());
        }
        let shared = Arc::downgrade(shared);
        let see = move |seen: Seen<'_>| {
            if let (Seen::Event(_), Some(shared)) = (seen, shared.upgrade()) {
                shared.add_task(|_, tasks| tasks.conf_changed = true);
            }
        };
        let kinds = [EventKind::ConfChanged, EventKind::Signal];
        let hook = controller.watch_events_before(&kinds, see, deadline);
        self.watch = Some((generation, if_allowed(hook)?));
        Ok(())
    }

    /// Records options that tor has accepted (`is_sent`), or that will be sent at the next
    /// connection.
    pub(super) fn record(&mut self, settings: Vec<(Box<str>, ConfSetting)>, is_sent: bool) {
        let mut recorded: Vec<WantedOption> = Vec::new();
        for (name, setting) in settings {
            match recorded.iter_mut().find(|option| option.name.eq_ignore_ascii_case(&name)) {
                Some(option) => option.settings.push(setting),
                None => {
                    let progress = if is_sent { Progress::Sent(None) } else { Progress::Pending };
                    recorded.push(WantedOption { name, settings: vec![setting], progress });
                }
            }
        }
        for option in recorded {
            match self.position(&option.name) {
                Some(index) => {
                    if let Some(known) = self.options.get_mut(index) {
                        *known = option;
                    }
                }
                None => self.options.push(option),
            }
        }
    }

    /// Forgets an option. Returns whether it was recorded.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let index = self.position(name);
        index.map(|index| self.options.remove(index)).is_some()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.options.iter().position(|option| option.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn record_client_auth(&mut self, key: &OnionClientAuthAdd) {
        self.client_auths.retain(|known| known.service() != key.service());
        self.client_auths.push(key.clone());
    }

    /// Forgets a key. Returns whether it was recorded.
    pub(super) fn forget_client_auth(&mut self, service: OnionAddress) -> bool {
        let before = self.client_auths.len();
        self.client_auths.retain(|known| known.service() != service);
        self.client_auths.len() < before
    }

    /// Reads the values of options that tor has just accepted, for later comparisons. Sets and reads
    /// those again that tor writes in another way.
    pub(super) fn settle(&mut self, controller: &Controller, deadline: Instant) -> Result<()> {
        for is_repeated in [false, true] {
            let is_sent = |option: &WantedOption| matches!(option.progress, Progress::Sent(_));
            let unsettled = self.indices(is_sent);
            if unsettled.is_empty() {
                return Ok(());
            }
            if is_repeated {
                self.set(controller, &unsettled, deadline)?;
            }
            let Some(conf) = self.query(controller, deadline)? else { return Ok(()) };
            for option in &mut self.options {
                if let Some(value) = conf.get(&option.name) {
                    option.returned(value);
                }
            }
        }
        // Another controller changes it at this moment; the next check continues.
        Ok(())
    }

    fn indices(&self, is_wanted: impl Fn(&WantedOption) -> bool) -> Vec<usize> {
        let options = self.options.iter().enumerate();
        options.filter(|(_, option)| is_wanted(option)).map(|(index, _)| index).collect()
    }

    /// Sets the options that tor does not have as they were set, all in one command; if tor refuses
    /// it, each in its own. On a connection that is not new, [`IfChanged::Report`] only reports
    /// them.
    pub(super) fn restore_options(
        &mut self,
        controller: &Controller,
        is_new: bool,
        if_changed: IfChanged,
        deadline: Instant,
    ) -> Result<Vec<UnrestoredPart>> {
        if self.options.is_empty() {
            return Ok(Vec::new());
        }
        let conf = self.query(controller, deadline)?;
        let differs = |option: &WantedOption| match (&conf, &option.progress) {
            (_, Progress::Pending) | (Some(_), Progress::Sent(_)) => true,
            (Some(conf), Progress::Accepted(value)) => conf.get(&option.name) != Some(value),
            // A filter refuses the query.
            (None, _) => is_new,
        };
        let differing = self.indices(differs);
        if differing.is_empty() {
            return Ok(Vec::new());
        }
        if if_changed == IfChanged::Report && !is_new {
            let changed = Error::from(SupervisorError::new(SupervisorProblem::Changed));
            let options = differing.iter().filter_map(|index| self.options.get(*index));
            return Ok(options.map(|option| unrestored_option(option, changed.clone())).collect());
        }
        let mut unrestored = Vec::new();
        match self.set(controller, &differing, deadline) {
            Err(error) if is_refusal(&error) => {
                for index in &differing {
                    match self.set(controller, std::slice::from_ref(index), deadline) {
                        Err(error) if is_refusal(&error) => {
                            unrestored.extend(
                                self.options.get(*index).map(|it| unrestored_option(it, error)),
                            );
                        }
                        outcome => outcome?,
                    }
                }
            }
            outcome => outcome?,
        }
        self.settle(controller, deadline)?;
        Ok(unrestored)
    }

    /// Sends `SETCONF` with the settings of some options.
    fn set(&mut self, controller: &Controller, indices: &[usize], deadline: Instant) -> Result<()> {
        let options = indices.iter().filter_map(|index| self.options.get(*index));
        let settings = options.flat_map(|option| {
            option.settings.iter().map(|setting| (&*option.name, setting.clone()))
        });
        controller.execute_before(&SetConf::new(settings), deadline)?;
        for index in indices {
            if let Some(option) = self.options.get_mut(*index) {
                option.sent();
            }
        }
        Ok(())
    }

    /// Returns the values of the options; `None` if tor or a filter refuses the query.
    fn query(&self, controller: &Controller, deadline: Instant) -> Result<Option<ConfMap>> {
        let command = GetConf::new(self.options.iter().map(|option| &*option.name));
        match if_allowed(controller.execute_before(&command, deadline)) {
            // The name of an option that tor calls by another name.
            Err(Error::Protocol(_)) => Ok(None),
            outcome => Ok(outcome?.map(|(conf, _)| conf)),
        }
    }

    /// Adds the client authorization keys that tor does not have. tor 0.4.9 forgets all keys that are
    /// not permanent at each `SETCONF` and at each reload.
    pub(super) fn restore_client_auths(
        &self,
        controller: &Controller,
        deadline: Instant,
    ) -> Result<Vec<UnrestoredPart>> {
        let mut unrestored = Vec::new();
        if self.client_auths.is_empty() {
            return Ok(unrestored);
        }
        // A filter may refuse the query: a key that tor has is replaced by itself.
        let present = controller.execute_before(&OnionClientAuthView::new(), deadline);
        let (present, _) = if_allowed(present)?.unwrap_or_default();
        let is_present = |key: &&OnionClientAuthAdd| present.iter().any(|found| key.is(found));
        for key in self.client_auths.iter().filter(|key| !is_present(key)) {
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

/// Returns whether tor refuses a command, or torcon does: the connection goes on.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.status_code().is_some() || matches!(error, Error::InvalidInput(_) | Error::Protocol(_))
}

fn unrestored_option(option: &WantedOption, error: Error) -> UnrestoredPart {
    UnrestoredPart { part: SupervisedPart::Option(option.name.clone()), error }
}
