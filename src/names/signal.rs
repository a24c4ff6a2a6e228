//! The signals that tor accepts on its control port.

super::keywords! {
    /// A signal, as `SIGNAL` sends it and the event `SIGNAL` reports it.
    ///
    /// Several words name the same signal; tor reports such a signal under the first of its
    /// words, which [`canonical`](Signal::canonical) returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::Signal;
    ///
    /// assert_eq!(Signal::Newnym.to_string(), "NEWNYM");
    /// assert_eq!(Signal::Hup.canonical(), Signal::Reload);
    /// ```
    pub enum Signal {
        /// Reloads the configuration file; values set by `SETCONF` are lost.
        Reload = "RELOAD",
        /// Another word for [`Reload`](Self::Reload).
        Hup = "HUP",
        /// Ends tor; a relay first waits for its clients (`ShutdownWaitLength`).
        Shutdown = "SHUTDOWN",
        /// Writes statistics to tor's log.
        Dump = "DUMP",
        /// Another word for [`Dump`](Self::Dump).
        Usr1 = "USR1",
        /// Switches tor's log to the level `debug`.
        Debug = "DEBUG",
        /// Another word for [`Debug`](Self::Debug).
        Usr2 = "USR2",
        /// Ends tor at once.
        Halt = "HALT",
        /// Another word for [`Halt`](Self::Halt).
        Term = "TERM",
        /// Another word for [`Shutdown`](Self::Shutdown).
        Int = "INT",
        /// Uses new circuits for new streams; tor delays a second one that follows too soon.
        Newnym = "NEWNYM",
        /// Forgets the addresses of host names that tor has learned.
        ClearDnsCache = "CLEARDNSCACHE",
        /// Writes a heartbeat to tor's log.
        Heartbeat = "HEARTBEAT",
        /// Wakes a dormant tor.
        Active = "ACTIVE",
        /// Makes tor dormant: no network activity until something needs it.
        Dormant = "DORMANT",
    }
}

impl Signal {
    /// Returns the signal under the word by which tor reports it in its event `SIGNAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Signal;
    ///
    /// assert_eq!(Signal::from("HUP").canonical(), Signal::Reload);
    /// ```
    #[must_use]
    pub fn canonical(&self) -> Self {
        match self {
            Self::Hup => Self::Reload,
            Self::Int => Self::Shutdown,
            Self::Usr1 => Self::Dump,
            Self::Usr2 => Self::Debug,
            Self::Term => Self::Halt,
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn the_known_signals_are_those_of_tor_0_4_9() {
        let listed = "RELOAD HUP SHUTDOWN DUMP USR1 DEBUG USR2 HALT TERM INT NEWNYM \
                      CLEARDNSCACHE HEARTBEAT ACTIVE DORMANT";
        let known: Vec<_> = Signal::KNOWN.iter().map(Signal::as_str).collect();
        assert_eq!(known.join(" "), listed);
    }

    #[test]
    fn a_signal_of_two_words_has_one_canonical_word() {
        let words = ["HUP", "INT", "USR1", "USR2", "TERM", "NEWNYM", "LATER"];
        let canonical: Vec<_> =
            words.iter().map(|word| Signal::from(*word).canonical().to_string()).collect();
        assert_eq!(canonical, ["RELOAD", "SHUTDOWN", "DUMP", "DEBUG", "HALT", "NEWNYM", "LATER"]);
    }
}
