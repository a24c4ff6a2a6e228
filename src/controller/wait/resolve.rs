//! Names and addresses, resolved while the caller waits.
//!
//! tor answers `RESOLVE` at once, and what it finds comes as `ADDRMAP` event with the number of the
//! stream that it made for the request. That number is told by the `STREAM` event `NEWRESOLVE`,
//! which comes right after the reply and repeats the name as it was sent. Nothing in it tells
//! apart two requests of the same name, so that on one connection they begin one after the other.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::command::{Command, Resolve};
use crate::controller::Controller;
use crate::controller::wait::Waiter;
use crate::error::{
    Error, InvalidInput, ProtocolError, ResolveError, ResolveProblem, Result, Timeout, Wait,
};
use crate::event::{AddrMapEvent, Event, EventKind, EventText, MappedAddress, StreamEvent};
use crate::link::deadline_after;
use crate::names::{StreamId, StreamPurpose, StreamStatus};

/// tor cuts off what is longer.
const LONGEST_NAME: usize = 255;

/// How long the next request waits for the stream of this one to begin, which tor tells in the
/// same moment as the reply.
const EVENT_LIMIT: Duration = Duration::from_secs(1);

/// What events have told of a request.
enum Step {
    /// It has a stream.
    Begun,
    /// It has an answer, or will never get one.
    Over(Result<EventText, ResolveProblem>),
}

/// One request; pure.
struct Lookup<'a> {
    name: &'a str,
    /// The number of the first event after the reply.
    first: u64,
    stream: Option<StreamId>,
    /// What the name was replaced by, in versions of tor that do not tell whose an answer is.
    replaced: Vec<String>,
    /// The last answer that does not tell whose it is.
    unsigned: Option<Result<EventText, ResolveProblem>>,
}

impl<'a> Lookup<'a> {
    fn new(name: &'a str, first: u64) -> Self {
        Self { name, first, stream: None, replaced: Vec::new(), unsigned: None }
    }

    fn see(&mut self, number: u64, event: &Event) -> Option<Step> {
        match event {
            // Another request, older than this one, may be for the same name.
            _ if number < self.first => None,
            Event::Stream(event) if self.stream == Some(event.id) => self.see_stream(event),
            Event::Stream(event) if self.stream.is_none() && self.is_begun_by(event) => {
                self.stream = Some(event.id);
                Some(Step::Begun)
            }
            Event::AddrMap(event) => self.see_answer(event).map(Step::Over),
            _ => None,
        }
    }

    fn is_begun_by(&self, event: &StreamEvent) -> bool {
        let is_request = event.purpose.as_ref().is_none_or(|it| *it == StreamPurpose::DnsRequest);
        let host = event.target.as_str().strip_suffix(":0");
        event.status == StreamStatus::NewResolve && is_request && host == Some(self.name)
    }

    fn see_stream(&mut self, event: &StreamEvent) -> Option<Step> {
        match event.status {
            StreamStatus::Closed => {
                let closed = ResolveProblem::Closed { reason: event.reason.clone() };
                Some(Step::Over(self.unsigned.take().unwrap_or(Err(closed))))
            }
            _ => {
                self.replaced.push(event.target.host().to_owned());
                None
            }
        }
    }

    fn see_answer(&mut self, event: &AddrMapEvent) -> Option<Result<EventText, ResolveProblem>> {
        if self.stream.is_none() {
            // tor could not even begin. It repeats the name instead of an address.
            let is_ours = event.stream.is_none() && event.address == self.name;
            return (is_ours && event.error.is_some()).then(|| answer(event));
        }
        if event.stream.is_some() {
            return (event.stream == self.stream).then(|| answer(event));
        }
        // Whatever else makes this event says that tor keeps the mapping, or has no end for it.
        let address = event.address.to_str_lossy();
        let is_about = |name: &str| name.eq_ignore_ascii_case(&address);
        let is_ours = is_about(self.name) || self.replaced.iter().any(|name| is_about(name));
        if is_ours && event.cached != Some(true) && event.local_expiry.is_some() {
            self.unsigned = Some(answer(event));
        }
        None
    }
}

fn answer(event: &AddrMapEvent) -> Result<EventText, ResolveProblem> {
    let error = event.error.as_ref().map(|error| error.to_str_lossy().into());
    match &event.new_address {
        MappedAddress::Address(address) if error.is_none() => Ok(address.clone()),
        MappedAddress::Removed if error.is_none() => Ok(EventText::default()),
        _ => Err(ResolveProblem::Failed { error }),
    }
}

