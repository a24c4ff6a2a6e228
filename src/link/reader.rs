//! The reader: reads the socket, and passes on replies and events. During the handshake the thread
//! that connects uses it, afterwards the reader thread.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use super::backlog::BacklogSender;
use super::dispatcher::{Delivery, LostEvents};
use super::event_reader::EventReader;
use super::poll::readable_until;
use super::reply_delivery::ReplyDelivery;
use super::{Connection, LinkLimits};
use crate::error::Disconnect;
use crate::wire::{Frame, Limits, Message};

/// The state of the reader.
pub(super) struct Reader {
    connection: Arc<Connection>,
    events: EventReader,
    frame: Frame,
    replies: ReplyDelivery,
    /// The limits that apply after authentication; taken then.
    limits: Option<Limits>,
}

impl Reader {
    pub(super) fn new(
        connection: Arc<Connection>,
        events: BacklogSender<Delivery, LostEvents>,
        limits: LinkLimits,
    ) -> Self {
        Self {
            events: EventReader::new(Arc::clone(&connection), events),
            connection,
            frame: Frame::new(limits.wire.before_authentication()),
            replies: ReplyDelivery::new(limits.replies, limits.wire.before_authentication().reply),
            limits: Some(limits.wire),
        }
    }

    /// Records that tor accepted the authentication: from now on the configured limits apply instead
    /// of the small ones.
    pub(super) fn set_authenticated(&mut self) {
        if let Some(limits) = self.limits.take() {
            self.frame.set_authenticated(limits);
            self.replies.set_reply_limit(limits.reply);
        }
    }

    /// Reads until the connection ends, then ends it for every caller.
    pub(super) fn run(mut self) {
        // Fails every slot even if a hook panics.
        let _end = EndOnDrop(Arc::clone(&self.connection));
        let reason = loop {
            let read = (&self.connection.stream).read(self.frame.space());
            if let Err(reason) = self.receive(read) {
                break reason;
            }
        };
        self.events.flush(&self.frame);
        self.connection.end(&reason);
    }

    /// Waits for bytes until the deadline, reads once, and passes on every complete message. Returns
    /// whether bytes arrived in time.
    pub(super) fn read_before(&mut self, deadline: Instant) -> Result<bool, Disconnect> {
        let stream = &self.connection.stream;
        let read = match readable_until([stream.as_fd()], Some(deadline)) {
            Ok([false]) => return Ok(false),
            Ok([true]) => stream.read_available(self.frame.space()),
            Err(error) => Err(error),
        };
        self.receive(read).map(|()| true)
    }

    /// Passes on every complete message after a read of the socket.
    fn receive(&mut self, read: io::Result<usize>) -> Result<(), Disconnect> {
        use io::ErrorKind::{ConnectionReset, Interrupted, WouldBlock};
        let read = match read {
            Ok(0) => return Err(Disconnect::EndOfStream),
            Ok(read) => read,
            Err(error) => match error.kind() {
                Interrupted | WouldBlock => return Ok(()),
                ConnectionReset => return Err(Disconnect::EndOfStream),
                _ => return Err(Disconnect::Read(Arc::new(error))),
            },
        };
        if self.connection.dispatcher.is_discarding() {
            return Err(Disconnect::Closed);
        }
        self.frame.fill(read);
        let outcome = self.process();
        self.events.end_read(&self.frame);
        // The socket may have had no room for a probe, and has now.
        self.connection.send_owed_probe();
        outcome
    }

    fn process(&mut self) -> Result<(), Disconnect> {
        while let Some(message) = self.frame.next()? {
            match message {
                Message::Event(range) => self.events.event(&self.frame, &range),
                Message::Stray(range) => self.events.stray_line(&self.frame, &range)?,
                Message::Part(range) => {
                    let lines = self.frame.bytes(&range);
                    self.replies.lines(&self.connection.router, lines)?;
                }
                Message::Reply(range) => {
                    // A caller that has the reply finds the events before it in the queue.
                    self.events.flush(&self.frame);
                    let rest = self.frame.bytes(&range);
                    self.replies.reply(&self.connection.router, rest, self.events.count())?;
                }
            }
        }
        Ok(())
    }
}

/// Ends the connection at the end of the reader thread, even if it panics.
struct EndOnDrop(Arc<Connection>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(&Disconnect::ReaderFailed);
        self.0.end_without_event_thread();
    }
}

#[cfg(test)]
mod tests;
