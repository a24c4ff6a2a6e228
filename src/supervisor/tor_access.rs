//! The tor of a supervisor, its status, and what is set up on every tor.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use super::status::SupervisorStatus;
use crate::clock::{self, deadline_after};
use crate::command::{
    Command, ConfSettings, Names, OnionClientAuthAdd, OnionClientAuthRemove, SetConf,
    is_service_option,
};
use crate::controller::Controller;
use crate::error::{Disconnect, Error, InvalidInput, Result};
use crate::names::{ClientAuthKey, OnionAddress};
use crate::state::State;
use crate::tor::Tor;

/// The time limit of the commands of a supervisor.
const LIMIT: Duration = Duration::from_secs(60);

/// How long after a failed stream the control connection may end for the same reason.
const SAME_END: Duration = Duration::from_millis(200);

/// # The tor and the status
impl Supervisor {
    /// Returns the present tor. Does not block.
    ///
    /// The tor is that of one connection. When this ends, its calls fail, and
    /// [`tor`](Self::tor) returns another one as soon as everything is restored on the next. So it is
    /// if this program closes the connection: only [`stop`](Self::stop) ends the supervisor.
    ///
    /// # Errors
    ///
    /// [`Error::Supervisor`] with the last reason if there is no tor now, or if the supervisor has
    /// ended.
    pub fn tor(&self) -> Result<Arc<Tor>> {
        self.shared.tor()
    }

    /// Waits until there is a tor, and returns it.
    ///
    /// Just after a tor has died it may still return that one, since its end is noticed a moment
    /// later. [`repeat_with_tor`](Self::repeat_with_tor) then takes the next one.
    ///
    /// Blocks the current thread until the status is [`Up`](SupervisorStatus::Up) or the supervisor
    /// has ended, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Supervisor`], with the error of the last attempt after a timeout.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use std::time::Duration;
    ///
    /// let tor = supervisor.wait_tor(Duration::from_secs(30))?;
    /// println!("tor {}", tor.controller().version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_tor(&self, limit: Duration) -> Result<Arc<Tor>> {
        self.shared.wait_tor(deadline_after(limit), limit).map(|(tor, _)| tor)
    }

    /// Waits until there is a tor, and calls a closure with it, once.
    ///
    /// Blocks the current thread until there is a tor, for at most `limit`, and while the closure
    /// runs.
    ///
    /// # Errors
    ///
    /// Those of [`wait_tor`](Self::wait_tor) and of the closure: [`Error::Closed`] if the connection
    /// ended meanwhile.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use std::time::Duration;
    ///
    /// use torcon::Signal;
    ///
    /// // Not repeated if the connection ends meanwhile.
    /// supervisor.with_tor(Duration::from_secs(30), |tor| tor.controller().signal(Signal::Newnym))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn with_tor<T>(&self, limit: Duration, call: impl FnOnce(&Tor) -> Result<T>) -> Result<T> {
        call(&*self.wait_tor(limit)?)
    }

    /// Waits until there is a tor, and calls a closure with it; again with the next tor, if the
    /// closure failed because the connection ended.
    ///
    /// So the closure may run several times, also after tor has executed some of its commands: use
    /// [`with_tor`](Self::with_tor) for what must not be repeated.
    ///
    /// Blocks the current thread until there is a tor and while the closure runs. It is not called
    /// again after `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`wait_tor`](Self::wait_tor) and of the closure.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use std::time::Duration;
    ///
    /// use torcon::{ConnectOptions, Supervisor};
    ///
    /// let supervisor = Supervisor::connect(["127.0.0.1:9051"], ConnectOptions::new())?;
    /// let limit = Duration::from_secs(60);
    /// let read = supervisor
    ///     .repeat_with_tor(limit, |tor| tor.controller().get_info_one("traffic/read"))?;
    /// println!("{read} bytes read");
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeat_with_tor<T>(
        &self,
        limit: Duration,
        mut call: impl FnMut(&Tor) -> Result<T>,
    ) -> Result<T> {
        let deadline = deadline_after(limit);
        loop {
            let (tor, _) = self.shared.wait_tor(deadline, limit)?;
            match call(&tor) {
                Err(error) if !clock::has_passed(deadline) && failed_with(&tor, &error) => {}
                outcome => return outcome,
            }
        }
    }

    /// Returns the status. Does not block.
    #[must_use]
    pub fn status(&self) -> SupervisorStatus {
        self.shared.status()
    }

    /// Waits for a status, and returns it. The closure is called with the present status and with
    /// later ones; if they change quickly, it may miss some, unlike one of
    /// [`on_status`](Self::on_status).
    ///
    /// Blocks the current thread until the closure returns true or the supervisor has ended, for at
    /// most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Supervisor`] if the supervisor has ended and the closure does not
    /// accept that status.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use std::time::Duration;
    ///
    /// let status = supervisor.wait_status(Duration::from_secs(60), |status| status.is_up())?;
    /// println!("{status}");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_status(
        &self,
        limit: Duration,
        is_wanted: impl FnMut(&SupervisorStatus) -> bool,
    ) -> Result<SupervisorStatus> {
        self.shared.wait_status(deadline_after(limit), limit, is_wanted)
    }
}

