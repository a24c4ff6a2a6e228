//! The right to rewrite a part of one tor's configuration: between reading a list, or all onion
//! services, and setting all of it again, no other thread or program of this library may.

use std::collections::HashMap;
#[cfg(target_os = "linux")]
use std::io;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Weak};
#[cfg(target_os = "linux")]
use std::thread;
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use crate::controller::Controller;
use crate::error::{Error, Result};
#[cfg(target_os = "linux")]
use crate::link::deadline_after;
use crate::link::lock_within;

/// What tor tells of itself, as a process.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Equal for all connections to one tor.
    key: String,
    /// The user that tor runs as, if it tells.
    pub(crate) user: Option<u32>,
}

impl Identity {
    /// Asks tor. A filter in front of the control port may keep the answer back.
    pub(crate) fn ask(controller: &Controller) -> Result<Self> {
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

    /// Returns the process that tor is, in its own namespace, if it tells.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.key.parse().ok().filter(|pid| *pid > 0)
    }
}

/// The lock of each tor whose configuration is being rewritten.
static LOCKS: Mutex<Option<HashMap<String, Weak<Mutex<()>>>>> = Mutex::new(None);

/// The lock of one tor.
#[derive(Debug)]
pub(crate) struct RewriteLock {
    key: String,
    lock: Arc<Mutex<()>>,
}

impl RewriteLock {
    pub(crate) fn of(identity: &Identity) -> Self {
        let mut locks = LOCKS.lock();
        let locks = locks.get_or_insert_default();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&identity.key).and_then(Weak::upgrade) {
            return Self { key: identity.key.clone(), lock };
        }
        let lock = Arc::default();
        locks.insert(identity.key.clone(), Arc::downgrade(&lock));
        Self { key: identity.key.clone(), lock }
    }

    /// Takes the lock, within the time limit of the controller. Other programs that use this
    /// library on the same tor are kept out too, where the operating system allows it.
    pub(crate) fn lock(&self, controller: &Controller) -> Result<RewriteGuard<'_>> {
        let lock = lock_within(&self.lock, "SETCONF", controller.timeout())?;
        let among_programs = ProgramLock::take(&self.key, controller.timeout());
        Ok(RewriteGuard { _lock: lock, _among_programs: among_programs })
    }
}

/// The right to rewrite, until it is dropped.
#[derive(Debug)]
pub(crate) struct RewriteGuard<'a> {
    _lock: MutexGuard<'a, ()>,
    _among_programs: Option<ProgramLock>,
}

/// A name that one program of this machine can have at a time, whatever user it runs as: that of a
/// socket in the abstract namespace, which ends with the program and leaves no file.
#[derive(Debug)]
struct ProgramLock(#[expect(dead_code, reason = "it is held and not looked at")] UnixListener);

impl ProgramLock {
    /// How long another program is waited for: it exchanges three commands with tor, or does harm.
    const LIMIT: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(5);

    /// Takes the name. Returns `None` if that is impossible or takes too long: the lock is a
    /// courtesy, and each program notices if it loses a service.
    #[cfg(target_os = "linux")]
    fn take(key: &str, limit: Duration) -> Option<Self> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;

        let name = format!("torcon-rewrite-{key}");
        let address = SocketAddr::from_abstract_name(name).ok()?;
        let deadline = deadline_after(limit.min(Self::LIMIT));
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Some(Self(listener)),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => return None,
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => thread::sleep(Self::PAUSE),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn take(_key: &str, _limit: Duration) -> Option<Self> {
        None
    }
}
