mod answers;
mod events;
mod record;

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use super::builder::FakeTorBuilder;
use super::core::Core;
use super::door::Peer;
use super::script::{Script, ScriptFailure};
use super::socket::Socket;
use crate::clock::{self, deadline_after};
use crate::controller::{ConnectOptions, Controller};
use crate::link::Endpoint;
use crate::sync::channel::{Receiver, Sender, bounded};

/// How much longer than one step `finish` waits for a script, and a dropped fake tor for its threads.
const GRACE: Duration = Duration::from_secs(5);

/// How often a script is asked whether it has reached its last step.
const SLICE: Duration = Duration::from_millis(20);

/// A fake control port for unit tests, which answers as the test says.
///
/// It accepts any number of connections, and answers the greeting, `SETEVENTS`, and the queries of
/// [`Controller`] and [`State`](crate::State) as an idle tor does. Everything else must be
/// [expected](Self::expect) or have an [answer](Self::answer). It runs until it is dropped.
///
/// It is strict: the test fails if a command arrives that is not expected, or an expected one does
/// not arrive. The client gets a refusal that names the command, and [`finish`](Self::finish), or
/// the drop of this value, panics in the thread of the test.
///
/// Threads: `fake-tor`, and one for each connection.
///
/// # Examples
///
/// ```
/// use torcon::Controller;
/// use torcon::testkit::{Answer, FakeTor};
///
/// fn kilobytes_read(controller: &Controller) -> torcon::Result<u64> {
///     let bytes: u64 = controller.get_info_one("traffic/read")?.parse().unwrap_or(0);
///     Ok(bytes / 1024)
/// }
///
/// let tor = FakeTor::start();
/// tor.expect("GETINFO traffic/read", Answer::info("traffic/read", "4096"));
/// assert_eq!(kilobytes_read(&tor.controller())?, 4);
/// tor.finish();
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a fake tor ends when it is dropped"]
pub struct FakeTor {
    core: Arc<Core>,
    place: Place,
    thread: Option<JoinHandle<()>>,
    /// Nothing is ever sent: the end of the thread shows as the loss of the sender.
    ended: Receiver<()>,
    /// Whether the thread runs until the test is over.
    is_serving: bool,
}

/// Where a fake tor listens.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    pub(super) password: Option<String>,
    /// Holds the unix socket.
    pub(super) _directory: Option<TempDir>,
}

