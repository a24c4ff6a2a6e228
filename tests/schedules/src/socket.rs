//! A connected pair of sockets in memory. Reads may end anywhere, and the room for writes is small.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::check::{chance, choose};
use crate::time::{Limit, limit_of};
use crate::waiter::{Waiter, step};

#[derive(Debug, Default)]
struct Direction {
    bytes: VecDeque<u8>,
    is_closed: bool,
    /// The writer was dropped with unread bytes: the next read behind `bytes` fails, once.
    is_reset: bool,
}

#[derive(Debug)]
struct State {
    directions: [Direction; 2],
    room: usize,
    waiters: Vec<Arc<Waiter>>,
}

/// One end of a pair.
#[derive(Debug)]
pub struct Socket {
    state: Arc<Mutex<State>>,
    /// The direction in which it writes; it reads from the other.
    end: usize,
    /// A real socket, for code that asks for the kind of a descriptor.
    descriptor: UnixStream,
}

impl Socket {
    /// Returns a pair with room for so many unread bytes in each direction.
    pub fn pair(room: usize) -> io::Result<(Self, Self)> {
        let state = State { directions: Default::default(), room, waiters: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let (one, other) = UnixStream::pair()?;
        let end = |end, descriptor| Self { state: Arc::clone(&state), end, descriptor };
        Ok((end(0, one), end(1, other)))
    }

    fn with<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        call(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        step();
        let (result, waiters) = self.with(|state| (call(state), mem::take(&mut state.waiters)));
        waiters.iter().for_each(|waiter| waiter.wake());
        result
    }

    /// Waits until the socket is ready. Returns whether it is, or has ended, before the limit.
    fn wait(&self, limit: Limit, is_ready: impl Fn(&State) -> bool) -> bool {
        let mut is_late = false;
        loop {
            let waiter = Waiter::new();
            let is_ready = self.with(|state| {
                let is_ready = is_ready(state);
                if !is_ready {
                    state.waiters.push(Arc::clone(&waiter));
                }
                is_ready
            });
            if is_ready || is_late {
                return is_ready;
            }
            is_late = !waiter.wait(limit);
        }
    }

    /// Writes as many bytes as there is room for.
    pub fn write_available(&self, bytes: &[u8]) -> (usize, io::Result<()>) {
        self.change(|state| {
            let room = state.room;
            let direction = &mut state.directions[self.end];
            if direction.is_closed {
                return (0, Err(io::ErrorKind::BrokenPipe.into()));
            }
            let written = bytes.len().min(room.saturating_sub(direction.bytes.len()));
            direction.bytes.extend(&bytes[..written]);
            match written == bytes.len() {
                true => (written, Ok(())),
                false => (written, Err(io::ErrorKind::WouldBlock.into())),
            }
        })
    }

    /// Waits until there is room.
    pub fn wait_writable(&self, deadline: Instant) -> io::Result<()> {
        let is_ready = |state: &State| {
            let direction = &state.directions[self.end];
            direction.is_closed || direction.bytes.len() < state.room
        };
        match self.wait(limit_of(deadline), is_ready) {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Reads available bytes. Returns 0 at the end.
    pub fn read_available(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.change(|state| {
            let direction = &mut state.directions[1 - self.end];
            let available = direction.bytes.len().min(buffer.len());
            if available == 0 {
                return match direction.is_closed {
                    true if mem::take(&mut direction.is_reset) => {
                        Err(io::ErrorKind::ConnectionReset.into())
                    }
                    true => Ok(0),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                };
            }
            let read = if chance(4) { 1 + choose(available) } else { available };
            for (to, byte) in buffer.iter_mut().zip(direction.bytes.drain(..read)) {
                *to = byte;
            }
            Ok(read)
        })
    }

    /// Waits until there are bytes or the end. Returns whether there are, before the deadline.
    pub fn wait_readable(&self, deadline: Option<Instant>) -> bool {
        let is_ready = |state: &State| {
            let direction = &state.directions[1 - self.end];
            direction.is_closed || !direction.bytes.is_empty()
        };
        self.wait(deadline.map_or(Limit::Never, limit_of), is_ready)
    }

    pub fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        self.change(|state| {
            state.directions.iter_mut().for_each(|direction| direction.is_closed = true);
        });
        Ok(())
    }

    /// Fails: no model has two handles of one end.
    pub fn try_clone(&self) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    pub fn set_read_timeout(&self, _limit: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    pub fn set_write_timeout(&self, _limit: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    pub fn set_nonblocking(&self, _is_nonblocking: bool) -> io::Result<()> {
        Ok(())
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_available(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_readable(None);
                }
                outcome => return outcome,
            }
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.write_available(bytes) {
                (0, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    let is_ready = |state: &State| {
                        let direction = &state.directions[self.end];
                        direction.is_closed || direction.bytes.len() < state.room
                    };
                    self.wait(Limit::Never, is_ready);
                }
                (0, Err(error)) => return Err(error),
                (written, _) => return Ok(written),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.change(|state| {
            let has_unread = !state.directions[1 - self.end].bytes.is_empty();
            state.directions[self.end].is_reset = has_unread;
            state.directions.iter_mut().for_each(|direction| direction.is_closed = true);
        });
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.descriptor.try_clone().expect("a copy of the descriptor").into()
    }
}
