//! Patterns of lines, and the replacements of matches.

/// Returns what stands in the angle brackets of a pattern, if the pattern matches the whole text.
///
/// `*` stands for one or more bytes that are no blank, `**` for any bytes or none, `#` for a digit;
/// `<` and `>` surround what is captured; everything else stands for itself.
pub(crate) fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut captured = Vec::new();
    matches(pattern, text, 0, 0, &mut captured).then_some(captured)
}

fn matches<'t>(
    pattern: &str,
    text: &'t str,
    at: usize,
    opened: usize,
    captured: &mut Vec<&'t str>,
) -> bool {
    let Some(first) = pattern.chars().next() else { return at == text.len() };
    let after = &pattern[first.len_utf8()..];
    let rest = &text[at..];
    match first {
        '<' => matches(after, text, at, at, captured),
        '>' => {
            captured.push(&text[opened..at]);
            let found = matches(after, text, at, opened, captured);
            if !found {
                captured.pop();
            }
            found
        }
        '*' => {
            let (after, longest, shortest) = match after.strip_prefix('*') {
                Some(after) => (after, rest.len(), 0),
                None => (after, rest.find(' ').unwrap_or(rest.len()), 1),
            };
            (shortest..=longest)
                .rev()
                .filter(|length| rest.is_char_boundary(*length))
                .any(|length| matches(after, text, at + length, opened, captured))
        }
        '#' => {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && matches(after, text, at + 1, opened, captured)
        }
        literal => {
            rest.starts_with(literal)
                && matches(after, text, at + literal.len_utf8(), opened, captured)
        }
    }
}

/// Returns a replacement with `{client}` filled in, and each `{}` with one of the captured texts.
pub(crate) fn filled(replacement: &str, captured: &[&str]) -> String {
    let mut parts = replacement.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, captured) in parts.zip(captured) {
        text += captured;
        text += part;
    }
    text.replace("{client}", "127.0.0.1")
}

#[test]
fn a_pattern_matches_whole_lines_and_captures_parts() {
    for (pattern, text, expected) in [
        (
            "NEW:<*> Port=80,<176##>",
            "NEW:ED25519-V3 Port=80,17600",
            Some(vec!["ED25519-V3", "17600"]),
        ),
        ("NEW:<*> Port=80,<176##>", "NEW:ED25519-V3 Port=80,127.0.0.1:17600", None),
        ("NEW:<*> Port=80,<176##>", "NEW:ED25519-V3 Flags=Detach Port=80,17600", None),
        ("<*>:<*> Port=1,<*>", "A:B:C Port=1,x", Some(vec!["A:B", "C", "x"])),
        ("650 HS_DESC UPLOAD <*> **", "650 HS_DESC UPLOAD a b c", Some(vec!["a"])),
        ("**", "", Some(vec![])),
        ("*", "", None),
    ] {
        assert_eq!(captures(pattern, text), expected, "{pattern} {text}");
    }
    assert_eq!(
        filled("NEW:{} Port=80,{client}:{}", &["X", "17600"]),
        "NEW:X Port=80,127.0.0.1:17600"
    );
}
