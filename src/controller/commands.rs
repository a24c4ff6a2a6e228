//! One short method per command.

mod circuits;
pub(super) mod conf_epoch;
mod incremental;
mod network;
pub(super) mod pending;
mod preflight;
mod sequenced;

use std::borrow::Cow;
use std::time::Instant;

use super::{Controller, PendingReply};
use crate::auth::Password;
use crate::command::{
    Authenticate, ConfMap, ConfSetting, DropOwnership, GetConf, GetInfo, GetProtocolInfo, InfoMap,
    LoadConf, ProtocolInfo, Quit, ResetConf, SaveConf, SendSignal, SetConf, TakeOwnership,
    UseFeature,
};
use crate::controller::commands::conf_epoch::ConfCommand;
use crate::error::{Disconnect, Result};
use crate::link::deadline_after;
use crate::names::Signal;
use crate::wire::{Reply, Request};

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Asks tor for information, all keys in one round trip.
    ///
    /// Sends `GETINFO key [key ...]`. If tor refuses one key, it answers none. Blocks for at most
    /// the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know a key (552) or cannot
    /// answer it (551); otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let info = controller.get_info(["traffic/read", "traffic/written"])?;
    /// println!("read {} bytes", info.get("traffic/read").unwrap_or_default());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_info<I>(&self, keys: I) -> Result<InfoMap>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.execute(&GetInfo::new(keys))
    }

    /// Asks tor for one piece of information; bytes that are not UTF-8 are replaced.
    ///
    /// Sends `GETINFO key`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn get_info_one(&self, key: &str) -> Result<String> {
        let info = self.get_info([key])?;
        Ok(info.get(key).map(Cow::into_owned).unwrap_or_default())
    }

    /// Asks tor for information, and returns the reply as it came.
    ///
    /// Sends `GETINFO key [key ...]`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn get_info_raw<I>(&self, keys: I) -> Result<Reply>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let command = GetInfo::new(keys);
        let reply = self.send(&command)?;
        self.checked(command.check(reply))
    }

    /// Asks for the values of options, all in one round trip.
    ///
    /// Sends `GETCONF option [option ...]`. The answer is in tor's spelling; an option that is not
    /// set differs from one that is set to nothing, and repeated options keep all their values.
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552),
    /// [`Error::Protocol`](crate::Error::Protocol) if a name is an abbreviation or an old name;
    /// otherwise those of [`execute`](Self::execute).
    #[doc(alias = "get_conf_map")]
    pub fn get_conf<I>(&self, options: I) -> Result<ConfMap>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.execute(&GetConf::new(options))
    }

    /// Asks for the values of options, and returns the reply as it came.
    ///
    /// Sends `GETCONF option [option ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552),
    /// [`Error::Protocol`](crate::Error::Protocol) if a name is an old one, for which tor answers
    /// another; otherwise those of [`execute`](Self::execute).
    pub fn get_conf_raw<I>(&self, options: I) -> Result<Reply>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let command = GetConf::new(options);
        let reply = self.send(&command)?;
        self.checked(command.check(reply))
    }

    /// Changes options: all of them, or none if tor refuses one.
    ///
    /// Sends [`SETCONF`](SetConf) with the options in the given order. An option that is repeated gets all the given values and loses those it had; `None` clears it. Any option of
    /// an onion service replaces all onion services of the configuration. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552), does not
    /// take a value (513) or cannot change it while it runs (553).
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) also for values that end tor instead of
    /// being refused by it: a `MetricsPortPolicy` that is not one, an empty
    /// `MinimalAcceptedServerVersion`, sizes of `nan`; and, if tor sees the same files as this
    /// program, a `HiddenServiceDir`, `CookieAuthFile` or `ExtORPortCookieAuthFile` that tor cannot
    /// create, a `ServerDNSResolvConfFile` that it cannot read, and a FIFO on which it would wait;
    /// and `CookieAuthentication` and `ExtORPort` of a tor with `Sandbox 1`, which is asked for with
    /// `GETCONF Sandbox` before these two are set. Of a tor whose files cannot be seen here such a
    /// path is not refused, and ends it. Otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.set_conf([("ContactInfo", "me@example.org"), ("Nickname", "MyRelay")])?;
    /// controller.set_conf([("ContactInfo", None::<&str>)])?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "set_options")]
    pub fn set_conf<I, K, V>(&self, settings: I) -> Result<()>
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<str>,
        V: Into<ConfSetting>,
    {
        self.execute(&SetConf::new(settings))
    }

    /// Sets options back to their defaults (`None`), or to a value: all of them, or none.
    ///
    /// Sends [`RESETCONF`](ResetConf). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`set_conf`](Self::set_conf).
    pub fn reset_conf<I, K, V>(&self, settings: I) -> Result<()>
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<str>,
        V: Into<ConfSetting>,
    {
        self.execute(&ResetConf::new(settings))
    }

    /// Replaces the whole configuration by the text of a torrc. What the text does not say again
    /// is back at its default, the data directory and the control ports too.
    ///
    /// Sends `+LOADCONF` and the text, dot-stuffed. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not take the text (552, 553);
    /// otherwise those of [`set_conf`](Self::set_conf).
    pub fn load_conf(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.execute(&LoadConf::new(text))
    }

    /// Writes the configuration to the file that tor was started with, if nothing is lost by it.
    ///
    /// Sends `SAVECONF`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if the file cannot be written, or has
    /// `%include` lines (551); otherwise those of [`execute`](Self::execute).
    pub fn save_conf(&self) -> Result<()> {
        self.execute(&SaveConf::new())
    }

    /// Writes the configuration to the file that tor was started with, even if its `%include`
    /// lines are lost by it.
    ///
    /// Sends `SAVECONF FORCE`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if the file cannot be written (551); otherwise
    /// those of [`execute`](Self::execute).
    pub fn save_conf_forced(&self) -> Result<()> {
        self.execute(&SaveConf::forced())
    }

    /// Sends tor a signal. tor answers before it acts: after [`Signal::Shutdown`] or
    /// [`Signal::Halt`] the connection ends.
    ///
    /// Sends `SIGNAL name`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the signal is
    /// [`Signal::Unrecognized`]; otherwise those of [`execute`](Self::execute).
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.execute(&SendSignal::new(signal))
    }

    /// Asks tor who it is and how to authenticate.
    ///
    /// Sends `PROTOCOLINFO 1`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    #[doc(alias = "get_protocolinfo")]
    #[doc(alias = "protocolinfo")]
    pub fn protocol_info(&self) -> Result<ProtocolInfo> {
        self.execute(&GetProtocolInfo::new())
    }

    /// Authenticates once more, by password. Connecting has done it already; tor closes the
    /// connection if this fails.
    ///
    /// Sends `AUTHENTICATE` and the password in hexadecimal. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not take the password (515);
    /// otherwise those of [`execute`](Self::execute).
    pub fn authenticate(&self, password: impl Into<Password>) -> Result<()> {
        let password = password.into();
        self.execute(&Authenticate::new(password.as_bytes()))
    }

    /// Switches on features of the control protocol; in today's tor all of them are always on.
    ///
    /// Sends `USEFEATURE feature ...`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know a feature (552);
    /// otherwise those of [`execute`](Self::execute).
    #[doc(alias = "enable_feature")]
    pub fn use_feature<I>(&self, features: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.execute(&UseFeature::new(features))
    }

    /// Makes tor end when this connection does, for whatever reason it does.
    ///
    /// Sends `TAKEOWNERSHIP`, then `GETINFO process/pid` for [`owned_pid`](Self::owned_pid); if tor
    /// does not tell its pid, it is owned all the same. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn take_ownership(&self) -> Result<()> {
        let deadline = deadline_after(self.timeout);
        self.execute_before(&TakeOwnership::new(), deadline)?;
        let asked = self.execute_before(&GetInfo::new(["process/pid"]), deadline).ok();
        let pid = asked.and_then(|(info, _)| info.get("process/pid")?.parse().ok());
        *self.inner.owned.lock() = pid;
        Ok(())
    }

    /// Makes tor, which this program has spawned as `pid`, end when this connection does.
    pub(crate) fn take_ownership_of(&self, pid: u32) -> Result<()> {
        self.execute(&TakeOwnership::new())?;
        *self.inner.owned.lock() = Some(pid);
        self.set_launched(pid);
        Ok(())
    }

    /// Makes tor outlive this connection again.
    ///
    /// Sends `DROPOWNERSHIP`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn drop_ownership(&self) -> Result<()> {
        self.execute(&DropOwnership::new())?;
        *self.inner.owned.lock() = None;
        Ok(())
    }

    /// Says goodbye and closes the connection. A tor that the connection owns ends.
    ///
    /// Sends `QUIT`, after what [`close`](Self::close) has to say. Every call that is waiting behind
    /// it, and every later one, fails with [`Disconnect::Quit`].
    ///
    /// Blocks the current thread until tor has answered, for at most the
    /// [time limit](Self::with_timeout), and then as [`close`](Self::close) does.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute). The connection is closed in any case.
    pub fn quit(&self) -> Result<()> {
        let outcome = self.execute(&Quit::new());
        if outcome.is_ok() {
            self.inner.link.end(&Disconnect::Quit);
        }
        self.close();
        outcome
    }

    /// Sends a command as it is written, and returns its reply to be fetched later.
    ///
    /// Any number of commands may be outstanding, from one thread or many; tor answers them in
    /// order. The command must be one line; commands with data, such as `+LOADCONF`, have methods.
    /// A `SETEVENTS` sent this way is overridden by the next change of the listeners.
    ///
    /// Blocks the current thread until the command is written, for at most the
    /// [time limit](Self::with_timeout); this takes time only if tor does not read.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the command has a line break or NUL,
    /// is empty or too long, or is one that tor never answers, answers twice or dies of;
    /// [`Error::Timeout`](crate::Error::Timeout), [`Error::Closed`](crate::Error::Closed).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let pending = ["version", "uptime", "process/pid"]
    ///     .map(|key| controller.queue_command(&format!("GETINFO {key}")));
    /// for reply in pending {
    ///     println!("{}", reply?.wait()?.lines().next().map(|l| l.text()).unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_command(&self, command: &str) -> Result<PendingReply> {
        self.queue_before(command, deadline_after(self.timeout))
    }

    /// Sends a command as it is written, and returns its reply.
    ///
    /// The command is checked as by [`queue_command`](Self::queue_command).
    ///
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refused the command; otherwise those of
    /// [`queue_command`](Self::queue_command).
    #[doc(alias = "msg")]
    pub fn command(&self, command: &str) -> Result<Reply> {
        // One limit for the wait to write and the wait for the reply.
        let deadline = deadline_after(self.timeout);
        self.queue_before(command, deadline)?.wait_before(deadline, self.timeout)
    }

    fn queue_before(&self, command: &str, deadline: Instant) -> Result<PendingReply> {
        let request = Request::from_line(command)?;
        let _sending = self.prepare(&request)?;
        let ticket = self.inner.link.submit(&request, deadline, self.timeout)?;
        Ok(PendingReply::new(ticket, self.timeout, GetInfo::of_request(&request)))
    }

    /// Does what must be done before a request is sent. What it returns is kept until it is written.
    pub(in crate::controller) fn prepare(
        &self,
        request: &Request,
    ) -> Result<Option<ConfCommand<'_>>> {
        self.preflight(request)?;
        if request.ends_connection() {
            self.run_close_hooks();
        }
        Ok(self.conf_command(request))
    }
}
