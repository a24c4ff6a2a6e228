//! Any command: as a typed value, or as text; its reply at once, later, or line by line.

mod lines;
pub(super) mod pending;

use std::time::Instant;

use super::configuration::epoch::ConfCommand;
use super::{Controller, PendingReply};
use crate::auth::Password;
use crate::command::{
    Authenticate, Command, GetInfo, GetProtocolInfo, Names, ProtocolInfo, UseFeature,
};
use crate::error::Result;
use crate::wire::{Reply, Request};

/// # Any command
impl Controller {
    /// Sends a command, and returns its parsed reply. Every typed method of this type does this.
    ///
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if an argument is not valid in the
    /// control protocol, before anything is sent; [`Error::Rejected`](crate::Error::Rejected) if
    /// tor refuses the command; [`Error::Timeout`](crate::Error::Timeout);
    /// [`Error::Closed`](crate::Error::Closed); [`Error::Protocol`](crate::Error::Protocol) if the
    /// reply cannot be parsed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::GetInfo;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let info = controller.execute(&GetInfo::new(["version"]))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "SendRequest")]
    pub fn execute<C: Command>(&self, command: &C) -> Result<C::Reply> {
        self.execute_sequenced(command).map(|(reply, _)| reply)
    }

    /// Sends one line of text as a command, and returns its reply.
    ///
    /// The command is checked as by [`queue_command`](Self::queue_command). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refuses the command; otherwise those of
    /// [`queue_command`](Self::queue_command).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let reply = controller.command("GETINFO version traffic/read")?;
    /// for line in reply.lines() {
    ///     println!("{} {}", line.code(), line.text());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "msg")]
    pub fn command(&self, command: &str) -> Result<Reply> {
        // One limit for the wait to write and the wait for the reply.
        let deadline = self.deadline();
        self.queue_before(command, deadline)?.wait_before(deadline, self.timeout)
    }

    /// Sends one line of text as a command, and returns its pending reply.
    ///
    /// Any number of replies may be pending, from one thread or many; tor answers in order.
    /// Commands with data, such as `+LOADCONF`, have methods instead. A `SETEVENTS` sent this way
    /// is overridden when the listeners of this connection next change.
    ///
    /// Blocks the current thread until the command is written, for at most the
    /// [time limit](Self::with_timeout); this takes time only if tor does not read.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the command contains a line break or
    /// NUL, is empty or too long, or would make tor abort, never answer or answer twice;
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let pending = ["version", "uptime", "process/pid"]
    ///     .map(|key| controller.queue_command(&format!("GETINFO {key}")));
    /// for reply in pending {
    ///     println!("{}", reply?.wait()?.lines().next().map(|l| l.text()).unwrap_or_default());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn queue_command(&self, command: &str) -> Result<PendingReply> {
        self.queue_before(command, self.deadline())
    }

    /// Queries tor's version and its authentication methods.
    #[doc = sends!("PROTOCOLINFO 1", execute)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.protocol_info()?.auth_methods);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_protocolinfo")]
    #[doc(alias = "protocolinfo")]
    pub fn protocol_info(&self) -> Result<ProtocolInfo> {
        self.execute(&GetProtocolInfo::new())
    }

    /// Authenticates again, by password; tor closes the connection if it is wrong. A controller is
    /// authenticated already.
    ///
    /// Sends `AUTHENTICATE` and the password in hexadecimal. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if the password is wrong (515); otherwise those
    /// of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// // tor accepts it again on an authenticated connection.
    /// controller.authenticate("the password")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authenticate(&self, password: impl Into<Password>) -> Result<()> {
        let password = password.into();
        self.execute(&Authenticate::new(password.as_bytes()))
    }

    /// Enables features of the control protocol. In current versions of tor all are always on.
    ///
    /// Sends `USEFEATURE feature ...`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know a feature (552); otherwise
    /// those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.use_feature(["VERBOSE_NAMES"])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("is_feature_enabled", "UseFeatures"))]
    #[doc(alias = "enable_feature")]
    pub fn use_feature<N, Form>(&self, features: N) -> Result<()>
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        self.execute(&UseFeature::new(features))
    }

    /// Returns the names of the features that [`use_feature`](Self::use_feature) accepts.
    #[doc = sends!("GETINFO features/names")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.valid_features()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn valid_features(&self) -> Result<Vec<String>> {
        let names = self.get_info_one("features/names")?;
        Ok(names.split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// Sends a command as [`execute`](Self::execute) does, and returns also the number of events
    /// that preceded its reply.
    ///
    /// An event with a lower number preceded the reply. An event with this or a higher number
    /// followed it, although the reply may reflect it: tor delays events, but never replies.
    pub(crate) fn execute_sequenced<C: Command>(&self, command: &C) -> Result<(C::Reply, u64)> {
        self.execute_before(command, self.deadline())
    }

    /// Sends one of several commands of a call that has one time limit for all of them.
    pub(crate) fn execute_before<C: Command>(
        &self,
        command: &C,
        deadline: Instant,
    ) -> Result<(C::Reply, u64)> {
        let (reply, events_before) = self.send_before(command, deadline)?;
        Ok((self.checked(command.reply(reply))?, events_before))
    }

    /// Sends a command, and calls `work` while tor executes it.
    pub(in crate::controller) fn execute_during<C: Command>(
        &self,
        command: &C,
        work: impl FnOnce(),
    ) -> Result<C::Reply> {
        let deadline = self.deadline();
        let request = command.request()?;
        let guard = self.prepare(&request, deadline)?;
        let ticket = self.inner.link.submit(&request, deadline, self.timeout)?;
        drop(guard);
        work();
        let reply = ticket.wait(deadline, self.timeout)?.reply;
        self.checked(command.reply(reply))
    }

    /// Sends a command, and returns the unparsed reply.
    pub(in crate::controller) fn send<C: Command>(&self, command: &C) -> Result<Reply> {
        self.send_before(command, self.deadline()).map(|(reply, _)| reply)
    }

    fn send_before<C: Command>(&self, command: &C, deadline: Instant) -> Result<(Reply, u64)> {
        let request = command.request()?;
        let _guard = self.prepare(&request, deadline)?;
        let sequenced = self.inner.link.call_until(&request, deadline, self.timeout)?;
        Ok((sequenced.reply, sequenced.events_before))
    }

    /// Sends a command whose reply is discarded, as soon as the socket has room. Never blocks.
    pub(crate) fn send_unawaited<C: Command>(&self, command: &C) -> Result<()> {
        self.inner.link.send_unawaited(&command.request()?)
    }

    fn queue_before(&self, command: &str, deadline: Instant) -> Result<PendingReply> {
        let request = Request::from_line(command)?;
        let _guard = self.prepare(&request, deadline)?;
        let ticket = self.inner.link.submit(&request, deadline, self.timeout)?;
        Ok(PendingReply::new(ticket, self.timeout, GetInfo::of_request(&request)))
    }

    /// Checks a request, and begins a configuration epoch if it changes the configuration. The
    /// guard must live until the request is written.
    fn prepare(&self, request: &Request, deadline: Instant) -> Result<Option<ConfCommand<'_>>> {
        self.preflight(request, deadline)?;
        if request.ends_connection() {
            self.run_close_hooks();
        }
        Ok(self.conf_command(request))
    }

    /// Ends the connection if a reply proves to belong to another command: no later reply could be
    /// trusted.
    pub(in crate::controller) fn checked<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| self.inner.link.end_if_out_of_step(error))
    }
}
