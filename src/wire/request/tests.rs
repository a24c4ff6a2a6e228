use super::{COMMAND_LIMIT, Request};

fn encoded(request: &Request) -> String {
    String::from_utf8(request.encode().unwrap()).unwrap()
}

fn refusal(line: &str) -> String {
    Request::from_line(line).and_then(|request| request.encode()).unwrap_err().to_string()
}

#[test]
fn arguments_keep_their_order() {
    let request = Request::new("GETINFO")
        .token("key", "version")
        .and_then(|request| request.token("key", "ns/id/$AB"))
        .unwrap();
    assert_eq!(encoded(&request), "GETINFO version ns/id/$AB\r\n");
}

#[test]
fn a_quoted_value_cannot_leave_its_quotes() {
    // Stem: set_conf("ContactInfo", "x\" Nickname=\"evil") set the nickname (peers 16).
    let request = Request::new("SETCONF")
        .cstring_pair("value", "ContactInfo", b"x\" Nickname=\"evil\\ \x01\x31")
        .unwrap();
    assert_eq!(encoded(&request), "SETCONF ContactInfo=\"x\\\" Nickname=\\\"evil\\\\ \\0011\"\r\n");
}

#[test]
fn line_breaks_and_nul_are_refused_in_every_argument() {
    for (bad, problem) in [("a\nb", "a line feed"), ("a\rb", "a carriage return"), ("a\0b", "NUL")]
    {
        let message = format!("invalid argument \"key\": contains {problem}");
        let token = Request::new("GETINFO").token("key", bad);
        assert_eq!(token.unwrap_err().to_string(), message);
        let pair = Request::new("SETCONF").cstring_pair("key", "ContactInfo", bad.as_bytes());
        assert_eq!(pair.unwrap_err().to_string(), message);
        let pair = Request::new("HSFETCH").pair("key", bad);
        assert_eq!(pair.unwrap_err().to_string(), message);
        let message = format!("invalid argument \"command\": contains {problem}");
        assert_eq!(refusal(bad), message);
    }
    let data = Request::new("LOADCONF").data("text", b"a\0");
    assert_eq!(data.unwrap_err().to_string(), "invalid argument \"text\": contains NUL");
}

#[test]
fn a_token_is_one_word() {
    for (bad, problem) in [
        ("", "is empty"),
        ("a b", "contains a blank"),
        ("a\tb", "contains a blank"),
        ("a\x07", "contains a control character"),
    ] {
        let error = Request::new("GETINFO").token("key", bad).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid argument \"key\": {problem}"));
    }
}

#[test]
fn data_is_dot_stuffed_and_ends_with_a_lone_dot() {
    // Stem: tor ran the lines behind a lone dot in LOADCONF as commands (peers 17).
    let request = Request::new("LOADCONF").data("text", b"a\n.\r\n..b\nSIGNAL HALT").unwrap();
    assert_eq!(encoded(&request), "+LOADCONF\r\na\r\n..\r\n...b\r\nSIGNAL HALT\r\n.\r\n");
    let ended = Request::new("LOADCONF").data("text", b"a\n").unwrap();
    assert_eq!(encoded(&ended), "+LOADCONF\r\na\r\n.\r\n");
}

#[test]
fn the_data_are_those_that_tor_reads() {
    for (data, read) in [
        ("a", "a\n"),
        ("a\n.\r\n..b\nc", "a\n.\n..b\nc\n"),
        ("a\n\n", "a\n\n"),
        ("\n", "\n"),
        (".", ".\n"),
    ] {
        let request = Request::new("LOADCONF").data("text", data.as_bytes()).unwrap();
        assert_eq!(request.data_text().as_slice(), read.as_bytes(), "{data:?}");
    }
}

