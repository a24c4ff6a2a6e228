use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock;

/// Waits until a descriptor is readable or the deadline has passed. Returns which are readable: an
/// error or a hang-up counts too, since a read then returns it.
pub(crate) fn readable_until<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll_until(&mut fds, deadline)?;
    Ok(fds.map(|fd| fd.any().unwrap_or(true)))
}

/// Waits until a descriptor is ready or the deadline has passed. Returns whether one is ready.
pub(super) fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(clock::wait_length);
        let timeout = match left {
            None => PollTimeout::NONE,
            // Rounded up, since the last fraction of a millisecond would be a busy loop.
            Some(left) => PollTimeout::try_from(left.saturating_add(Duration::from_micros(999)))
                .unwrap_or(PollTimeout::MAX),
        };
        match poll(fds, timeout) {
            Ok(0) if deadline.is_none_or(|deadline| !clock::has_passed(deadline)) => {}
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
