//! The tor that a configuration belongs to: its options, their values and their defaults.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::cache::{Cache, lines_of_group};
use super::rewrite_lock::{Identity, RewriteLock};
use super::schema::{Schema, TorOption, known_schema};
use super::service_lines::ConfiguredLine;
use crate::clock;
use crate::command::{ConfMap, GetConf};
use crate::controller::{Controller, HookGuard, if_allowed};
use crate::error::{InvalidInput, Result};
use crate::event::EventKind;
use crate::link::CommandLock;

/// Where a configuration reads its options.
pub(super) enum Backend {
    Tor(Box<TorBackend>),
    Offline,
}

/// Whether a cached value may be returned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Cached,
    /// Another connection may have changed the value, and its event may not have arrived yet.
    Now,
}

impl Backend {
    /// Returns the end of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Tor(tor) => tor.deadline(),
            Self::Offline => clock::now(),
        }
    }

    pub(super) fn schema(&self) -> Result<&Schema> {
        self.schema_before(self.deadline())
    }

    pub(super) fn schema_before(&self, deadline: Instant) -> Result<&Schema> {
        match self {
            Self::Tor(tor) => tor.schema(deadline),
            Self::Offline => Ok(known_schema()),
        }
    }

    pub(super) fn tor(&self) -> Result<&TorBackend, InvalidInput> {
        match self {
            Self::Tor(tor) => Ok(tor),
            Self::Offline => Err(InvalidInput::new("config", "belongs to no tor")),
        }
    }

    /// Returns the lines of a group; offline, none.
    pub(super) fn group(
        &self,
        group: &Arc<str>,
        read: Read,
        deadline: Instant,
    ) -> Result<Arc<[ConfiguredLine]>> {
        let groups = match self {
            Self::Tor(tor) => tor.groups(&[group], read, deadline)?,
            Self::Offline => Vec::new(),
        };
        Ok(groups.into_iter().next().unwrap_or_default())
    }
}

/// A tor and the part of its configuration that was read.
pub(super) struct TorBackend {
    controller: Controller,
    cache: Arc<Cache>,
    /// The subscription to `CONF_CHANGED`. Locked while it is made and tor names its options.
    hook: CommandLock<Option<HookGuard>>,
    /// Whether tor reports changes. If a filtering proxy refuses the event, nothing is cached.
    is_subscribed: AtomicBool,
    defaults: OnceLock<Defaults>,
    rewrite_lock: OnceLock<RewriteLock>,
}

impl TorBackend {
    pub(super) fn new(controller: Controller) -> Self {
        Self {
            controller,
            cache: Arc::default(),
            hook: CommandLock::default(),
            is_subscribed: AtomicBool::new(false),
            defaults: OnceLock::new(),
            rewrite_lock: OnceLock::new(),
        }
    }

    pub(super) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns the end of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        self.controller.deadline()
    }

    /// Returns the options of this tor. The first call subscribes, then reads them.
    fn schema(&self, deadline: Instant) -> Result<&Schema> {
        if let Some(schema) = self.cache.schema.get() {
            return Ok(schema);
        }
        let limit = self.controller.timeout();
        let mut hook = self.hook.lock_before("GETINFO", deadline, limit)?;
        if hook.is_none() {
            let (kinds, cache) = (&[EventKind::ConfChanged], Arc::clone(&self.cache));
            *hook = if_allowed(self.controller.hook_before(kinds, cache, deadline))?;
            self.is_subscribed.store(hook.is_some(), Ordering::Release);
        }
        // Another thread may have read them while this one waited for the lock.
        if let Some(schema) = self.cache.schema.get() {
            return Ok(schema);
        }
        let names = if_allowed(self.controller.with_deadline(deadline).config_names())?;
        let schema = names.map_or_else(Schema::known, |names| Schema::of_tor(&names));
        Ok(self.cache.schema.get_or_init(|| schema))
    }

    /// Returns the lines of several groups, in order. One `GETCONF` reads all that are not cached.
    pub(super) fn groups(
        &self,
        groups: &[&Arc<str>],
        read: Read,
        deadline: Instant,
    ) -> Result<Vec<Arc<[ConfiguredLine]>>> {
        let schema = self.schema(deadline)?;
        if let Some(reason) = self.controller.closed_reason() {
            // No event reports changes any more, so the cache may be stale.
            return Err(reason.into());
        }
        let epoch = self.controller.conf_epoch();
        let cached = |group: &Arc<str>| match read {
            Read::Cached if self.is_subscribed.load(Ordering::Acquire) => {
                self.cache.group(epoch, group)
            }
            Read::Cached | Read::Now => None,
        };
        let groups: Vec<_> = groups.iter().map(|group| (*group, cached(group))).collect();
        let missing: Vec<_> =
            groups.iter().filter(|(_, lines)| lines.is_none()).map(|(group, _)| group).collect();
        if missing.is_empty() {
            return Ok(groups.into_iter().filter_map(|(_, lines)| lines).collect());
        }
        let command = GetConf::new(missing);
        let (reply, events_before) = self.controller.execute_before(&command, deadline)?;
        let lines = groups.into_iter().map(|(group, lines)| {
            lines.unwrap_or_else(|| {
                let lines = lines_of_group(&reply, schema, group);
                self.cache.insert(epoch, events_before, group, &lines);
                lines
            })
        });
        Ok(lines.collect())
    }

    /// Returns tor's defaults, which are read once.
    pub(super) fn defaults(&self, deadline: Instant) -> Result<&Defaults> {
        if let Some(defaults) = self.defaults.get() {
            return Ok(defaults);
        }
        let defaults = self.controller.with_deadline(deadline).config_defaults()?;
        Ok(self.defaults.get_or_init(|| Defaults(defaults)))
    }

    pub(super) fn rewrite_lock(&self) -> Result<&RewriteLock> {
        if let Some(lock) = self.rewrite_lock.get() {
            return Ok(lock);
        }
        let lock = RewriteLock::of(&Identity::read(&self.controller)?);
        Ok(self.rewrite_lock.get_or_init(|| lock))
    }
}

/// The defaults of tor's options.
#[derive(Debug)]
pub(super) struct Defaults(ConfMap);

impl Defaults {
    /// Returns the lines of an option, or `None` if it is not set by default.
    pub(super) fn lines(&self, option: &TorOption) -> Option<Vec<Vec<u8>>> {
        let own = self.0.lines().filter(|(name, _)| name.eq_ignore_ascii_case(&option.name));
        let lines: Vec<_> = own.filter_map(|(_, value)| value.map(<[u8]>::to_vec)).collect();
        (!lines.is_empty()).then_some(lines)
    }
}
