//! The weights that the consensus gives to bandwidth in each position of a path.

use std::collections::HashMap;

use crate::error::HopRole;

/// The line `bandwidth-weights` of the consensus, with its scale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BandwidthWeights {
    weights: HashMap<[u8; 3], u64>,
    /// The parameter `bwweightscale`.
    scale: Option<u64>,
}

/// The properties of a relay on which its weight depends.
#[derive(Clone, Copy, Debug)]
pub(super) struct RelayKind {
    pub(super) is_guard: bool,
    pub(super) is_exit: bool,
    /// It answers directory requests.
    pub(super) is_directory: bool,
}

impl BandwidthWeights {
    /// The default of `bwweightscale`.
    const SCALE: u64 = 10_000;

    /// The largest `bwweightscale` that tor accepts.
    const MAX_SCALE: u64 = (1 << 31) - 1;

    /// Reads a line of a consensus, if it has weights or their scale.
    pub(super) fn read_line(&mut self, line: &[u8]) {
        if let Some(words) = line.strip_prefix(b"bandwidth-weights ") {
            for (key, value) in pairs(words) {
                if let Ok(key) = <[u8; 3]>::try_from(key) {
                    self.weights.insert(key, value);
                }
            }
        } else if let Some(words) = line.strip_prefix(b"params ") {
            let scale = pairs(words).find(|(key, _)| *key == b"bwweightscale");
            self.scale = scale.map(|(_, value)| value).or(self.scale);
        }
    }

    /// Returns the factor by which the bandwidth of a relay counts in a position.
    ///
    /// If the consensus lacks a weight, every bandwidth counts the same, as in tor.
    pub(super) fn factor(&self, role: HopRole, kind: RelayKind) -> u64 {
        let position = match role {
            HopRole::Guard => b'g',
            HopRole::Middle => b'm',
            HopRole::Exit => b'e',
        };
        let class = match (kind.is_guard, kind.is_exit) {
            (true, true) => b'd',
            (true, false) => b'g',
            (false, true) => b'e',
            (false, false) => b'm',
        };
        let scale = self.scale.unwrap_or(Self::SCALE).clamp(1, Self::MAX_SCALE);
        // As tor does, no weight counts for more than the scale.
        let get = |first, second| self.get(first, second).map(|weight| weight.min(scale));
        // The specification defines no weight for an exit without the flag Guard as a guard.
        let classes: &[u8] = if role == HopRole::Guard { b"gmd" } else { b"gmde" };
        let is_complete = classes.iter().all(|class| get(position, *class).is_some());
        if !is_complete {
            return scale;
        }
        let weight = get(position, class).unwrap_or_default();
        match kind.is_directory {
            true => {
                let weight = weight.saturating_mul(get(class, b'b').unwrap_or(scale));
                weight / scale
            }
            false => weight,
        }
    }

    fn get(&self, first: u8, second: u8) -> Option<u64> {
        self.weights.get(&[b'W', first, second]).copied()
    }
}

/// Returns the pairs `key=number` of a line.
fn pairs(words: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    words.split(|byte| *byte == b' ').filter_map(|word| {
        let equals = memchr::memchr(b'=', word)?;
        let (key, value) = word.split_at_checked(equals)?;
        let value = std::str::from_utf8(value.get(1..)?).ok()?;
        // A negative number, which tor refuses, is no weight.
        Some((key, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::{BandwidthWeights, RelayKind};
    use crate::error::HopRole;

    /// Of a consensus of the public network.
    const LINE: &[u8] = b"bandwidth-weights Wbd=0 Wbe=0 Wbg=4131 Wbm=10000 Wdb=10000 Web=10000 \
                          Wed=10000 Wee=10000 Weg=10000 Wem=10000 Wgb=10000 Wgd=0 Wgg=5869 \
                          Wgm=5869 Wmb=10000 Wmd=0 Wme=0 Wmg=4131 Wmm=10000";

    fn factor(weights: &BandwidthWeights, role: HopRole, class: &str) -> u64 {
        let has = |flag| class.contains(flag);
        let kind = RelayKind { is_guard: has('g'), is_exit: has('e'), is_directory: has('b') };
        weights.factor(role, kind)
    }

    #[test]
    fn each_position_has_the_weights_of_the_consensus() {
        let mut weights = BandwidthWeights::default();
        for class in ["", "g", "e", "ge", "b"] {
            assert_eq!(factor(&weights, HopRole::Middle, class), 10_000, "all count the same");
        }
        weights.read_line(b"params CircuitPriorityHalflifeMsec=30000 bwweightscale=10000");
        weights.read_line(LINE);
        for (role, none, guard, exit, both) in [
            (HopRole::Guard, 5869, 5869, 0, 0),
            (HopRole::Middle, 10_000, 4131, 0, 0),
            (HopRole::Exit, 10_000, 10_000, 10_000, 10_000),
        ] {
            let found = ["", "g", "e", "ge"].map(|class| factor(&weights, role, class));
            assert_eq!(found, [none, guard, exit, both], "{role}");
        }
    }

    #[test]
    fn the_factors_of_directories_multiply_and_the_scale_is_that_of_the_consensus() {
        let mut weights = BandwidthWeights::default();
        weights.read_line(b"params bwweightscale=100");
        weights.read_line(b"bandwidth-weights Wgg=60 Wgm=10 Wgd=20 Wgb=50 Wdb=25");
        assert_eq!(factor(&weights, HopRole::Guard, "g"), 60);
        assert_eq!(factor(&weights, HopRole::Guard, "gb"), 30);
        assert_eq!(factor(&weights, HopRole::Guard, "geb"), 5);
        assert_eq!(factor(&weights, HopRole::Exit, "e"), 100, "not complete for exits");
        weights.read_line(b"bandwidth-weights Wgg=-1 Wgm=x Wxx Wlong=3");
        assert_eq!(factor(&weights, HopRole::Guard, "g"), 60);
    }
}
