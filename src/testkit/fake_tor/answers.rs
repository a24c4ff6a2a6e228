use std::sync::Arc;

use super::FakeTor;
use crate::clock::deadline_after;
use crate::testkit::answer::Answer;
use crate::testkit::playbook::{Pattern, Rule};

impl FakeTor {
    /// Expects a command, once, and answers it.
    ///
    /// Commands are expected in the order of these calls, on all connections together. `command` is
    /// the whole line without its end, as torcon writes it; the documentation of each method says
    /// which command it sends. Data lines of a command that begins with `+` follow after line feeds.
    ///
    /// # Panics
    ///
    /// Panics if the answer is a text that is not a whole reply: see [`Answer::lines`].
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SETCONF MaxCircuitDirtiness=60", "250 OK");
    /// tor.expect("+LOADCONF\nNickname alice", "250 OK");
    ///
    /// let controller = tor.controller();
    /// controller.set_conf([("MaxCircuitDirtiness", "60")])?;
    /// controller.load_conf("Nickname alice")?;
    /// tor.finish();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "answer_pending")]
    #[track_caller]
    pub fn expect(&self, command: &str, answer: impl Into<Answer>) -> &Self {
        self.core.playbook.expect(Pattern::Text(command.to_owned()), answer.into());
        self
    }

    /// Expects a command that the closure accepts, once, and answers it. `what` describes it in the
    /// failure of the test.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::command::AttachStream;
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.expect_matching("an ATTACHSTREAM", |c| c.starts_with("ATTACHSTREAM "), "250 OK");
    /// tor.controller().execute(&AttachStream::left_to_tor("5".parse()?))?;
    /// tor.finish();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn expect_matching(
        &self,
        what: &str,
        accept: impl Fn(&str) -> bool + Send + Sync + 'static,
        answer: impl Into<Answer>,
    ) -> &Self {
        let pattern = Pattern::Matching { what: what.to_owned(), accept: Arc::new(accept) };
        self.core.playbook.expect(pattern, answer.into());
        self
    }

    /// Answers a command whenever it arrives, which may be never. The newest answer applies.
    ///
    /// A command that is [expected](Self::expect) gets the answer of its expectation.
    ///
    /// # Panics
    ///
    /// Panics if the answer is a text that is not a whole reply: see [`Answer::lines`].
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.answer("SIGNAL NEWNYM", "250 OK");
    /// let controller = tor.controller();
    /// controller.signal(torcon::Signal::Newnym)?;
    /// controller.signal(torcon::Signal::Newnym)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn answer(&self, command: &str, answer: impl Into<Answer>) -> &Self {
        let pattern = Pattern::Text(command.to_owned());
        self.core.playbook.add_rule(Rule::Answer(pattern, answer.into()));
        self
    }

    /// Answers commands by a closure, which gets the number of the connection, counted from 1, and
    /// the command. For `None`, older answers apply, then the default ones.
    ///
    /// The closure runs on the threads of the connections, at the same time for several of them. Its
    /// panic fails the test.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::{Answer, FakeTor};
    ///
    /// let tor = FakeTor::start();
    /// // A tor that accepts everything.
    /// tor.answer_with(|_, command| {
    ///     let is_query = command.starts_with("GET") || command.starts_with("PROTOCOLINFO");
    ///     (!is_query).then(Answer::ok)
    /// });
    /// tor.controller().save_conf()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn answer_with(
        &self,
        react: impl Fn(usize, &str) -> Option<Answer> + Send + Sync + 'static,
    ) -> &Self {
        self.core.playbook.add_rule(Rule::React(Arc::new(react)));
        self
    }

    /// Sets the value of a key of `GETINFO`, also in queries of several keys.
    ///
    /// # Panics
    ///
    /// Panics if the value contains a carriage return.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.set_info("traffic/read", "4096").set_info("traffic/written", "1024");
    /// let traffic = tor.controller().get_info(["traffic/read", "traffic/written"])?;
    /// assert_eq!(traffic.get("traffic/written").as_deref(), Some("1024"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn set_info(&self, key: &str, value: &str) -> &Self {
        // Refuses what cannot be a reply here, and not on the thread of a connection.
        drop(Answer::info(key, value));
        self.core.playbook.set_info(key, value);
        self
    }

    /// Sets the values of an option for `GETCONF`; none for an option at its default. It does not
    /// follow `SETCONF`.
    ///
    /// # Panics
    ///
    /// Panics if a value contains a line break.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.set_conf("Nickname", &["alice"]);
    /// let conf = tor.controller().get_conf(["Nickname"])?;
    /// assert_eq!(conf.get("Nickname").and_then(|value| value.first()), Some("alice"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn set_conf(&self, name: &str, values: &[&str]) -> &Self {
        for value in values {
            drop(Answer::lines([format!("250 {name}={value}")]));
        }
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.core.playbook.set_conf(name, values);
        self
    }

    /// Waits until every expected command has arrived, for programs that send commands on another
    /// thread.
    ///
    /// Blocks the current thread until the last one has arrived, for at most the
    /// [time limit](crate::testkit::FakeTorBuilder::timeout).
    ///
    /// # Panics
    ///
    /// Panics if one of them does not arrive.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    ///
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.expect("SAVECONF", "250 OK");
    /// let controller = tor.controller();
    /// let thread = thread::spawn(move || controller.save_conf());
    /// tor.wait_expected();
    /// assert_eq!(tor.commands(), ["SAVECONF"]);
    /// # thread.join().unwrap()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn wait_expected(&self) -> &Self {
        let limit = self.core.timeout;
        let missing = self.core.playbook.wait(deadline_after(limit), false);
        if !missing.is_empty() {
            let (missing, dialogue) = (missing.join(", "), &self.core.dialogue);
            panic!("expected commands did not arrive within {limit:?}: {missing}\n{dialogue}");
        }
        self
    }
}
