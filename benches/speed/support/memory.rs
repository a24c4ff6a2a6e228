//! Memory, threads and descriptors of this process, as Linux reports them.

use std::fs;

/// Returns the resident memory in kB.
pub(crate) fn resident() -> f64 {
    status("VmRSS:")
}

/// Returns the largest resident memory while `work` runs, in kB.
pub(crate) fn peak_of(work: impl FnOnce()) -> f64 {
    // Forgets the peak so far.
    fs::write("/proc/self/clear_refs", "5").ok();
    work();
    status("VmHWM:")
}

pub(crate) fn threads() -> f64 {
    status("Threads:")
}

/// Returns the number of open descriptors, without the one that reads the directory.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count).saturating_sub(1)
}

/// Returns a number of `/proc/self/status`; 0 if the system does not have it.
fn status(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
