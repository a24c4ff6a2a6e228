use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

/// Numbers with names.
#[derive(Default)]
pub(crate) struct Figures(Mutex<BTreeMap<String, u128>>);

impl Figures {
    /// Adds to a number.
    pub(crate) fn add(&self, name: &str, count: usize) {
        self.change(name, |number| *number += count as u128);
    }

    /// Counts an occurrence.
    pub(crate) fn count(&self, name: &str) {
        self.add(name, 1);
    }

    /// Keeps the greatest number.
    pub(crate) fn most(&self, name: &str, number: u128) {
        self.change(name, |greatest| *greatest = number.max(*greatest));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut u128)) {
        let mut numbers = self.0.lock();
        match numbers.get_mut(name) {
            Some(number) => change(number),
            None => change(numbers.entry(name.to_owned()).or_default()),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, number) in self.0.lock().iter() {
            writeln!(f, "{number:>12} {name}")?;
        }
        Ok(())
    }
}
