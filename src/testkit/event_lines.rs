use super::answer::stuffed;
use crate::event::{Event, EventText};

/// Requires that a text is an event that torcon can parse.
#[track_caller]
pub(super) fn check(event: &str) {
    if event.contains('\r') || event.is_empty() {
        panic!("not an event: {event:?}");
    }
    if event.starts_with("650") {
        panic!("the text of an event has no status code: {event:?}");
    }
    if let Event::Malformed { reason, .. } = Event::parse(EventText::new(event.as_bytes())) {
        panic!("not an event of tor: {event:?}: {reason}");
    }
}

/// Returns the name of an event.
pub(super) fn keyword(event: &str) -> &str {
    event.split([' ', '\n']).next().unwrap_or_default()
}

/// Returns an event as tor sends it.
pub(super) fn wire(event: &str) -> String {
    // tor sends the lines of this event with a status code each, and those of others as data.
    if keyword(event) == "CONF_CHANGED" {
        let lines = event.lines().map(|line| format!("650-{line}\r\n"));
        return lines.chain(["650 OK\r\n".to_owned()]).collect();
    }
    let Some((first, data)) = event.split_once('\n') else {
        return format!("650 {event}\r\n");
    };
    let data: String = stuffed(data).map(|line| format!("{line}\r\n")).collect();
    format!("650+{first}\r\n{data}.\r\n650 OK\r\n")
}

#[cfg(test)]
mod tests {
    use super::{check, keyword, wire};

    #[test]
    fn an_event_is_sent_as_tor_sends_it() {
        assert_eq!(wire("BW 1 2"), "650 BW 1 2\r\n");
        assert_eq!(
            wire("CONF_CHANGED\nA=1\nB"),
            "650-CONF_CHANGED\r\n650-A=1\r\n650-B\r\n650 OK\r\n"
        );
        assert_eq!(wire("NS\nr a\n.b"), "650+NS\r\nr a\r\n..b\r\n.\r\n650 OK\r\n");
        assert_eq!([keyword("BW 1 2"), keyword("NS\nr a"), keyword("X")], ["BW", "NS", "X"]);
    }

    #[test]
    fn a_text_that_is_no_event_is_refused() {
        check("BW 1 2");
        check("NEW_KIND x");
        for text in ["", "BW 1", "650 BW 1 2", "BW 1 2\r\n", "CIRC x"] {
            assert!(std::panic::catch_unwind(|| check(text)).is_err(), "{text:?}");
        }
    }
}