#[test]
fn a_raw_line_must_begin_with_a_keyword() {
    assert_eq!(refusal(""), "invalid argument \"command\": is empty");
    assert_eq!(refusal(" GETINFO"), "invalid argument \"command\": begins with a blank");
    assert_eq!(
        refusal("+LOADCONF"),
        "invalid argument \"command\": begins with \"+\": commands with data have methods"
    );
    assert_eq!(
        refusal("\"GETINFO\""),
        "invalid argument \"command\": does not begin with a keyword"
    );
    let request = Request::from_line("getinfo version").unwrap();
    assert_eq!(request.keyword(), "GETINFO");
    assert_eq!(encoded(&request), "getinfo version\r\n");
}

#[test]
fn a_command_that_tor_never_answers_or_answers_twice_is_refused() {
    assert_eq!(
        refusal("setcircuitpurpose  "),
        "invalid argument \"SETCIRCUITPURPOSE\": has no argument, and tor would abort"
    );
    assert_eq!(
        refusal("closestream 41 00 Flag"),
        "invalid argument \"CLOSESTREAM\": has the reason 0, with which tor reports the stream \
         as connected"
    );
    assert!(Request::from_line("CLOSESTREAM 0 1").unwrap().encode().is_ok());
    assert_eq!(
        refusal("ADD_ONION NEW:BEST clientauth=bob Port=80"),
        "invalid argument \"ADD_ONION\": has ClientAuth=, which tor never answers: \
         use ClientAuthV3="
    );
    assert_eq!(
        refusal("ONION_CLIENT_AUTH_ADD id x25519:AAAA ClientName=12345678901234567"),
        "invalid argument \"ONION_CLIENT_AUTH_ADD\": has a ClientName of over 16 characters, \
         which tor answers twice"
    );
    assert_eq!(
        refusal("GETINFO version downloads/desc/descs"),
        "invalid argument \"GETINFO\": queries downloads/desc/descs, \
         which makes some versions of tor abort"
    );
    let post = Request::new("HSPOST").data("descriptor", b"x").unwrap();
    assert_eq!(
        post.encode().unwrap_err().to_string(),
        "invalid argument \"HSPOST\": has no HSADDRESS=, without which tor never answers"
    );
    assert!(Request::from_line("ADD_ONION NEW:BEST ClientAuthV3=A Port=80").is_ok());
}

#[test]
fn the_longest_command_is_one_byte_shorter_than_a_mebibyte() {
    let line = |length: usize| format!("GETINFO {}", "a".repeat(length - 10));
    let longest = Request::from_line(&line(COMMAND_LIMIT)).unwrap();
    assert_eq!(longest.encode().unwrap().len(), COMMAND_LIMIT);
    assert_eq!(
        refusal(&line(COMMAND_LIMIT + 1)),
        "invalid argument \"command\": has 1048576 bytes, and tor accepts at most 1048575"
    );
}

#[test]
fn debug_shows_the_arguments_of_listed_keywords() {
    let shown = Request::new("GETINFO").token("key", "version").unwrap();
    assert_eq!(format!("{shown:?}"), "Request(GETINFO version)");
    let hidden = Request::new("AUTHENTICATE").hex(b"secret");
    assert_eq!(format!("{hidden:?}"), "Request(AUTHENTICATE [redacted])");
    let unknown = Request::from_line("NEWCOMMAND secret").unwrap();
    assert_eq!(format!("{unknown:?}"), "Request(NEWCOMMAND [redacted])");
}

#[test]
fn a_request_of_one_line_has_a_keyword_and_arguments() {
    for (line, keyword, arguments) in [
        ("getinfo version", "GETINFO", " version"),
        ("GETINFO\tversion  x", "GETINFO", "\tversion  x"),
        ("quit", "QUIT", ""),
        ("novelty a", "NOVELTY", " a"),
    ] {
        let request = Request::from_line(line).unwrap();
        assert_eq!(request.keyword(), keyword);
        assert_eq!(request.keyword_cow(), keyword);
        assert_eq!(request.arguments(), arguments.as_bytes());
        assert_eq!(request.ends_connection(), keyword == "QUIT");
    }
}
