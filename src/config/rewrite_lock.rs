//! A lock for the configuration of one tor.
//!
//! A list, or all onion services, can only be read and then set as a whole. Between the two
//! commands no other thread and no other program of this library may do the same.

use std::os::unix::net::UnixListener;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::service_lines::ServiceLines;
use crate::controller::{Controller, if_allowed};
use crate::error::Result;
use crate::link::{CommandGuard, CommandLock};
use crate::sync::Mutex;

/// The process of a tor, as `GETINFO` reports it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Equal for all connections to one tor.
    key: String,
    /// The user that tor runs as, if it is known.
    pub(crate) user: Option<u32>,
}

impl Identity {
    /// Sends `GETINFO process/pid process/uid`. If a filtering proxy refuses it, the address of the
    /// control port stands for the process.
    pub(crate) fn read(controller: &Controller) -> Result<Self> {
        let info = if_allowed(controller.get_info(["process/pid", "process/uid"]))?;
        let value = |key| Some(info.as_ref()?.get(key)?.trim().to_owned());
        let key = value("process/pid").filter(|pid| !pid.is_empty());
        let key = key.unwrap_or_else(|| controller.endpoint().to_string());
        Ok(Self { key, user: value("process/uid").and_then(|uid| uid.parse().ok()) })
    }

    /// Returns tor's process id in its own namespace, if it is known.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.key.parse().ok().filter(|pid| *pid > 0)
    }
}

/// The lock of each tor that this program uses.
static LOCKS: Mutex<Vec<(String, Weak<CommandLock<()>>)>> = Mutex::new(Vec::new());

/// The lock of one tor.
#[derive(Debug)]
pub(crate) struct RewriteLock {
    key: String,
    lock: Arc<CommandLock<()>>,
}

impl RewriteLock {
    pub(crate) fn of(identity: &Identity) -> Self {
        let key = identity.key.clone();
        let mut locks = LOCKS.lock();
        locks.retain(|(_, lock)| lock.strong_count() > 0);
        let known = locks.iter().find(|(known, _)| *known == key);
        let lock = known.and_then(|(_, lock)| lock.upgrade()).unwrap_or_else(|| {
            let lock = Arc::default();
            locks.push((key.clone(), Arc::downgrade(&lock)));
            lock
        });
        Self { key, lock }
    }

    /// Locks within the time limit of the controller.
    ///
    /// The lock against other programs is best effort, since a program notices if another one
    /// overwrote its service: only Linux has it, and the wait for it ends after five seconds.
    pub(crate) fn lock<'a>(&'a self, controller: &'a Controller) -> Result<RewriteGuard<'a>> {
        let limit = controller.timeout();
        let lock = self.lock.lock_within("SETCONF", limit)?;
        let among_programs = lock_among_programs(&self.key, limit);
        Ok(RewriteGuard { controller, _lock: lock, _among_programs: among_programs })
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct RewriteGuard<'a> {
    controller: &'a Controller,
    _lock: CommandGuard<'a, ()>,
    _among_programs: Option<UnixListener>,
}

impl RewriteGuard<'_> {
    /// Reads the onion services with `GETCONF`, and sets all of them with one `SETCONF` if `edit`
    /// returns true.
    pub(crate) fn rewrite_services(
        &self,
        edit: impl FnOnce(&mut ServiceLines) -> Result<bool>,
    ) -> Result<()> {
        let mut services = ServiceLines::read(self.controller)?;
        if edit(&mut services)? {
            self.controller.set_conf(services.settings())?;
        }
        Ok(())
    }
}

/// Binds a socket in the abstract namespace, whose name one program of this machine can have at a
/// time, of any user. It leaves no file, and the kernel frees it when the program ends.
#[cfg(target_os = "linux")]
fn lock_among_programs(key: &str, limit: Duration) -> Option<UnixListener> {
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use crate::clock::{self, deadline_after};

    /// Another program holds the lock for two or three commands.
    const LIMIT: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(5);

    let address = SocketAddr::from_abstract_name(format!("torcon-rewrite-{key}")).ok()?;
    let deadline = deadline_after(limit.min(LIMIT));
    loop {
        match UnixListener::bind_addr(&address) {
            Ok(listener) => return Some(listener),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => return None,
            Err(_) if clock::has_passed(deadline) => return None,
            Err(_) => clock::sleep(PAUSE),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn lock_among_programs(_key: &str, _limit: Duration) -> Option<UnixListener> {
    None
}
