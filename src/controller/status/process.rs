//! tor as a process: version, pid, clock, traffic, memory.

use std::time::Duration;

use crate::controller::Controller;
use crate::error::Result;
use crate::event::BwEvent;
use crate::info::{CurrentTime, ProcessInfo, Traffic};
use crate::names::TorVersion;

/// # The process of tor
impl Controller {
    /// Returns tor's version with the suffix of its build, such as ` (git-f1d4ba3)`.
    ///
    /// [`version`](Self::version) returns the version without a query.
    #[doc = sends!("GETINFO version")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.full_version()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn full_version(&self) -> Result<TorVersion> {
        self.read_info("version", |version| {
            Ok(TorVersion::from_text(&String::from_utf8_lossy(version)))
        })
    }

    /// Returns tor's pid, its user, and its limit of open sockets.
    #[doc = sends!("GETINFO process/pid process/uid process/user process/descriptor-limit")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let process = controller.process_info()?;
    /// println!("tor has pid {} and runs as {:?}", process.pid, process.user);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "process_from_address")]
    #[doc(alias = "get_user")]
    #[doc(alias = "get_pid")]
    pub fn process_info(&self) -> Result<ProcessInfo> {
        self.read_infos(ProcessInfo::KEYS, ProcessInfo::read)
    }

    /// Returns how long tor has been running, in whole seconds.
    #[doc = sends!("GETINFO uptime")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("up for {} s", controller.uptime()?.as_secs());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("connection_time", "get_start_time"))]
    #[doc(alias = "get_uptime")]
    pub fn uptime(&self) -> Result<Duration> {
        self.read_infos(&["uptime"], |answers| answers.number("uptime").map(Duration::from_secs))
    }

    /// Returns the time and the time zone of tor's machine.
    #[doc = sends!("GETINFO current-time/utc current-time/local")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.current_time()?.utc);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn current_time(&self) -> Result<CurrentTime> {
        self.read_infos(CurrentTime::KEYS, CurrentTime::read)
    }

    /// Returns the bytes that tor has read and written since it started.
    #[doc = sends!("GETINFO traffic/read traffic/written")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let traffic = controller.traffic()?;
    /// println!("{} bytes in, {} out", traffic.read, traffic.written);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn traffic(&self) -> Result<Traffic> {
        self.read_infos(Traffic::KEYS, Traffic::read)
    }

    /// Returns the last `BW` events, at most 300, oldest first.
    ///
    /// tor keeps an event of each second in which a controller was subscribed to `BW`.
    #[doc = sends!("GETINFO bw-event-cache")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let last = controller.bw_event_cache()?;
    /// println!("{} seconds of traffic", last.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn bw_event_cache(&self) -> Result<Vec<BwEvent>> {
        self.read_info("bw-event-cache", BwEvent::read_cache)
    }

    /// Returns the size of tor's queues, in bytes, above which it closes circuits to free memory:
    /// the option `MaxMemInQueues`, or tor's default for this machine.
    #[doc = sends!("GETINFO limits/max-mem-in-queues")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} bytes", controller.max_mem_in_queues()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn max_mem_in_queues(&self) -> Result<u64> {
        const KEY: &str = "limits/max-mem-in-queues";
        self.read_infos(&[KEY], |answers| answers.number(KEY))
    }
}
