//! `RESOLVE`, and the wait for its `ADDRMAP` event.
//!
//! tor answers `RESOLVE` at once, and reports the address by an `ADDRMAP` event that names the
//! stream which tor made for the request. A `STREAM` event with status `NEWRESOLVE` follows the
//! reply and reports this stream with the name as it was sent. That event does not distinguish two
//! requests for one name, so the requests of one connection start one after the other.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::deadline_after;
use crate::command::{Command, Resolve};
use crate::controller::Controller;
use crate::controller::wait::Waiter;
use crate::error::{
    Error, InvalidInput, ProtocolError, ResolveError, ResolveProblem, Result, Timeout, Wait,
};
use crate::event::{AddrMapEvent, Event, EventKind, EventText, MappedAddress, StreamEvent};
use crate::link::timeout;
use crate::names::{StreamId, StreamPurpose, StreamStatus};

/// tor truncates longer names.
const LONGEST_NAME: usize = 255;

/// How long the next request waits for the `NEWRESOLVE` event of this one, which tor sends together
/// with the reply.
const START_LIMIT: Duration = Duration::from_secs(1);

type Outcome = Result<EventText, ResolveProblem>;

/// The progress of a request that an event reports.
enum Step {
    /// The request has a stream.
    Started,
    /// The request has an answer, or will never have one.
    Finished(Outcome),
}

/// One request; pure.
struct Lookup<'a> {
    name: &'a str,
    /// The number of the first event after the reply.
    first: u64,
    stream: Option<StreamId>,
    /// The targets with which tor has replaced the name, for versions of tor whose `ADDRMAP` events
    /// do not name the stream.
    targets: Vec<String>,
    /// The last answer in an event that does not name its stream.
    anonymous: Option<Outcome>,
}

impl<'a> Lookup<'a> {
    fn new(name: &'a str, first: u64) -> Self {
        Self { name, first, stream: None, targets: Vec::new(), anonymous: None }
    }

    fn apply(&mut self, number: u64, event: &Event) -> Option<Step> {
        match event {
            // An earlier request may be for the same name.
            _ if number < self.first => None,
            Event::Stream(event) if self.stream == Some(event.id()) => self.apply_stream(event),
            Event::Stream(event) if self.stream.is_none() && self.is_started_by(event) => {
                self.stream = Some(event.id());
                Some(Step::Started)
            }
            Event::AddrMap(event) => self.apply_mapping(event).map(Step::Finished),
            _ => None,
        }
    }

    fn is_started_by(&self, event: &StreamEvent) -> bool {
        let is_request = event.purpose().is_none_or(|it| it == StreamPurpose::DnsRequest);
        let target = event.target();
        let host = target.as_str().strip_suffix(":0");
        event.status() == StreamStatus::NewResolve && is_request && host == Some(self.name)
    }

    fn apply_stream(&mut self, event: &StreamEvent) -> Option<Step> {
        if event.status() != StreamStatus::Closed {
            self.targets.push(event.target().host().to_owned());
            return None;
        }
        let closed = ResolveProblem::Closed { reason: event.reason() };
        Some(Step::Finished(self.anonymous.take().unwrap_or(Err(closed))))
    }

    fn apply_mapping(&mut self, event: &AddrMapEvent) -> Option<Outcome> {
        if self.stream.is_none() {
            // tor could not start the request: the event repeats the name as the address.
            let is_answer = event.stream().is_none() && event.address() == self.name;
            return (is_answer && event.error().is_some()).then(|| outcome(event));
        }
        if event.stream().is_some() {
            return (event.stream() == self.stream).then(|| outcome(event));
        }
        // Other causes of this event set CACHED or have no expiry.
        let address = event.address();
        let address = address.to_str_lossy();
        let mut names = self.targets.iter().map(String::as_str).chain([self.name]);
        let is_answer = names.any(|name| name.eq_ignore_ascii_case(&address));
        if is_answer && event.cached() != Some(true) && event.local_expiry().is_some() {
            self.anonymous = Some(outcome(event));
        }
        None
    }
}

