//! The processes that a lock file lists, one per line: PID, start time, PID namespace, boot id.
//!
//! The system may have reused the PID for another process.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Replaces a field that the operating system does not report.
const UNKNOWN: &str = "-";

/// Returns the line of a process of this PID namespace.
pub(super) fn describe(pid: u32) -> String {
    let start = stat(pid).map_or_else(|| UNKNOWN.to_owned(), |stat| stat.start);
    format!("{pid} {start} {} {}", namespace(), boot())
}

/// Whether the process of a line may be running. In doubt it is.
pub(super) fn may_live(line: &str) -> bool {
    let fields: Vec<_> = line.split(' ').collect();
    let [pid, start, namespace_then, boot_then] = *fields else { return true };
    let is_known = |then: &str, now: &str| then != UNKNOWN && now != UNKNOWN;
    if is_known(boot_then, &boot()) && boot_then != boot() {
        return false;
    }
    if namespace_then != namespace() {
        return true;
    }
    let Ok(pid) = pid.parse::<u32>() else { return true };
    let Ok(raw) = i32::try_from(pid) else { return true };
    if raw > 0 && kill(Pid::from_raw(raw), None) == Err(Errno::ESRCH) {
        return false;
    }
    match stat(pid) {
        Some(now) => !now.has_ended && (start == UNKNOWN || start == now.start),
        // /proc may hide the processes of other users.
        None => true,
    }
}

struct Stat {
    start: String,
    has_ended: bool,
}

/// Reads `/proc/PID/stat`, which Linux has.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and can contain anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    // The state is the third field, these are the 20th and the 22nd.
    let threads = fields.nth(16)?;
    let start = fields.nth(1)?.to_owned();
    // The main thread may end before the others.
    Some(Stat { start, has_ended: is_zombie && matches!(threads, "0" | "1") })
}

fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").ok();
    link.map_or_else(|| UNKNOWN.to_owned(), |link| link.to_string_lossy().into_owned())
}

fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    text.map_or_else(|| UNKNOWN.to_owned(), |text| text.trim().to_owned())
}
