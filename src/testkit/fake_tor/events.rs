use std::io::ErrorKind;

use super::FakeTor;
use crate::clock::deadline_after;
use crate::testkit::dialogue::Who;
use crate::testkit::event_lines;

impl FakeTor {
    /// Sends an event on every connection that has subscribed to it.
    ///
    /// The text is without the status code: `BW 15 20`. Further lines of an event of several lines
    /// follow after line feeds: `CONF_CHANGED`, line feed, `Nickname=a`.
    ///
    /// A [`State`](crate::State) has applied the event when a later command of its controller has
    /// been answered; a listener is called on another thread.
    ///
    /// # Panics
    ///
    /// Panics if the text is not a valid event, or if no open connection has subscribed to it: tor
    /// would not send it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::EventKind;
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let queue = tor.controller().events([EventKind::Bw])?;
    /// tor.send_event("BW 15 20");
    /// assert_eq!(queue.recv()?.to_string(), "BW 15 20");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "event_happened")]
    #[track_caller]
    pub fn send_event(&self, event: &str) -> &Self {
        self.send_events([event])
    }

    /// Sends several events of one kind, in one write: see [`send_event`](Self::send_event).
    ///
    /// # Panics
    ///
    /// Panics as [`send_event`](Self::send_event) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::EventKind;
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let queue = tor.controller().events([EventKind::Bw])?;
    /// tor.send_events(["BW 1 2", "BW 3 4"]);
    /// assert_eq!(queue.recv()?.to_string(), "BW 1 2");
    /// assert_eq!(queue.recv()?.to_string(), "BW 3 4");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[track_caller]
    pub fn send_events<T: AsRef<str>>(&self, events: impl IntoIterator<Item = T>) -> &Self {
        let (mut text, mut kind) = (String::new(), None::<String>);
        for event in events {
            let event = event.as_ref();
            event_lines::check(event);
            let name = event_lines::keyword(event);
            let kind = kind.get_or_insert_with(|| name.to_owned());
            if kind != name {
                panic!("the events of one call are of one kind, not {kind} and {name}");
            }
            text += &event_lines::wire(event);
        }
        let Some(kind) = kind else { return self };
        let peers = self.core.door.peers();
        let peers: Vec<_> = peers.iter().filter(|peer| peer.has_subscribed(&kind)).collect();
        if peers.is_empty() {
            let dialogue = &self.core.dialogue;
            panic!("no open connection has subscribed to {kind}\n{dialogue}");
        }
        for peer in peers {
            if let Err(problem) = self.core.check(peer.number, text.as_bytes()) {
                panic!("{problem}");
            }
            self.core.dialogue.record(peer.number, Who::Server, text.as_bytes());
            let end = deadline_after(self.core.timeout);
            // The client may have ended the connection.
            if peer.write_all(text.as_bytes(), end).is_err_and(|e| e.kind() == ErrorKind::TimedOut)
            {
                panic!("the client does not read the event\n{}", self.core.dialogue);
            }
        }
        self
    }

    /// Ends every open connection, as the end of tor does. New ones are accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::testkit::FakeTor;
    ///
    /// let tor = FakeTor::start();
    /// let controller = tor.controller();
    /// tor.close_connections();
    /// assert!(controller.get_info_one("version").unwrap_err().is_closed());
    /// assert!(tor.controller().is_alive());
    /// ```
    pub fn close_connections(&self) -> &Self {
        for peer in self.core.door.peers().iter().filter(|peer| !peer.is_closed()) {
            self.core.dialogue.record(peer.number, Who::Note, b"the fake tor closes");
            peer.close();
        }
        self
    }
}
