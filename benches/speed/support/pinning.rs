//! Client and server on one core.

/// Restricts this thread, and the threads and processes that it starts, to one core.
#[cfg(target_os = "linux")]
pub(crate) fn to_one_core() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("the system has cores");
    let first = (0..CpuSet::count()).find(|core| allowed.is_set(*core) == Ok(true));
    let mut only = CpuSet::new();
    only.set(first.expect("this thread has a core")).expect("is a core");
    sched_setaffinity(this, &only).expect("the core is allowed");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn to_one_core() {
    super::report::skip("threads are restricted to one core on Linux only");
    std::process::exit(0);
}
