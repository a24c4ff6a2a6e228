//! The tor that a configuration belongs to: what is asked of it, and when.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::changes::{Cache, lines_of};
use super::rewrite_lock::{Identity, RewriteLock};
use super::schema::{Schema, TorOption};
use super::services::ConfiguredLine;
use crate::command::{ConfMap, GetConf};
use crate::controller::{Controller, HookGuard};
use crate::error::{Error, InvalidInput, Result};
use crate::event::EventKind;
use crate::link::lock_within;

/// A tor and what is known of its configuration.
pub(super) struct TorBackend {
    controller: Controller,
    cache: Arc<Cache>,
    /// The subscription. Held while it is made and tor names its options.
    watch: Mutex<Option<HookGuard>>,
    /// Whether changes are reported. A filter in front of tor may refuse the event; nothing is
    /// cached then.
    is_followed: AtomicBool,
    defaults: OnceLock<Defaults>,
    rewrite_lock: OnceLock<RewriteLock>,
}

impl TorBackend {
    pub(super) fn new(controller: Controller) -> Self {
        Self {
            controller,
            cache: Arc::default(),
            watch: Mutex::default(),
            is_followed: AtomicBool::new(false),
            defaults: OnceLock::new(),
            rewrite_lock: OnceLock::new(),
        }
    }

    pub(super) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns the options of this tor. The first time it subscribes, then asks.
    pub(super) fn schema(&self) -> Result<&Schema> {
        if let Some(schema) = self.cache.schema.get() {
            return Ok(schema);
        }
        let limit = self.controller.timeout();
        let mut watch = lock_within(&self.watch, "GETINFO", limit)?;
        if watch.is_none() {
            match self.controller.hook(&[EventKind::ConfChanged], self.cache.clone()) {
                Ok(hook) => {
                    *watch = Some(hook);
                    self.is_followed.store(true, Ordering::Release);
                }
                Err(Error::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // Somebody else may have asked meanwhile.
        if let Some(schema) = self.cache.schema.get() {
            return Ok(schema);
        }
        let schema = match self.controller.config_names() {
            Ok(names) => Schema::of_tor(&names),
            Err(Error::Rejected(_)) => Schema::known(),
            Err(error) => return Err(error),
        };
        Ok(self.cache.schema.get_or_init(|| schema))
    }

    /// Returns the lines of a group, from tor if they are not cached.
    pub(super) fn group(&self, group: &Arc<str>) -> Result<Arc<[ConfiguredLine]>> {
        let groups = self.groups(&[group])?;
        Ok(groups.into_iter().next().unwrap_or_else(|| Arc::new([])))
    }

    /// Returns the lines of several groups in their order. Asks tor at once for all that are not
    /// cached.
    pub(super) fn groups(&self, groups: &[&Arc<str>]) -> Result<Vec<Arc<[ConfiguredLine]>>> {
        self.read(groups, |epoch, group| {
            let is_followed = self.is_followed.load(Ordering::Acquire);
            is_followed.then(|| self.cache.group(epoch, group)).flatten()
        })
    }

    /// Returns the lines that several groups have in tor now, in their order.
    pub(super) fn groups_now(&self, groups: &[&Arc<str>]) -> Result<Vec<Arc<[ConfiguredLine]>>> {
        self.read(groups, |_, _| None)
    }

    fn read(
        &self,
        groups: &[&Arc<str>],
        cached: impl Fn(u64, &Arc<str>) -> Option<Arc<[ConfiguredLine]>>,
    ) -> Result<Vec<Arc<[ConfiguredLine]>>> {
        let schema = self.schema()?;
        if let Some(reason) = self.controller.closed_reason() {
            // The cache may be stale, and no event will come.
            return Err(reason.into());
        }
        let epoch = self.controller.conf_epoch();
        let groups: Vec<_> = groups.iter().map(|group| (*group, cached(epoch, group))).collect();
        let unknown = || groups.iter().filter(|(_, known)| known.is_none()).map(|(group, _)| group);
        if unknown().next().is_none() {
            return Ok(groups.into_iter().filter_map(|(_, known)| known).collect());
        }
        let command = GetConf::new(unknown());
        let (answer, events_before) = self.controller.execute_sequenced(&command)?;
        let lines = groups.iter().map(|(group, known)| match known {
            Some(lines) => Arc::clone(lines),
            None => {
                let lines = lines_of(&answer, schema, group);
                self.cache.answer(epoch, events_before, group, &lines);
                lines
            }
        });
        Ok(lines.collect())
    }

    /// Returns tor's defaults, for which it is asked once.
    pub(super) fn defaults(&self) -> Result<&Defaults> {
        if let Some(defaults) = self.defaults.get() {
            return Ok(defaults);
        }
        let defaults = self.controller.config_defaults()?;
        Ok(self.defaults.get_or_init(|| Defaults(defaults)))
    }

    /// Returns the lock of whoever rewrites a part of this tor's configuration.
    pub(super) fn rewrite_lock(&self) -> Result<&RewriteLock> {
        if let Some(lock) = self.rewrite_lock.get() {
            return Ok(lock);
        }
        let lock = RewriteLock::of(&Identity::ask(&self.controller)?);
        Ok(self.rewrite_lock.get_or_init(|| lock))
    }
}

/// What is said where there is no tor.
pub(super) fn no_tor() -> InvalidInput {
    InvalidInput::new("config", "belongs to no tor")
}

/// The defaults of tor's options.
#[derive(Debug)]
pub(super) struct Defaults(ConfMap);

impl Defaults {
    /// Returns the lines of an option; `None` if by default it is not set.
    pub(super) fn lines(&self, option: &TorOption) -> Option<Vec<Vec<u8>>> {
        let own = self.0.lines().filter(|(name, _)| name.eq_ignore_ascii_case(&option.name));
        let lines: Vec<_> = own.filter_map(|(_, value)| value.map(<[u8]>::to_vec)).collect();
        (!lines.is_empty()).then_some(lines)
    }
}
