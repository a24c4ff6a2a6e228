//! When a service counts as published, how it is monitored, and the progress of both.

use std::time::Duration;

use super::{OnionEndpoint, OnionProgress, ProgressListener};
use crate::link::CancelToken;
use crate::onion::monitor::IfRemoved;
use crate::onion::publish::Publication;

/// # Publication and monitoring
impl OnionEndpoint {
    /// Sets which directories must have the descriptor before [`listen`](Self::listen) returns.
    /// The default is [`Publication::Reachable`], or no wait where a filter in front of the control
    /// port refuses `HS_DESC` events.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    /// use torcon::onion::Publication;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// // Returns at once, before any client can connect.
    /// let listener = tor.onion_endpoint(80).publication(Publication::None).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn publication(mut self, publication: Publication) -> Self {
        self.publication = Some(publication);
        self
    }

    /// Sets the time limit of the publication. The default is 180 seconds.
    ///
    /// The launch has the limits of its [`launcher`](Self::launcher), connecting that of
    /// [`ConnectOptions::timeout`](crate::ConnectOptions::timeout).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).timeout(Duration::from_secs(60)).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the time after which an upload without an answer counts as
    /// [unanswered](crate::error::UploadOutcome::Unanswered). The default is 60 seconds.
    ///
    /// tor sends no event for an upload whose circuit dies.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let limit = Duration::from_secs(20);
    /// let listener = tor.onion_endpoint(80).upload_timeout(limit).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn upload_timeout(mut self, limit: Duration) -> Self {
        self.monitoring.limits.answer = limit;
        self
    }

    /// Sets the grace period in which tor may start another upload after every upload has failed;
    /// after it the service counts as not published. The default is 10 seconds.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let grace = Duration::from_secs(30);
    /// let listener = tor.onion_endpoint(80).upload_grace(grace).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn upload_grace(mut self, grace: Duration) -> Self {
        self.monitoring.limits.grace = grace;
        self
    }

    /// Sets what to do when a reload of tor's configuration or another controller removes the
    /// service. The default is [`IfRemoved::AddAgain`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    /// use torcon::onion::IfRemoved;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).if_removed(IfRemoved::End).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn if_removed(mut self, action: IfRemoved) -> Self {
        self.monitoring.if_removed = action;
        self
    }

    /// Sets how often tor is queried whether it still has the service, besides after events. The
    /// default is 30 seconds, the minimum 10 milliseconds.
    ///
    /// tor sends no event for `DEL_ONION`, and a filter may suppress others. The thread
    /// `torcon-onion` sends `GETINFO onions/current` for an ephemeral service, `GETINFO
    /// onions/detached` for a detached one, and `GETCONF HiddenServiceOptions` for a filesystem
    /// service. If a filter refuses the command, the service is assumed to exist.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let interval = Duration::from_secs(300);
    /// let listener = tor.onion_endpoint(80).check_interval(interval).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.monitoring.interval = interval;
        self
    }

    /// Sets a token by which another thread cancels the service. The default is none.
    ///
    /// [`listen`](Self::listen) and [`start`](Self::start) then fail with [`Error::Canceled`](crate::Error::Canceled), after
    /// the service has been removed and a tor that was launched for it has ended. A command that tor
    /// has not answered yet is not interrupted.
    ///
    /// Later the token ends the waits for the service: [`OnionListener::accept`](crate::OnionListener::accept) fails with
    /// [`Error::Canceled`](crate::Error::Canceled), and [`OnionListener::incoming`](crate::OnionListener::incoming) ends. The service is removed when the
    /// listener is closed or dropped.
    ///
    /// # Examples
    ///
    /// An onion service until Ctrl-C:
    ///
    /// ```no_run
    /// use torcon::{CancelToken, OnionEndpoint};
    ///
    /// let token = CancelToken::new();
    /// let at_signal = token.clone();
    /// ctrlc::set_handler(move || { at_signal.cancel(); }).expect("the only handler");
    /// let listener = OnionEndpoint::private_tor(80).cancel_token(&token).listen()?;
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Sets a closure that is called with the progress of the service. The default is none.
    ///
    /// The closure runs on the thread `torcon-progress` for the bootstrap of a tor that is launched
    /// for the service (it replaces the closure of the launcher), and for later steps on the thread
    /// that called [`listen`](Self::listen), or on `torcon-progress` if it is still running there.
    /// After each new connection of a supervisor it runs on `torcon-progress`, with
    /// [`OnionProgress::Restored`] and the steps that follow. Two threads never call it at once.
    /// After a panic it is not called again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let endpoint = tor.onion_endpoint(80).on_progress(|progress| eprintln!("{progress}"));
    /// let listener = endpoint.listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "add_progress_listener")]
    pub fn on_progress(mut self, listener: impl FnMut(&OnionProgress) + Send + 'static) -> Self {
        self.on_progress = Some(ProgressListener::new(Box::new(listener)));
        self
    }
}
