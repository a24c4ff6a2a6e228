//! What tor has told of one stream.

use std::fmt;

use super::cell::Cell;
use crate::event::{EventText, StreamEvent};
use crate::names::{
    CircuitId, ClientProtocol, IsoField, StreamId, StreamPurpose, StreamReason, StreamSource,
    StreamStatus, Target,
};

/// What tor has told of a stream, up to one event.
///
/// It never changes: [`Stream::info`](super::Stream::info) returns another one after the next event.
/// tor reports what does not change only once, and of streams that were there before the state only
/// their status, circuit and target: the other fields of these are `None` until an event has them,
/// and [`source_addr`](Self::source_addr) and [`purpose`](Self::purpose) stay so.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The stream.
    pub id: StreamId,
    /// Its state: never [`StreamStatus::Remap`] and none of the four by which both sides slow each
    /// other down, which leave the state as it was.
    pub status: StreamStatus,
    /// The circuit it is attached to; of one that has ended, the last one. On a conflux pair it is
    /// the leg that tor's last `STREAM` event named, which can be the other one by now.
    pub circuit: Option<CircuitId>,
    /// Where it goes, by the last event. `REDIRECTSTREAM` changes it without an event.
    pub target: Target,
    /// Why it ended or left its circuit.
    pub reason: Option<StreamReason>,
    /// The reason that the other side gave, if the reason is that it ended the stream.
    pub remote_reason: Option<StreamReason>,
    /// Who replaced the target by another address.
    pub source: Option<StreamSource>,
    /// The application that asked for it; tor's own streams have none.
    pub source_addr: Option<Target>,
    /// What it is for.
    pub purpose: Option<StreamPurpose>,
    /// The user name of the SOCKS request.
    pub socks_username: Option<EventText>,
    /// The password of the SOCKS request.
    pub socks_password: Option<EventText>,
    /// The protocol by which the application asked for it.
    pub client_protocol: Option<ClientProtocol>,
    /// The number of `NEWNYM` signals before it.
    pub nym_epoch: Option<u64>,
    /// The group of the port of tor that the application used; tor's own are negative.
    pub session_group: Option<i64>,
    /// What keeps it apart from streams that differ in it.
    pub iso_fields: Vec<IsoField>,
    text: EventText,
}

impl StreamInfo {
    /// Takes what an event tells.
    pub(super) fn of(event: StreamEvent) -> Self {
        let text = event.text().clone();
        let circuit = match event.status {
            // The event names the circuit that it has left, also when it waits for another.
            StreamStatus::Detached | StreamStatus::ControllerWait => None,
            _ => event.circuit,
        };
        Self {
            id: event.id,
            status: event.status,
            circuit,
            target: event.target,
            reason: event.reason,
            remote_reason: event.remote_reason,
            source: event.source,
            source_addr: event.source_addr,
            purpose: event.purpose,
            socks_username: event.socks_username,
            socks_password: event.socks_password,
            client_protocol: event.client_protocol,
            nym_epoch: event.nym_epoch,
            session_group: event.session_group,
            iso_fields: event.iso_fields,
            text,
        }
    }

    /// Takes what an event tells after what was known before.
    pub(super) fn after(before: &Self, event: StreamEvent) -> Self {
        let mut info = Self::of(event);
        if !is_state(&info.status) {
            info.status = before.status.clone();
        }
        if info.is_over() {
            info.circuit = info.circuit.or(before.circuit);
            // What failed is closed afterwards, not always with the reason.
            let was_failed = before.status == StreamStatus::Failed;
            if info.reason.is_none() && was_failed {
                info.reason.clone_from(&before.reason);
                info.remote_reason.clone_from(&before.remote_reason);
            }
        }
        // It waits again, for the reason for which it left its circuit.
        if info.status == StreamStatus::ControllerWait && before.status == StreamStatus::Detached {
            info.reason.clone_from(&before.reason);
            info.remote_reason.clone_from(&before.remote_reason);
        }
        if info.client_protocol.is_none() {
            info.client_protocol.clone_from(&before.client_protocol);
            info.iso_fields.clone_from(&before.iso_fields);
        }
        keep(&mut info.source, &before.source);
        keep(&mut info.source_addr, &before.source_addr);
        keep(&mut info.purpose, &before.purpose);
        keep(&mut info.socks_username, &before.socks_username);
        keep(&mut info.socks_password, &before.socks_password);
        keep(&mut info.nym_epoch, &before.nym_epoch);
        keep(&mut info.session_group, &before.session_group);
        info
    }

    /// Returns about how many bytes this keeps.
    pub(super) fn size(&self) -> usize {
        /// The target, and texts that earlier events told.
        const TEXTS: usize = 256;
        size_of::<Self>()
            + TEXTS
            + self.text.as_bytes().len()
            + self.iso_fields.capacity() * size_of::<IsoField>()
    }

    /// Returns whether tor keeps streams of other SOCKS credentials off the circuit of this one.
    pub(super) fn isolates_credentials(&self) -> bool {
        let has = |field| self.iso_fields.contains(&field);
        (self.socks_username.is_some() && has(IsoField::SocksUsername))
            || (self.socks_password.is_some() && has(IsoField::SocksPassword))
    }

    /// Returns the text of the last event, or the line of the snapshot as such an event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    /// Returns whether the stream has ended: it is closed, or has failed and is about to be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status, StreamStatus::Closed | StreamStatus::Failed)
    }
}

/// Whether a status is one in which a stream can be, and not something that happens to it.
fn is_state(status: &StreamStatus) -> bool {
    !matches!(
        status,
        StreamStatus::Remap
            | StreamStatus::XoffSent
            | StreamStatus::XoffReceived
            | StreamStatus::XonSent
            | StreamStatus::XonReceived
    )
}

/// Keeps what was known before if nothing is known now.
fn keep<T: Clone>(now: &mut Option<T>, before: &Option<T>) {
    if now.is_none() {
        now.clone_from(before);
    }
}

impl fmt::Debug for StreamInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamInfo({:?})", self.text)
    }
}

/// The place of one stream.
pub(crate) type StreamCell = Cell<StreamId, StreamInfo>;
