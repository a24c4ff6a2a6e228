use super::FakeTor;

impl FakeTor {
    /// Returns the commands that have arrived after the authentication, on all connections.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// tor.controller().get_info_one("version")?;
    /// assert_eq!(tor.commands(), ["GETINFO version"]);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.core.playbook.received().into_iter().map(|(_, command)| command).collect()
    }

    /// Returns the commands that have arrived after the authentication on one connection, counted
    /// from 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let (first, second) = (tor.controller(), tor.controller());
    /// second.get_info_one("version")?;
    /// assert!(tor.commands_of(1).is_empty());
    /// assert_eq!(tor.commands_of(2), ["GETINFO version"]);
    /// # drop(first);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn commands_of(&self, connection: usize) -> Vec<String> {
        let received = self.core.playbook.received().into_iter();
        received.filter(|(number, _)| *number == connection).map(|(_, command)| command).collect()
    }

    /// Returns every line that clients have sent, the greeting included, without line ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// drop(tor.controller());
    /// assert_eq!(tor.lines(), ["PROTOCOLINFO 1", "AUTHENTICATE"]);
    /// ```
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.core.dialogue.client_lines()
    }

    /// Returns every line that a client has sent on one connection, counted from 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// drop(tor.controller());
    /// assert_eq!(tor.lines_of(1), ["PROTOCOLINFO 1", "AUTHENTICATE"]);
    /// assert!(tor.lines_of(2).is_empty());
    /// ```
    #[must_use]
    pub fn lines_of(&self, connection: usize) -> Vec<String> {
        self.core.dialogue.client_lines_of(connection)
    }

    /// Returns how many clients have connected.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// assert_eq!(tor.connections(), 0);
    /// drop(tor.controller());
    /// assert_eq!(tor.connections(), 1);
    /// ```
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.door.peers().len()
    }

    /// Returns the dialogue of all connections, for the message of an assertion.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// drop(tor.controller());
    /// assert!(tor.dialogue().contains("C1: PROTOCOLINFO 1"));
    /// ```
    #[must_use]
    pub fn dialogue(&self) -> String {
        self.core.dialogue.to_string()
    }
}