fn outcome(event: &AddrMapEvent) -> Outcome {
    let error = event.error().map(|error| error.to_str_lossy().into());
    match event.new_address() {
        MappedAddress::Address(address) if error.is_none() => Ok(address),
        MappedAddress::Removed if error.is_none() => Ok(EventText::default()),
        _ => Err(ResolveProblem::Failed { error }),
    }
}

/// # Names resolved through Tor
impl Controller {
    /// Resolves a name to an address through the Tor network.
    ///
    /// tor returns at most one address for a name, and none if the name has IPv6 addresses only.
    /// Names that are mapped, as by [`map_address`](Self::map_address), are resolved by tor without
    /// the network. Any thread may call this method, also a listener. While the option
    /// `__LeaveStreamsUnattached` is 1, the request waits to be attached like any stream. To start
    /// requests without waiting, [`execute`](Self::execute) a [`Resolve`].
    ///
    /// Each call on one connection receives the answer to its own request. If another program
    /// requests the same name from the same tor at the same moment, each may receive the answer to
    /// the other request.
    ///
    /// Sends `RESOLVE name`, and `SETEVENTS` as [`add_event_listener`](Self::add_event_listener)
    /// does for `ADDRMAP` and `STREAM`.
    ///
    /// Blocks the current thread until the name is resolved, for at most `limit` after tor has
    /// accepted the request, and before that for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] if there is no answer; [`Error::Timeout`]; [`Error::Closed`];
    /// [`Error::InvalidInput`] if the name is not ASCII, is longer than 255 bytes or contains
    /// blanks, quotes or `=`; [`Error::Protocol`] if the answer is not an address; otherwise those
    /// of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let address = controller.resolve("www.torproject.org", Duration::from_secs(30))?;
    /// println!("{address}");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn resolve(&self, name: &str, limit: Duration) -> Result<IpAddr> {
        let answer = self.look_up(name, &Resolve::new([name]), limit)?;
        let text = answer.to_str_lossy();
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(&text).parse().map_err(|_| malformed("an address", &answer))
    }

    /// Resolves an address to a name through the Tor network.
    ///
    /// Sends `RESOLVE mode=reverse address`. It blocks, and fails, as [`resolve`](Self::resolve)
    /// does.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve).
    pub fn resolve_reverse(&self, address: IpAddr, limit: Duration) -> Result<String> {
        let answer = self.look_up(&address.to_string(), &Resolve::reverse([address]), limit)?;
        if answer.as_bytes().is_empty() {
            return Err(malformed("a name", &answer));
        }
        Ok(answer.to_str_lossy().into_owned())
    }

    fn look_up(&self, name: &str, command: &Resolve, limit: Duration) -> Result<EventText> {
        command.request()?;
        if name.len() > LONGEST_NAME {
            return Err(InvalidInput::new("name", "is longer than 255 bytes").into());
        }
        let begin = self.deadline();
        let waiter = Waiter::new(self, &[EventKind::Stream, EventKind::AddrMap], begin)?;
        let resolving = self.inner.resolving.try_lock_until(begin);
        let resolving = resolving.ok_or_else(|| timeout(Resolve::KEYWORD, self.timeout))?;
        let ((), first) = self.execute_before(command, begin)?;
        let mut lookup = Lookup::new(name, first);
        let (deadline, timeout) = (deadline_after(limit), Timeout::new(Wait::Resolve, limit));
        let started = waiter.find(
            |number, event| lookup.apply(number, &event),
            deadline.min(deadline_after(START_LIMIT)),
            &timeout,
        );
        drop(resolving);
        let outcome = match started {
            Ok(Step::Finished(outcome)) => outcome,
            // Without the event, the answer may still name no stream.
            Ok(Step::Started) | Err(Error::Timeout(_)) => {
                let finished = |number, event: Event| match lookup.apply(number, &event) {
                    Some(Step::Finished(outcome)) => Some(outcome),
                    Some(Step::Started) | None => None,
                };
                waiter.find(finished, deadline, &timeout)?
            }
            Err(error) => return Err(error),
        };
        outcome.map_err(|problem| ResolveError::new(name, problem).into())
    }
}

fn malformed(expected: &'static str, answer: &EventText) -> Error {
    ProtocolError::new("the answer to RESOLVE", expected, answer.as_bytes()).into()
}
