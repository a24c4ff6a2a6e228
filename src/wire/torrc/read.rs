//! Parsing torrc, by tor's rules for comments, quotes and continued lines.

use std::borrow::Cow;

use memchr::memchr;

use crate::wire::quoted::read_cstring;

/// The name and the value of an option.
type OptionLine<'a> = (&'a [u8], Cow<'a, [u8]>);

/// Returns the options of a configuration text, up to the first syntax error, for which tor refuses
/// the whole text.
///
/// The `+` in front of a name, which appends to an option, is removed. Lines with a `/`, which clear
/// an option, are skipped.
pub(crate) fn read_options(text: &[u8]) -> Vec<OptionLine<'_>> {
    let mut options = Vec::new();
    let mut rest = text;
    while let Some(((name, value), after)) = read_option(rest) {
        match name {
            [b'/', ..] => {}
            [b'+', name @ ..] => options.push((name, value)),
            name => options.push((name, value)),
        }
        rest = after;
    }
    options
}

/// Parses one option. Returns it and the text behind it.
fn read_option(text: &[u8]) -> Option<(OptionLine<'_>, &[u8])> {
    let mut text = text.trim_ascii_start();
    while text.first() == Some(&b'#') {
        text = after_line(text).trim_ascii_start();
    }
    let is_end = |(at, byte): (usize, &u8)| {
        byte.is_ascii_whitespace() || *byte == b'#' || is_continuation(text.get(at..))
    };
    let end = text.iter().enumerate().position(is_end).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(blanks..).unwrap_or_default();
    if rest.first() == Some(&b'"') {
        let (value, rest) = read_cstring(rest)?;
        let (line, after) = rest.split_at(memchr(b'\n', rest).unwrap_or(rest.len()));
        let is_rest = matches!(line.trim_ascii(), [] | [b'#', ..]);
        return is_rest.then_some(((name, value), after));
    }
    let (value, rest) = read_plain(rest);
    (!name.is_empty()).then_some(((name, value), rest))
}

/// Parses a value without quotes. In a continued value a comment ends with its line, and the value
/// continues behind it.
fn read_plain(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let special = |text: &[u8]| text.iter().position(|byte| matches!(byte, b'\n' | b'#' | b'\\'));
    let mut value = Vec::new();
    let mut is_continued = false;
    let mut rest = text;
    while let Some(at) = special(rest) {
        let (plain, special) = rest.split_at(at);
        value.extend_from_slice(plain);
        rest = match special {
            [b'\\', b'\n', after @ ..] => {
                is_continued = true;
                after
            }
            [b'\\', after @ ..] => {
                value.push(b'\\');
                after
            }
            [b'#', ..] if is_continued => after_line(special),
            special => {
                let after = after_line(special);
                return (value.trim_ascii_end().to_owned().into(), after);
            }
        };
    }
    value.extend_from_slice(rest);
    (value.trim_ascii_end().to_owned().into(), &[])
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
        read_options(text.as_bytes()).into_iter().map(show).collect()
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
    fn parsing_ends_at_a_syntax_error() {
        assert_eq!(options("A b\nC \"open\nD e"), ["A=b"]);
        assert_eq!(options("A b\nC \"x\" excess\nD e"), ["A=b"]);
    }
}
