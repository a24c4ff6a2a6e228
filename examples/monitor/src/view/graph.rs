//! The bars of the bandwidth graph, as text.

/// A cell that is filled from below by so many eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The smallest top of a graph, in bytes per second.
const SMALLEST_TOP: u64 = 1000;

/// Returns the top of a graph for a largest value: 1, 2 or 5 times a power of ten.
pub(super) fn top(largest: u64) -> u64 {
    let mut power = SMALLEST_TOP;
    loop {
        for factor in [1, 2, 5] {
            match power.checked_mul(factor) {
                Some(top) if top >= largest => return top,
                Some(_) => {}
                None => return u64::MAX,
            }
        }
        let Some(next) = power.checked_mul(10) else { return u64::MAX };
        power = next;
    }
}

/// Returns the rows of a graph, the top one first. Each value is a column; the last is at the right
/// edge. A value above zero is always visible.
pub(super) fn rows(values: &[u64], top: u64, width: usize, height: usize) -> Vec<String> {
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or_default();
    let eighths: Vec<usize> = shown.iter().map(|value| filled(*value, top, height)).collect();
    let margin = width.saturating_sub(shown.len());
    let row = |below: usize| {
        let cells = eighths.iter().map(|filled| {
            let filled = filled.saturating_sub(below * 8).min(8);
            EIGHTHS.get(filled).copied().unwrap_or(' ')
        });
        std::iter::repeat_n(' ', margin).chain(cells).collect()
    };
    (0..height).rev().map(row).collect()
}

/// Returns the number of eighths of cells that a value fills.
fn filled(value: u64, top: u64, height: usize) -> usize {
    let all = u128::try_from(height.saturating_mul(8)).unwrap_or(u128::MAX);
    let top = u128::from(top.max(1));
    let filled = (u128::from(value).saturating_mul(all) + top / 2) / top;
    let filled = filled.min(all).max(u128::from(value > 0));
    usize::try_from(filled).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{rows, top};

    #[test]
    fn the_top_is_a_round_number() {
        for (largest, expected) in [
            (0, 1000),
            (1000, 1000),
            (1001, 2000),
            (2001, 5000),
            (5001, 10_000),
            (123_456, 200_000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(top(largest), expected, "{largest}");
        }
    }

    #[test]
    fn bars_grow_by_eighths() {
        assert_eq!(rows(&[0, 1, 500, 1000], 1000, 4, 1), [" ▁▄█"]);
        assert_eq!(rows(&[0, 250, 500, 750, 1000], 1000, 5, 2), ["   ▄█", " ▄███"]);
    }

    #[test]
    fn the_newest_value_is_at_the_right_edge() {
        assert_eq!(rows(&[8, 8], 8, 4, 1), ["  ██"]);
        assert_eq!(rows(&[8, 0, 8], 8, 2, 1), [" █"]);
        assert_eq!(rows(&[], 8, 2, 1), ["  "]);
        assert_eq!(rows(&[8], 8, 0, 1), [""]);
        assert!(rows(&[8], 8, 4, 0).is_empty());
    }

    #[test]
    fn values_above_the_top_fill_the_column() {
        assert_eq!(rows(&[u64::MAX], 1000, 1, 2), ["█", "█"]);
        assert_eq!(rows(&[u64::MAX], 0, 1, 1), ["█"]);
    }
}