/// # Settings of every tor
impl Supervisor {
    /// Changes options, on this and every later connection: all of them, or none if tor refuses one.
    ///
    /// If another controller or a reload changes one of these options, it is set again, unless
    /// [`SupervisorOptions::if_option_changed`](super::SupervisorOptions::if_option_changed) chooses
    /// another reaction. A later call replaces the settings of the options that it names;
    /// [`forget_conf`](Self::forget_conf) takes them back. Options that need each other, such as
    /// `UseBridges` and `Bridge`, belong in one call, and so do those of which tor derives one from
    /// another, such as `RelayBandwidthRate` and `RelayBandwidthBurst`. Those of one onion service are not possible: use
    /// [`onion_endpoint`](Self::onion_endpoint).
    ///
    /// Sends `SETEVENTS` with `CONF_CHANGED` and `SIGNAL`, `SETCONF` and `GETCONF` if there is a
    /// connection, and the last two again if tor returns a value in another form, such as `300` for
    /// `5 minutes`. On every later connection sends `GETCONF`, and one `SETCONF` with the options that
    /// differ; if tor refuses it, one for the options of each call. Blocks for at most 60 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::set_conf`](crate::Controller::set_conf); then nothing is kept. If there
    /// is no connection or it ends, the options are kept for the next one, and the call succeeds; if
    /// the next tor refuses them, the status reports that. [`Error::Supervisor`] if the supervisor
    /// has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// supervisor.set_conf([("MaxCircuitDirtiness", "300"), ("ExitNodes", "{us},{de}")])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn set_conf<S, Form>(&self, settings: S) -> Result<()>
    where
        S: ConfSettings<Form>,
        Form: ?Sized,
    {
        let settings = settings.into_settings();
        let is_of_service = |name: &str| {
            let abbreviation_or_group = ["HiddenService", "HiddenServiceOptions"];
            is_service_option(name)
                || abbreviation_or_group.iter().any(|other| name.eq_ignore_ascii_case(other))
        };
        if settings.iter().any(|(name, _)| is_of_service(name)) {
            let problem = "is of an onion service: use Supervisor::onion_endpoint";
            return Err(InvalidInput::new("options", problem).into());
        }
        let command = SetConf::new(&settings);
        command.request()?;
        self.check_running()?;
        let (deadline, kept) = (deadline_after(LIMIT), &self.shared.settings);
        let _sending = kept.lock(SetConf::KEYWORD, deadline, LIMIT)?;
        let Some((controller, generation)) = self.connection()? else {
            kept.record(&settings, false);
            return Ok(());
        };
        let controller = controller.with_timeout(LIMIT);
        // Watch first, so that no change is missed.
        let watched = kept.watch(&self.shared, &controller, generation, deadline);
        let outcome = watched.and_then(|()| {
            controller.execute_before(&command, deadline)?;
            kept.record(&settings, true);
            if let Err(error) = kept.settle(&controller, deadline) {
                log::debug!("the values of options could not be read: {error}");
            }
            Ok(())
        });
        if kept.has_client_auths() {
            // tor forgets them, but reports no `CONF_CHANGED` if no value has changed.
            self.shared.add_task(|_, tasks| tasks.conf_changed = true);
        }
        match outcome {
            Err(error) if error.is_closed() => {
                kept.record(&settings, false);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Stops keeping options at their values. Tor's present values stay. Returns how many of the
    /// options were kept. Sends nothing. Blocks while another thread sends settings, for at most 60
    /// seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Supervisor`] if the supervisor has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// supervisor.set_conf(("ExitNodes", "{us}"))?;
    /// // tor keeps the value until another controller, or a restart, changes it.
    /// assert_eq!(supervisor.forget_conf("ExitNodes")?, 1);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn forget_conf<N, Form>(&self, options: N) -> Result<usize>
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        let names = options.into_names();
        self.check_running()?;
        let kept = &self.shared.settings;
        let _sending = kept.lock(SetConf::KEYWORD, deadline_after(LIMIT), LIMIT)?;
        let count = names.iter().filter(|name| kept.forget(name)).count();
        // The status may name one of them.
        self.shared.add_task(|_, tasks| tasks.conf_changed = true);
        Ok(count)
    }

    /// Adds a client authorization key for an onion service, on this and every later connection.
    ///
    /// The address and the key may be text in any form that [`OnionAddress`] and [`ClientAuthKey`]
    /// read.
    ///
    /// tor forgets a key that is not permanent when any controller changes its configuration, or when
    /// it reloads. The supervisor adds it again then.
    ///
    /// Sends `SETEVENTS` with `CONF_CHANGED` and `SIGNAL`, and `ONION_CLIENT_AUTH_ADD`, if there is a
    /// connection, and on every later one; `ONION_CLIENT_AUTH_VIEW` on every later one and after each
    /// change. Blocks for at most 60 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_onion_client_auth`](crate::Controller::add_onion_client_auth); then
    /// the key is not kept, and removed if tor adds it after a timeout. Without a connection it is kept for the next one.
    /// [`Error::Supervisor`] if the supervisor has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Supervisor};
    ///
    /// let supervisor = Supervisor::launch(Launcher::new())?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// let key = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ";
    /// supervisor.add_onion_client_auth(service, key)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_onion_client_auth<A, K>(&self, service: A, key: K) -> Result<()>
    where
        A: TryInto<OnionAddress>,
        K: TryInto<ClientAuthKey>,
        Error: From<A::Error> + From<K::Error>,
    {
        let key = &OnionClientAuthAdd::new(service.try_into()?, key.try_into()?);
        self.check_running()?;
        let (deadline, kept) = (deadline_after(LIMIT), &self.shared.settings);
        let _sending = kept.lock(OnionClientAuthAdd::KEYWORD, deadline, LIMIT)?;
        if let Some((controller, generation)) = self.connection()? {
            let controller = controller.with_timeout(LIMIT);
            let watched = kept.watch(&self.shared, &controller, generation, deadline);
            match watched.and_then(|()| controller.execute_before(key, deadline)) {
                Err(error) if error.is_closed() => {}
                Err(error) => {
                    if error.is_timeout() {
                        kept.refuse_client_auth(key);
                    }
                    return Err(error);
                }
                Ok(_) => {}
            }
        }
        kept.record_client_auth(key);
        Ok(())
    }

    /// Removes a client authorization key that was added with
    /// [`add_onion_client_auth`](Self::add_onion_client_auth). Returns whether there was one.
    ///
    /// Sends `ONION_CLIENT_AUTH_REMOVE` if there is a connection, which also removes a key of another
    /// program for this service. If there is none, or tor does not answer, sends it at the next check
    /// or over the next connection, if `ONION_CLIENT_AUTH_VIEW` has the key there or is refused.
    /// Blocks for at most 60 seconds.
    ///
    /// # Errors
    ///
    /// Those of
    /// [`Controller::remove_onion_client_auth`](crate::Controller::remove_onion_client_auth); the key
    /// is not added to later connections all the same, except after a timeout of the wait for another
    /// thread that sends settings.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Supervisor};
    ///
    /// let supervisor = Supervisor::launch(Launcher::new())?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// assert!(!supervisor.remove_onion_client_auth(service)?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn remove_onion_client_auth<A>(&self, service: A) -> Result<bool>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        let service = service.try_into()?;
        self.check_running()?;
        let (deadline, kept) = (deadline_after(LIMIT), &self.shared.settings);
        let _sending = kept.lock(OnionClientAuthRemove::KEYWORD, deadline, LIMIT)?;
        if !kept.begin_client_auth_removal(service) {
            return Ok(false);
        }
        let Some((controller, _)) = self.shared.connected() else { return Ok(true) };
        let controller = controller.with_timeout(LIMIT).with_deadline(deadline);
        match controller.remove_onion_client_auth::<OnionAddress>(service) {
            Err(error) if error.is_closed() => Ok(true),
            Err(error @ Error::Timeout(_)) => Err(error),
            outcome => {
                kept.end_client_auth_removal(service);
                outcome.map(|_| true)
            }
        }
    }

    /// Returns the present connection and its generation, if there is one. Fails if the supervisor
    /// has ended.
    fn connection(&self) -> Result<Option<(Controller, u64)>> {
        match self.shared.connected() {
            None => self.check_running().map(|()| None),
            connection => Ok(connection),
        }
    }

    /// Returns a [`State`] that lives as long as the supervisor. The first call makes it; later calls
    /// return the same one.
    ///
    /// Does not wait for a connection: call [`wait_tor`](Self::wait_tor) before the first call.
    ///
    /// When a connection ends, listeners get the change `Lost` for every circuit and stream, and the
    /// handles of these fail with [`Error::Closed`]. On the next connection the state has what the
    /// new tor has, listeners get it as `Existing`, and attachers are set again.
    ///
    /// The first call sends what [`State::new`] does, and so does each new connection. Blocks for at
    /// most 60 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`State::new`]; [`Error::Supervisor`] if there is no connection when the state is
    /// made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// # let limit = std::time::Duration::from_secs(60);
    /// supervisor.wait_tor(limit)?;
    /// let state = supervisor.state()?;
    /// for circuit in state.circuits() {
    ///     println!("{} {}", circuit.id(), circuit.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn state(&self) -> Result<State> {
        self.check_running()?;
        let deadline = deadline_after(LIMIT);
        let kept = self.shared.lock_state(deadline, LIMIT)?;
        if let Some(state) = &*kept.borrow() {
            return Ok(state.clone());
        }
        let Some((controller, _)) = self.shared.connected() else {
            return Err(self.shared.tor().err().unwrap_or_else(super::shared::stopped));
        };
        let state = State::supervised(&controller, deadline)?;
        if let Some(ending) = self.shared.ending() {
            state.end(&Disconnect::Closed);
            return Err(ending);
        }
        // A logger may have made one meanwhile, on this thread.
        let first = kept.borrow_mut().get_or_insert_with(|| state.clone()).clone();
        Ok(first)
    }
}

/// Returns whether a call failed because the connection of its tor has ended.
fn failed_with(tor: &Tor, error: &Error) -> bool {
    match error {
        // The error may be that of another connection. A stream fails a moment before this program
        // notices the end of its tor.
        Error::Closed(_) | Error::Socks(_) | Error::Circuit(_) | Error::Io(_) | Error::Onion(_) => {
            tor.controller().wait_closed(SAME_END).is_ok()
        }
        _ => false,
    }
}