impl Controller {
    /// Resolves a name to an address through the network, and returns it. [`resolve`](Self::resolve)
    /// does not wait.
    ///
    /// Names that are mapped, as by [`map_address`](Self::map_address), are answered by tor itself.
    /// tor has no more than one address for a name, and none if the name has IPv6 addresses only.
    /// Any thread may wait, also inside a listener. While the option `__LeaveStreamsUnattached` is
    /// 1, the request waits for a circuit as every stream does.
    ///
    /// Sends `RESOLVE name`, and `SETEVENTS` as [`add_event_listener`](Self::add_event_listener)
    /// does: the answer is an `ADDRMAP` event, and a `STREAM` event tells which one. On one
    /// connection every caller gets the answer to its own request. Another program that asks the
    /// same tor for the same name in the same moment may get the answer to this request, and this
    /// one its answer.
    ///
    /// Blocks the current thread until the name is resolved, for at most the given time after tor
    /// has taken the request; before that, for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] if there is no answer; [`Error::Timeout`] if none came in time,
    /// [`Error::Closed`] if the connection ended first; [`Error::InvalidInput`] if the name is not
    /// ASCII, longer than 255 bytes or holds blanks, quotes or `=`; [`Error::Protocol`] if the
    /// answer is no address; otherwise those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let address = controller.resolve_and_wait("www.torproject.org", Duration::from_secs(30))?;
    /// println!("{address}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn resolve_and_wait(&self, name: &str, limit: Duration) -> Result<IpAddr> {
        let answer = self.look_up(name, &Resolve::new([name]), limit)?;
        let text = answer.to_str_lossy();
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(&text).parse().map_err(|_| unreadable("an address", &answer))
    }

    /// Resolves an address to a name through the network, and returns it.
    /// [`resolve_reverse`](Self::resolve_reverse) does not wait.
    ///
    /// Sends `RESOLVE mode=reverse address`. Everything else is as with
    /// [`resolve_and_wait`](Self::resolve_and_wait).
    ///
    /// Blocks the current thread until the address is resolved, for at most the given time after
    /// tor has taken the request; before that, for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`resolve_and_wait`](Self::resolve_and_wait).
    pub fn resolve_reverse_and_wait(&self, address: IpAddr, limit: Duration) -> Result<String> {
        let answer = self.look_up(&address.to_string(), &Resolve::reverse([address]), limit)?;
        if answer.as_bytes().is_empty() {
            return Err(unreadable("a name", &answer));
        }
        Ok(answer.to_str_lossy().into_owned())
    }

    /// Sends a request for one name and waits for its answer.
    fn look_up(&self, name: &str, command: &Resolve, limit: Duration) -> Result<EventText> {
        // Before anything is sent.
        command.request()?;
        if name.len() > LONGEST_NAME {
            return Err(InvalidInput::new("name", "is longer than 255 bytes").into());
        }
        let deadline = deadline_after(self.timeout);
        let waiter = Waiter::new(self, &[EventKind::Stream, EventKind::AddrMap], deadline)?;
        let beginning = self.inner.resolving.try_lock_until(deadline);
        if beginning.is_none() {
            return Err(Timeout::new(Wait::Reply("RESOLVE".into()), self.timeout).into());
        }
        let mut beginning = beginning;
        let ((), first) = self.execute_before(command, deadline)?;
        let mut lookup = Lookup::new(name, first);
        let deadline = deadline_after(limit);
        let patience = deadline.min(deadline_after(EVENT_LIMIT));
        let timeout = Timeout::new(Wait::Resolve, limit);
        loop {
            let until = if beginning.is_some() { patience } else { deadline };
            match waiter.find(|number, event| lookup.see(number, &event), until, &timeout) {
                Ok(Step::Begun) => beginning = None,
                Ok(Step::Over(Ok(answer))) => return Ok(answer),
                Ok(Step::Over(Err(problem))) => {
                    return Err(ResolveError::new(name, problem).into());
                }
                // Others have waited long enough.
                Err(Error::Timeout(_)) if beginning.is_some() && Instant::now() < deadline => {
                    beginning = None;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn unreadable(expected: &'static str, answer: &EventText) -> Error {
    ProtocolError::new("the answer to RESOLVE", expected, answer.as_bytes()).into()
}
