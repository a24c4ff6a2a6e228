//! Lines of text that fit into a width.

use ratatui::text::{Line, Span};

/// Returns the width of a text on the terminal.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Cuts a text to a width, and marks the cut.
pub(super) fn fit(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut result = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += letter_width(letter);
        // One column is for the mark.
        if used >= limit {
            break;
        }
        result.push(letter);
    }
    if limit > 0 {
        result.push('…');
    }
    result
}

/// Cuts a text to a width, or fills it up with blanks.
pub(super) fn column(text: &str, size: usize) -> String {
    let mut result = fit(text, size);
    result.extend(std::iter::repeat_n(' ', size.saturating_sub(width(&result))));
    result
}

/// Breaks a text into lines at blanks. A word that is too long is broken itself.
pub(super) fn wrap(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let size = width(word);
        if used > 0 && used + 1 + size > limit {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            used += push(&mut lines, ' ');
        }
        for letter in word.chars() {
            if used + letter_width(letter) > limit && used > 0 {
                lines.push(String::new());
                used = 0;
            }
            used += push(&mut lines, letter);
        }
    }
    lines
}

fn push(lines: &mut [String], letter: char) -> usize {
    if let Some(line) = lines.last_mut() {
        line.push(letter);
    }
    letter_width(letter)
}

fn letter_width(letter: char) -> usize {
    match letter.is_ascii() {
        true => 1,
        false => width(letter.encode_utf8(&mut [0; 4])),
    }
}

/// Returns a line with one part at each edge. The left one is cut if there is not enough room.
pub(super) fn edges(
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    limit: usize,
) -> Line<'static> {
    let right_width: usize = right.iter().map(Span::width).sum();
    let room = limit.saturating_sub(right_width + 1);
    let mut line = cut(left, room);
    let used: usize = line.iter().map(Span::width).sum();
    line.push(Span::raw(" ".repeat(limit.saturating_sub(used + right_width))));
    line.extend(right);
    Line::from(line)
}

/// Cuts spans to a width, and marks the cut.
pub(super) fn cut(spans: Vec<Span<'static>>, limit: usize) -> Vec<Span<'static>> {
    let total: usize = spans.iter().map(Span::width).sum();
    if total <= limit {
        return spans;
    }
    let mut room = limit;
    let mut result = Vec::new();
    for span in spans {
        let size = span.width();
        if size < room {
            room -= size;
            result.push(span);
            continue;
        }
        // The mark is needed, since something follows or this span is too long.
        let text = format!("{}…", span.content);
        result.push(Span::styled(fit(&text, room), span.style));
        break;
    }
    result
}

#[cfg(test)]
mod tests {
    use ratatui::text::Span;

    use super::{column, edges, fit, wrap};

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fit("relay", 5), "relay");
        assert_eq!(fit("relays", 5), "rela…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("relay", 0), "");
        assert_eq!(column("ab", 4), "ab  ");
        assert_eq!(column("日本語", 4), "日… ");
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("日本語", 3), ["日", "本", "語"]);
        assert_eq!(wrap("a  b", 9), ["a  b"]);
    }

    #[test]
    fn the_right_part_is_kept() {
        let line = |left: &'static str, limit| {
            let line = edges(vec![Span::raw(left)], vec![Span::raw("up")], limit);
            line.spans.iter().map(|span| span.content.clone()).collect::<String>()
        };
        assert_eq!(line("tor", 8), "tor   up");
        assert_eq!(line("tor 0.4.9.11", 8), "tor … up");
        assert_eq!(line("tor", 2), "up");
    }
}
