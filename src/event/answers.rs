//! Values of `GETINFO` whose lines are events without their first word.

use crate::error::ProtocolError;
use crate::event::typed::Parsed;
use crate::event::{BwEvent, CircEvent, ClientsSeenEvent, EventText, OrConnEvent, StreamEvent};

/// Parses each line of a value as an event.
///
/// The events share no memory, so that a program can store one without the others.
fn read_lines<E>(
    key: &str,
    keyword: &[u8],
    parse: impl Fn(EventText) -> Parsed<E>,
    answer: &[u8],
) -> Result<Vec<E>, ProtocolError> {
    let lines = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let event = |line: &[u8]| {
        parse(EventText::new(&[keyword, line].concat()))
            .map_err(|(_, expected)| ProtocolError::new(key, expected, line))
    };
    lines.map(event).collect()
}

impl CircEvent {
    /// Reads `GETINFO circuit-status`.
    pub(crate) fn read_status(answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        read_lines("circuit-status", b"CIRC ", Self::parse, answer)
    }
}

impl StreamEvent {
    /// Reads `GETINFO stream-status`.
    pub(crate) fn read_status(answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        read_lines("stream-status", b"STREAM ", Self::parse, answer)
    }
}

impl OrConnEvent {
    /// Reads `GETINFO orconn-status`.
    pub(crate) fn read_status(answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        read_lines("orconn-status", b"ORCONN ", Self::parse, answer)
    }
}

impl BwEvent {
    /// Reads `GETINFO bw-event-cache`: `26,427 22915,18491`.
    pub(crate) fn read_cache(answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        let pairs = answer.split(|byte| *byte == b' ').filter(|pair| !pair.is_empty());
        let event = |pair: &[u8]| {
            let blank = |byte: &u8| if *byte == b',' { b' ' } else { *byte };
            let text: Vec<u8> = b"BW ".iter().copied().chain(pair.iter().map(blank)).collect();
            Self::parse(EventText::new(&text))
                .map_err(|(_, expected)| ProtocolError::new("bw-event-cache", expected, pair))
        };
        pairs.map(event).collect()
    }
}

impl ClientsSeenEvent {
    /// Reads `GETINFO status/clients-seen`.
    pub(crate) fn read_status(answer: &[u8]) -> Self {
        Self::parse(EventText::new(&[b"CLIENTS_SEEN ", answer].concat()))
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{BwEvent, CircEvent, ClientsSeenEvent, OrConnEvent, StreamEvent};
    use crate::names::{CircuitStatus, OrConnStatus, StreamStatus};

    #[test]
    fn each_line_is_read_as_its_event() {
        let circuits = CircEvent::read_status(
            b"3 BUILT $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a PURPOSE=GENERAL\n\
              4 LAUNCHED PURPOSE=GENERAL",
        );
        let circuits = circuits.unwrap();
        assert_eq!(circuits.len(), 2);
        assert_eq!(circuits[0].path().len(), 1);
        assert_eq!(circuits[1].status(), CircuitStatus::Launched);
        assert_eq!(circuits[1].text(), "CIRC 4 LAUNCHED PURPOSE=GENERAL");
        let streams = StreamEvent::read_status(b"37 NEW 0 127.0.0.1:33123").unwrap();
        assert_eq!((&streams[0].status(), &streams[0].circuit()), (&StreamStatus::New, &None));
        let connections =
            OrConnEvent::read_status(b"$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a CONNECTED");
        assert_eq!(connections.unwrap()[0].status(), OrConnStatus::Connected);
        assert_eq!(CircEvent::read_status(b"").unwrap(), []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error() {
        let error = StreamEvent::read_status(b"37 NEW 0 127.0.0.1:33123\n38 NEW").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read stream-status: expected a circuit id, got \"38 NEW\""
        );
    }

    #[test]
    fn each_second_of_the_cache_is_an_event() {
        let events = BwEvent::read_cache(b"0,0 26,427 22915,18491").unwrap();
        let bytes: Vec<_> =
            events.iter().map(|event| (event.bytes_read(), event.bytes_written())).collect();
        assert_eq!(bytes, [(0, 0), (26, 427), (22915, 18491)]);
        assert_eq!(events[1].text(), "BW 26 427");
        assert_eq!(BwEvent::read_cache(b"").unwrap(), []);
        let error = BwEvent::read_cache(b"0,0 26").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read bw-event-cache: expected the number of bytes written, got \"26\""
        );
    }

    #[test]
    fn the_clients_of_a_bridge_are_those_of_the_event() {
        let answer = b"TimeStarted=\"1970-01-01 00:00:00\" CountrySummary= IPVersions=v4=0,v6=0";
        let clients = ClientsSeenEvent::read_status(answer);
        assert!(clients.countries().is_empty());
        assert_eq!(clients.ip_versions().len(), 2);
        let clients = ClientsSeenEvent::read_status(b"CountrySummary=us=16,de=8");
        assert_eq!(clients.countries()[1].name, "de");
        assert_eq!(clients.countries()[1].count, 8);
        assert_eq!(clients.text(), "CLIENTS_SEEN CountrySummary=us=16,de=8");
    }
}