impl FakeTor {
    /// Starts a fake tor that answers every connection, on a unix socket in a temporary directory.
    ///
    /// # Panics
    ///
    /// Panics if this machine has no free directory or thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let controller = tor.controller();
    /// assert!(controller.is_alive());
    /// ```
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts a fake tor that plays one connection step by step, for dialogues that
    /// [`start`](Self::start) cannot play: single bytes, wrong order, several connections that
    /// depend on each other.
    ///
    /// The closure runs on another thread, and begins when a client connects.
    ///
    /// # Panics
    ///
    /// Panics if this machine has no free directory or thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::script(|script| {
    ///     script.greet().expect("SAVECONF").send("250 ").send("OK\r\n").expect_end();
    /// });
    /// tor.controller().save_conf()?;
    /// tor.finish();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn script(play: impl FnOnce(&mut Script) + Send + 'static) -> Self {
        Self::builder().script(play)
    }

    /// Returns a builder with every option at its default.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::builder().tcp().start();
    /// assert!(tor.controller().is_alive());
    /// ```
    pub fn builder() -> FakeTorBuilder {
        FakeTorBuilder::new()
    }

    #[track_caller]
    pub(super) fn serve(core: Core, place: Place) -> Self {
        let mut tor = Self::run(core, place, serve_connections);
        tor.is_serving = true;
        tor
    }

    #[track_caller]
    pub(super) fn play(
        core: Core,
        place: Place,
        play: impl FnOnce(&mut Script) + Send + 'static,
    ) -> Self {
        Self::run(core, place, |core| {
            let accepted = core.door.accept(Some(core.timeout));
            let problem = match accepted {
                Ok((peer, socket)) => return play(&mut Script::new(peer, socket, core)),
                Err(error) => format!("no client connected to the fake tor: {error}"),
            };
            std::panic::resume_unwind(Box::new(ScriptFailure(problem)));
        })
    }

    #[track_caller]
    fn run(core: Core, place: Place, work: impl FnOnce(Arc<Core>) + Send + 'static) -> Self {
        let core = Arc::new(core);
        let (end, ended) = bounded(0);
        let thread = start_thread("fake-tor", Arc::clone(&core), end, work);
        Self { core, place, thread: Some(thread), ended, is_serving: false }
    }

    /// Returns the endpoint at which it listens.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let controller = torcon::connect(tor.endpoint())?;
    /// assert_eq!(controller.endpoint(), &tor.endpoint());
    /// # drop(controller);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.place.endpoint.clone()
    }

    /// Opens a connection to it.
    ///
    /// Blocks the current thread until the fake tor accepts the authentication, for at most its
    /// [time limit](FakeTorBuilder::timeout).
    ///
    /// # Panics
    ///
    /// Panics if the connection fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// assert_eq!(tor.controller().get_info_one("version")?, "0.4.9.11");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn controller(&self) -> Controller {
        let options = ConnectOptions::new().timeout(self.core.timeout);
        let options = match &self.place.password {
            Some(password) => options.password(password.as_str()),
            None => options,
        };
        match options.connect(&self.place.endpoint) {
            Ok(controller) => controller,
            Err(error) => {
                panic!("cannot connect to the fake tor: {error:?}\n{}", self.core.dialogue)
            }
        }
    }

    /// Ends the fake tor, and fails the test if it did not go as expected. Dropping it does the same,
    /// unless the thread is panicking; then it prints the dialogue.
    ///
    /// Blocks the current thread until its threads have ended. It first waits for expected commands
    /// while a connection is open, and for the end of a script, for at most the
    /// [time limit](FakeTorBuilder::timeout).
    ///
    /// # Panics
    ///
    /// Panics with the dialogue if a command was not expected, an expected one did not arrive, or a
    /// script or closure failed.
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", "250 OK");
    /// // Nothing saves the configuration.
    /// tor.finish();
    /// ```
    #[track_caller]
    pub fn finish(mut self) {
        self.end();
    }

    #[track_caller]
    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let mut problems = Vec::new();
        let end = deadline_after(self.core.timeout);
        if !self.is_serving && !self.wait_script(self.core.timeout.saturating_add(GRACE)) {
            problems.push(format!("the script did not end\n{}", self.core.dialogue));
        }
        let failures = self.core.failures();
        // Only the first failure matters: the client may have given up then.
        let end = if failures.is_empty() { end } else { clock::now() };
        let missing = self.core.playbook.wait(end, true);
        self.core.door.shut();
        if self.wait_thread(GRACE) {
            problems.push("a thread of the fake tor did not end".to_owned());
        } else if let Err(panic) = thread.join() {
            problems.push(format!("the script of the fake tor failed: {}", self.text_of(panic)));
        }
        let failures = self.core.failures();
        if !failures.is_empty() || (!missing.is_empty() && problems.is_empty()) {
            let mut text = "the fake tor fails the test:\n".to_owned();
            for failure in failures {
                text += &format!("  {failure}\n");
            }
            for command in missing {
                text += &format!("  the expected command did not arrive: {command}\n");
            }
            problems.push(format!("{text}{}", self.core.dialogue));
        }
        if !problems.is_empty() {
            panic!("{}", problems.join("\n"));
        }
    }

    /// Waits until the script has ended, or serves until the end of the test.
    fn wait_script(&self, limit: Duration) -> bool {
        let end = deadline_after(limit);
        while !clock::has_passed(end) {
            if !self.wait_thread(SLICE) || self.core.playbook.is_serving() {
                return true;
            }
        }
        false
    }

    /// Waits for the end of the thread, and returns whether it still runs.
    fn wait_thread(&self, limit: Duration) -> bool {
        clock::recv_until(&self.ended, deadline_after(limit)).is_err_and(|error| error.is_timeout())
    }

    fn text_of(&self, panic: Box<dyn Any + Send>) -> String {
        match panic.downcast::<ScriptFailure>() {
            Ok(failure) => failure.0,
            Err(panic) => format!("{}\n{}", panic_text(panic.as_ref()), self.core.dialogue),
        }
    }
}

impl Drop for FakeTor {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end();
            return;
        }
        let Some(thread) = self.thread.take() else { return };
        // The test has failed already: the dialogue may show why.
        self.core.door.shut();
        let problems: String = self
            .core
            .failures()
            .iter()
            .map(|failure| format!("the fake tor: {failure}\n"))
            .collect();
        print(&format!("{problems}{}", self.core.dialogue));
        if !self.wait_thread(GRACE) {
            // A failure of the script is shown by the dialogue.
            let _ = thread.join();
        }
    }
}

#[allow(clippy::print_stderr, reason = "the output of a failed test")]
fn print(text: &str) {
    eprintln!("{text}");
}

/// Serves each connection on a thread, until the test is over.
#[allow(clippy::needless_pass_by_value, reason = "the work of a thread")]
fn serve_connections(core: Arc<Core>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        match core.door.accept(None) {
            Ok((peer, socket)) => {
                let (end, _) = bounded(0);
                let serve = move |core| serve_connection(peer, socket, &core);
                threads.retain(|thread| !thread.is_finished());
                threads.push(start_thread("fake-tor-peer", Arc::clone(&core), end, serve));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => break,
            Err(error) => {
                core.add_failure(0, &format!("cannot accept: {error}"));
                break;
            }
        }
    }
    for thread in threads {
        // Its panic is a recorded failure.
        let _ = thread.join();
    }
}

fn serve_connection(peer: Arc<Peer>, socket: Socket, core: &Arc<Core>) {
    let number = peer.number;
    let mut script = Script::new(peer, socket, Arc::clone(core));
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| script.play(false))) {
        let text = match panic.downcast::<ScriptFailure>() {
            Ok(failure) => failure.0.lines().next().unwrap_or_default().to_owned(),
            Err(panic) => panic_text(panic.as_ref()),
        };
        core.add_failure(number, &text);
    }
}

/// Starts a thread that drops `end` at its end, also by a panic.
#[track_caller]
fn start_thread(
    name: &str,
    core: Arc<Core>,
    end: Sender<()>,
    work: impl FnOnce(Arc<Core>) + Send + 'static,
) -> JoinHandle<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _end = end;
        work(core);
    });
    match started {
        Ok(thread) => thread,
        Err(error) => panic!("the fake tor cannot start a thread: {error}"),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a text").to_owned()
}
