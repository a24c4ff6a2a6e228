//! The onion services of tor's configuration: one more or one less, and the others as they were.
//!
//! tor replaces all of them at once, so they are read and said again, every line, under a lock that
//! all threads of this program share for one tor.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::directory::address_in;
use crate::command::{ConfMap, ConfSetting};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::link::deadline_after;
use crate::names::OnionAddress;

const DIRECTORY: &str = "HiddenServiceDir";
const ALL: &str = "HiddenServiceOptions";

/// What tor tells of itself, as a process.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Equal for all connections to one tor.
    key: String,
    /// The user that tor runs as, if it tells.
    pub(super) user: Option<u32>,
}

impl Identity {
    /// Asks tor. A filter in front of the control port may keep the answer back.
    pub(super) fn ask(controller: &Controller) -> Result<Self> {
        let answer = match controller.get_info(["process/pid", "process/uid"]) {
            Ok(answer) => answer,
            Err(Error::Rejected(_)) => {
                return Ok(Self { key: controller.endpoint().to_string(), user: None });
            }
            Err(error) => return Err(error),
        };
        let value = |key| answer.get(key).map(|value| value.trim().to_owned());
        let key = value("process/pid").filter(|pid| !pid.is_empty());
        let key = key.unwrap_or_else(|| controller.endpoint().to_string());
        Ok(Self { key, user: value("process/uid").and_then(|uid| uid.parse().ok()) })
    }
}

/// The lock of each tor whose services are being changed.
static LOCKS: Mutex<Option<HashMap<String, Weak<Mutex<()>>>>> = Mutex::new(None);

/// The right to change the services of one tor's configuration.
pub(super) struct Configuration(Arc<Mutex<()>>);

impl Configuration {
    pub(super) fn of(identity: &Identity) -> Self {
        let mut locks = LOCKS.lock();
        let locks = locks.get_or_insert_default();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&identity.key).and_then(Weak::upgrade) {
            return Self(lock);
        }
        let lock = Arc::default();
        locks.insert(identity.key.clone(), Arc::downgrade(&lock));
        Self(lock)
    }

    fn lock(&self, controller: &Controller) -> Result<MutexGuard<'_, ()>> {
        let limit = controller.timeout();
        let guard = self.0.try_lock_until(deadline_after(limit));
        Ok(guard.ok_or_else(|| Timeout::new(Wait::Reply("SETCONF".into()), limit))?)
    }

    /// Adds a service: its lines, of which the first names its directory.
    ///
    /// `address` is its address, if that is known before. tor would take two services of one
    /// address, and serve only one of them.
    pub(super) fn add(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[(String, Vec<u8>)],
        address: Option<OnionAddress>,
    ) -> Result<()> {
        let _lock = self.lock(controller)?;
        let mut services = Services::read(controller)?;
        for other in services.directories() {
            if is_same(&other, directory) {
                let path = directory.to_owned();
                return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
            }
            if address.is_some() && address_in(&other) == address {
                return Err(in_use(address));
            }
        }
        if address.is_some_and(|address| is_ephemeral(controller, &address)) {
            return Err(in_use(address));
        }
        services.lines.extend_from_slice(lines);
        services.write(controller)
    }

    /// Removes the service of a directory. Returns whether it was there.
    pub(super) fn remove(&self, controller: &Controller, directory: &Path) -> Result<bool> {
        let _lock = self.lock(controller)?;
        let services = Services::read(controller)?;
        let (removed, kept) = services.without(|other| is_same(other, directory));
        if removed {
            kept.write(controller)?;
        }
        Ok(removed)
    }
}

fn in_use(address: Option<OnionAddress>) -> Error {
    match address {
        Some(address) => OnionError::new(OnionProblem::AddressInUse { address }).into(),
        None => OnionError::new(OnionProblem::Closed).into(),
    }
}

/// Whether an ephemeral service that this connection may see has the address.
fn is_ephemeral(controller: &Controller, address: &OnionAddress) -> bool {
    let [current, detached] = [controller.onions(), controller.detached_onions()];
    [current, detached].iter().flatten().flatten().any(|other| other == address)
}

/// Every line of the services of tor's configuration, in order.
#[derive(Debug, Default)]
struct Services {
    lines: Vec<(String, Vec<u8>)>,
}

impl Services {
    fn read(controller: &Controller) -> Result<Self> {
        Ok(Self::from_conf(&controller.get_conf([ALL])?))
    }

    fn from_conf(conf: &ConfMap) -> Self {
        let lines = conf.lines().filter_map(|(name, value)| Some((name, value?)));
        Self { lines: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    fn write(&self, controller: &Controller) -> Result<()> {
        if self.lines.is_empty() {
            return controller.set_conf([(DIRECTORY, ConfSetting::clear())]);
        }
        controller.set_conf(self.lines.iter().map(|(name, value)| (name, value.as_slice())))
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let lines = self.lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(DIRECTORY));
        lines.map(|(_, value)| PathBuf::from(std::ffi::OsString::from_vec(value.clone())))
    }

    /// Leaves out the services whose directory is meant. A service begins with its directory.
    fn without(self, is_meant: impl Fn(&Path) -> bool) -> (bool, Self) {
        let (mut removed, mut leaving) = (false, false);
        let mut kept = Self::default();
        for (name, value) in self.lines {
            if name.eq_ignore_ascii_case(DIRECTORY) {
                leaving = is_meant(Path::new(OsStr::from_bytes(&value)));
                removed |= leaving;
            }
            if !leaving {
                kept.lines.push((name, value));
            }
        }
        (removed, kept)
    }
}

/// Whether two paths are of one directory, whatever links lead there.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Services;

    fn services(lines: &[(&str, &str)]) -> Services {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Services { lines: lines.iter().map(owned).collect() }
    }

    #[test]
    fn a_service_leaves_with_all_its_lines_and_the_others_keep_theirs() {
        let first = [("HiddenServiceDir", "/a"), ("HiddenServicePort", "80")];
        let second = [
            ("HiddenServiceDir", "/b b"),
            ("HiddenServicePort", "80 unix:\"/x y\""),
            ("HiddenServicePort", "81"),
            ("HiddenServiceNovelty", "1"),
        ];
        let third = [("HiddenServiceDir", "/c"), ("HiddenServiceNovelty", "2")];
        let all = [&first[..], &second, &third].concat();
        let (removed, kept) = services(&all).without(|path| path == Path::new("/b b"));
        assert!(removed);
        assert_eq!(kept.lines, services(&[&first[..], &third].concat()).lines);
        let (removed, kept) = services(&all).without(|path| path == Path::new("/d"));
        assert!(!removed);
        assert_eq!(kept.lines, services(&all).lines);
    }
}
