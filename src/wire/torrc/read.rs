//! Parsing torrc, by tor's rules for comments, quotes and continued lines.

use std::borrow::Cow;

use memchr::memchr;

use crate::wire::quoted::{split_quoted, unescape_cstring};

/// The name and the value of an option.
type OptionLine<'a> = (&'a [u8], Cow<'a, [u8]>);

/// Returns the options of a configuration text for which `is_wanted` returns `true`, up to the
/// first syntax error, for which tor refuses the whole text. The values of other options are not
/// copied, since they may be secret.
///
/// The `+` in front of a name, which appends to an option, is removed. Lines with a `/`, which clear
/// an option, are skipped.
pub(crate) fn read_options(text: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Vec<OptionLine<'_>> {
    let mut options = Vec::new();
    let mut rest = text;
    while let Some((option, after)) = read_option(rest, &is_wanted) {
        options.extend(option);
        rest = after;
    }
    options
}

/// Parses one option. Returns it if it is wanted, and the text behind it.
fn read_option<'a>(
    text: &'a [u8],
    is_wanted: &impl Fn(&[u8]) -> bool,
) -> Option<(Option<OptionLine<'a>>, &'a [u8])> {
    let mut text = text.trim_ascii_start();
    while text.first() == Some(&b'#') {
        text = after_line(text).trim_ascii_start();
    }
    let is_end = |(at, byte): (usize, &u8)| {
        byte.is_ascii_whitespace() || *byte == b'#' || is_continuation(text.get(at..))
    };
    let end = text.iter().enumerate().position(is_end).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let name = word.strip_prefix(b"+").unwrap_or(word);
    let is_wanted = !word.starts_with(b"/") && is_wanted(name);
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(blanks..).unwrap_or_default();
    if rest.first() == Some(&b'"') {
        let (inside, rest) = split_quoted(rest)?;
        let (line, after) = rest.split_at(memchr(b'\n', rest).unwrap_or(rest.len()));
        let is_rest = matches!(line.trim_ascii(), [] | [b'#', ..]);
        let option = is_wanted.then(|| (name, unescape_cstring(inside)));
        return is_rest.then_some((option, after));
    }
    let mut value = Vec::new();
    let rest = read_plain(rest, |part| {
        if is_wanted {
            value.extend_from_slice(part);
        }
    });
    let option = is_wanted.then(|| (name, value.trim_ascii_end().to_owned().into()));
    (!word.is_empty()).then_some((option, rest))
}

/// Parses a value without quotes, and passes its parts to `take`. Returns the text behind it. In a
/// continued value a comment ends with its line, and the value continues behind it.
fn read_plain(text: &[u8], mut take: impl FnMut(&[u8])) -> &[u8] {
    let special = |text: &[u8]| text.iter().position(|byte| matches!(byte, b'\n' | b'#' | b'\\'));
    let mut is_continued = false;
    let mut rest = text;
    while let Some(at) = special(rest) {
        let (plain, special) = rest.split_at(at);
        take(plain);
        rest = match special {
            [b'\\', b'\n', after @ ..] => {
                is_continued = true;
                after
            }
            [b'\\', after @ ..] => {
                take(b"\\");
                after
            }
            [b'#', ..] if is_continued => after_line(special),
            special => return after_line(special),
        };
    }
    take(rest);
    &[]
}

fn is_continuation(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| text.starts_with(b"\\\n"))
}

/// Returns the text behind the first line feed.
fn after_line(text: &[u8]) -> &[u8] {
    memchr(b'\n', text).and_then(|at| text.get(at + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::read_options;

    #[track_caller]
    fn options(text: &str) -> Vec<String> {
        let show = |(name, value): (&[u8], std::borrow::Cow<'_, [u8]>)| {
            format!("{}={}", name.escape_ascii(), value.escape_ascii())
        };
        read_options(text.as_bytes(), |_| true).into_iter().map(show).collect()
    }

    #[test]
    fn options_are_parsed_like_tor() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n  \n# a comment\n\t#another\nA b\n", &["A=b"]),
            ("A /x/y # /not/this\n", &["A=/x/y"]),
            ("A# /not/this\nB 1", &["A=", "B=1"]),
            ("A\nB\t 1  \r\nC  a  b ", &["A=", "B=1", "C=a  b"]),
            (r#"A "x # \"y\" \057z" # c"#, &[r#"A=x # \"y\" /z"#]),
            ("A \"b\"\r\nC d", &["A=b", "C=d"]),
            ("A x\\\ny\nB 1", &["A=xy", "B=1"]),
            ("A x\\\n# gone\n y\nB 1", &["A=x y", "B=1"]),
            ("A\\\n b", &["A= b"]),
            (r"A back\slash", &[r"A=back\\slash"]),
            ("+A b\n/C\n/D e\nF g", &["A=b", "F=g"]),
        ] {
            assert_eq!(options(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_the_wanted_options_are_returned() {
        let text = b"A \"b\"\nC d\n+A e\n/A\nC \"f\" # g\nB h";
        let names: Vec<_> = read_options(text, |name| name != b"C")
            .into_iter()
            .map(|(name, value)| [name, &value].map(|part| part.escape_ascii().to_string()))
            .collect();
        assert_eq!(names, [["A", "b"], ["A", "e"], ["B", "h"]]);
    }

    #[test]
    fn parsing_ends_at_a_syntax_error() {
        assert_eq!(options("A b\nC \"open\nD e"), ["A=b"]);
        assert_eq!(options("A b\nC \"x\" excess\nD e"), ["A=b"]);
    }
}
