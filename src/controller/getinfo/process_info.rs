//! tor as a program: its version, its process, its clock, and what went through it.

use std::time::Duration;

use crate::controller::Controller;
use crate::error::Result;
use crate::event::BwEvent;
use crate::info::{CurrentTime, ProcessInfo, Traffic};
use crate::names::TorVersion;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns tor's version, with what its build adds to it, such as ` (git-f1d4ba3)`.
    ///
    /// [`version`](Self::version) has it without asking, as `PROTOCOLINFO` told it.
    ///
    /// Sends `GETINFO version`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn full_version(&self) -> Result<TorVersion> {
        self.read_info("version", |version| {
            Ok(TorVersion::from_text(&String::from_utf8_lossy(version)))
        })
    }

    /// Returns what tor knows of itself as a process: its pid, its user, and how many sockets it may
    /// have open.
    ///
    /// Sends `GETINFO process/pid process/uid process/user process/descriptor-limit`. Blocks for at
    /// most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let process = controller.process_info()?;
    /// println!("tor has pid {} and runs as {:?}", process.pid, process.user);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_user")]
    #[doc(alias = "get_pid")]
    pub fn process_info(&self) -> Result<ProcessInfo> {
        self.read_infos(ProcessInfo::KEYS, ProcessInfo::read)
    }

    /// Returns for how long tor has been running, in whole seconds.
    ///
    /// Sends `GETINFO uptime`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`process_info`](Self::process_info).
    #[doc(alias = "get_uptime")]
    pub fn uptime(&self) -> Result<Duration> {
        self.read_infos(&["uptime"], |answers| answers.number("uptime").map(Duration::from_secs))
    }

    /// Returns what the clock of tor's machine says, and its time zone.
    ///
    /// Sends `GETINFO current-time/utc current-time/local`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`process_info`](Self::process_info).
    pub fn current_time(&self) -> Result<CurrentTime> {
        self.read_infos(CurrentTime::KEYS, CurrentTime::read)
    }

    /// Returns how many bytes went through tor since it was started.
    ///
    /// Sends `GETINFO traffic/read traffic/written`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`process_info`](Self::process_info).
    pub fn traffic(&self) -> Result<Traffic> {
        self.read_infos(Traffic::KEYS, Traffic::read)
    }

    /// Returns the newest `BW` events, at most 300, from the oldest to the newest.
    ///
    /// There is one for each second in which somebody listened to such events, through this or
    /// another connection. tor keeps none of the others.
    ///
    /// Sends `GETINFO bw-event-cache`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`process_info`](Self::process_info).
    pub fn bw_event_cache(&self) -> Result<Vec<BwEvent>> {
        self.read_info("bw-event-cache", BwEvent::read_cache)
    }

    /// Returns how many bytes tor lets wait in its queues, before it closes circuits to get memory
    /// back: the option `MaxMemInQueues`, or what tor has chosen by itself.
    ///
    /// Sends `GETINFO limits/max-mem-in-queues`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`process_info`](Self::process_info).
    pub fn max_mem_in_queues(&self) -> Result<u64> {
        const KEY: &str = "limits/max-mem-in-queues";
        self.read_infos(&[KEY], |answers| answers.number(KEY))
    }
}
