//! Bytes that wait for a caller: in memory up to a bound, then in a file without a name.
//!
//! The file is a ring, so that neither memory nor disk grows beyond its bound, however long the
//! reply is. Reading and writing the file takes no `&mut`: they happen outside of the lock that a
//! spool stands under.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;

use crate::error::BufferProblem;

/// How many bytes may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferLimits {
    /// In memory. A single line that is longer is kept in memory too.
    pub(crate) memory: usize,
    /// In the file.
    pub(crate) file: u64,
}

/// Bytes that are read from the file at once.
const READ: u64 = 256 << 10;

/// A queue of bytes. What stands in memory comes before what stands in the file.
#[derive(Debug)]
pub(super) struct Spool {
    memory: Vec<u8>,
    /// How much of `memory` has been split off.
    split: usize,
    file: Option<Arc<File>>,
    /// The bytes in the file: where they begin in the ring, and how many they are.
    start: u64,
    length: u64,
    /// The file's limit is the size of the ring.
    limits: BufferLimits,
    /// Bytes are being written behind the others.
    is_writing: bool,
}

/// A place in the file, for bytes that are written without the lock.
#[derive(Debug)]
pub(super) struct Place {
    file: Option<Arc<File>>,
    at: u64,
    limit: u64,
}

/// Where the bytes are that come next.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    /// In the buffer now.
    Taken,
    /// In the file still.
    File(Extent),
}

/// Bytes in the file that do not cross the end of the ring.
#[derive(Debug)]
pub(super) struct Extent {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl Spool {
    /// Creates an empty queue.
    pub(super) fn new(mut limits: BufferLimits) -> Self {
        // Offsets of files are signed.
        limits.file = limits.file.min(i64::MAX.unsigned_abs());
        let memory = Vec::new();
        Self { memory, split: 0, file: None, start: 0, length: 0, limits, is_writing: false }
    }

    /// Adds bytes, without a lock to let go of.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), BufferProblem> {
        if let Some(place) = self.place(bytes)? {
            self.written(place.write(bytes)?, bytes.len());
        }
        Ok(())
    }

    /// Adds bytes to memory if they fit. Otherwise returns the place in the file where the caller
    /// writes them before it calls [`written`](Self::written).
    pub(super) fn place(&mut self, bytes: &[u8]) -> Result<Option<Place>, BufferProblem> {
        let fits = self.memory.is_empty() || self.memory.len() + bytes.len() <= self.limits.memory;
        if bytes.is_empty() || (self.length == 0 && !self.is_writing && fits) {
            self.memory.extend_from_slice(bytes);
            return Ok(None);
        }
        if count(bytes) > self.limits.file - self.length {
            return Err(BufferProblem::Full { limit: self.limits.file });
        }
        self.is_writing = true;
        let at = (self.start + self.length) % self.limits.file;
        Ok(Some(Place { file: self.file.clone(), at, limit: self.limits.file }))
    }

    /// Counts bytes that have been written to the [`place`](Self::place) for them.
    pub(super) fn written(&mut self, file: Arc<File>, length: usize) {
        self.file = Some(file);
        self.length += u64::try_from(length).unwrap_or(u64::MAX);
        self.is_writing = false;
    }

    /// Removes so many bytes that were added last, and what could not be written behind them. Not
    /// to be mixed with [`next`](Self::next).
    pub(super) fn remove_last(&mut self, length: u64) {
        let in_file = length.min(self.length);
        self.length -= in_file;
        let in_memory = usize::try_from(length - in_file).unwrap_or(usize::MAX);
        self.memory.truncate(self.memory.len().saturating_sub(in_memory));
        self.is_writing = false;
    }

    /// Finds the bytes that come next. Those in memory are exchanged for an empty buffer; those in
    /// the file are read by the caller, and then taken by [`consumed`](Self::consumed).
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Next {
        if !self.memory.is_empty() {
            std::mem::swap(&mut self.memory, buffer);
            return Next::Taken;
        }
        match &self.file {
            Some(file) if self.length > 0 => {
                let length = self.length.min(READ).min(self.limits.file - self.start);
                Next::File(Extent { file: Arc::clone(file), at: self.start, length })
            }
            _ => Next::Nothing,
        }
    }

    /// Takes bytes that have been read from the file.
    pub(super) fn consumed(&mut self, extent: &Extent) {
        // They are gone already if the caller's queue was given up meanwhile.
        let Some(rest) = self.length.checked_sub(extent.length) else { return };
        self.length = rest;
        self.start = (self.start + extent.length) % self.limits.file;
        if self.length == 0 && !self.is_writing {
            self.start = 0;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.length == 0
    }

    /// Takes so many bytes from the front as a queue of their own. Not to be mixed with
    /// [`next`](Self::next).
    pub(super) fn split_front(&mut self, length: u64) -> Self {
        let in_memory = usize::try_from(length).unwrap_or(usize::MAX);
        let memory = self.memory.get(self.split..).unwrap_or_default();
        let memory = memory.get(..in_memory).unwrap_or(memory).to_vec();
        self.split += memory.len();
        let in_file = (length - count(&memory)).min(self.length);
        let (file, start) = (self.file.clone(), self.start);
        self.length -= in_file;
        self.start += in_file;
        Self { memory, file, start, length: in_file, ..Self::new(self.limits) }
    }

    /// Returns all bytes.
    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, BufferProblem> {
        let mut bytes = std::mem::take(&mut self.memory);
        while let Next::File(extent) = self.next(&mut Vec::new()) {
            extent.read(&mut bytes)?;
            self.consumed(&extent);
        }
        Ok(bytes)
    }
}

impl Place {
    /// Writes the bytes, to a new file if there is none yet, and returns the file.
    pub(super) fn write(self, bytes: &[u8]) -> Result<Arc<File>, BufferProblem> {
        let failed = |error| BufferProblem::File(Arc::new(error));
        let file = match self.file {
            Some(file) => file,
            None => Arc::new(nameless_file().map_err(failed)?),
        };
        let to_end = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
        let (first, second) = bytes.split_at(bytes.len().min(to_end));
        file.write_all_at(first, self.at).map_err(failed)?;
        file.write_all_at(second, 0).map_err(failed)?;
        Ok(file)
    }
}

impl Extent {
    /// Reads the bytes behind those that are in `buffer` already.
    pub(super) fn read(&self, buffer: &mut Vec<u8>) -> Result<(), BufferProblem> {
        let old = buffer.len();
        buffer.resize(old + usize::try_from(self.length).unwrap_or(0), 0);
        let space = buffer.get_mut(old..).unwrap_or_default();
        let read: io::Result<()> = self.file.read_exact_at(space, self.at);
        read.map_err(|error| BufferProblem::File(Arc::new(error)))
    }
}

/// Creates a file that has no name and is open to its owner only.
fn nameless_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    // By default it is as open as the umask lets it be.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::{BufferLimits, Next, Spool};
    use crate::error::BufferProblem;

    fn spool(memory: usize, file: u64) -> Spool {
        Spool::new(BufferLimits { memory, file })
    }

    /// Takes what comes next, wherever it stands.
    fn take(spool: &mut Spool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Next::File(extent) = spool.next(&mut bytes) {
            extent.read(&mut bytes).unwrap();
            spool.consumed(&extent);
        }
        bytes
    }

    #[test]
    fn memory_and_file_have_their_bounds_and_the_bytes_keep_their_order() {
        let mut spool = spool(4, 10);
        spool.push(b"abcd").unwrap();
        spool.push(b"0123456").unwrap();
        assert!(matches!(spool.push(b"7890"), Err(BufferProblem::Full { limit: 10 })));
        spool.push(b"789").unwrap();
        assert_eq!(take(&mut spool), b"abcd");
        assert_eq!(take(&mut spool), b"0123456789");
        spool.push(b"in memory again").unwrap();
        assert_eq!(take(&mut spool), b"in memory again");
        assert!(take(&mut spool).is_empty());
    }

    #[test]
    fn without_a_file_memory_is_all_there_is() {
        let mut spool = spool(4, 0);
        spool.push(b"abcd").unwrap();
        assert!(matches!(spool.push(b"x"), Err(BufferProblem::Full { limit: 0 })));
        spool.push(b"").unwrap();
    }

    #[test]
    fn the_file_has_no_name_and_is_its_owners_alone() {
        let mut spool = spool(1, 10);
        spool.push(b"ab").unwrap();
        spool.push(b"c").unwrap();
        let metadata = spool.file.unwrap().metadata().unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 0));
    }

    #[test]
    fn the_file_starts_anew_when_it_was_emptied() {
        let mut spool = spool(1, 1 << 20);
        for _ in 0..100 {
            spool.push(b"a").unwrap();
            spool.push(b"bcd").unwrap();
            assert_eq!([take(&mut spool), take(&mut spool)], [&b"a"[..], b"bcd"]);
        }
        assert_eq!(spool.file.unwrap().metadata().unwrap().len(), 3);
    }

    #[test]
    fn bytes_that_were_given_up_while_they_were_read_are_not_missed() {
        let mut spool = spool(1, 100);
        spool.push(b"ab").unwrap();
        spool.push(b"cd").unwrap();
        assert_eq!(take(&mut spool), b"ab");
        let Next::File(extent) = spool.next(&mut Vec::new()) else { panic!("nothing there") };
        let mut empty = self::spool(0, 0);
        empty.consumed(&extent);
        assert!(empty.is_empty());
    }

    #[test]
    fn a_part_that_is_split_off_spans_memory_and_file() {
        let mut spool = spool(4, 100);
        for bytes in ["aaa", "bbbb", "cc"] {
            spool.push(bytes.as_bytes()).unwrap();
        }
        assert_eq!(spool.split_front(2).into_bytes().unwrap(), b"aa");
        assert_eq!(spool.split_front(3).into_bytes().unwrap(), b"abb");
        assert_eq!(spool.split_front(4).into_bytes().unwrap(), b"bbcc");
        assert!(spool.split_front(4).into_bytes().unwrap().is_empty());
    }

    #[test]
    fn what_was_added_last_is_removed_wherever_it_stands() {
        let mut spool = spool(4, 6);
        for bytes in ["aa", "bb", "bbb"] {
            spool.push(bytes.as_bytes()).unwrap();
        }
        // As if the file could not be written.
        assert!(spool.place(b"bbb").unwrap().is_some());
        spool.remove_last(5);
        spool.push(b"c").unwrap();
        assert_eq!(spool.memory, b"aac", "there is room in memory again");
        spool.push(b"dddddd").unwrap();
        assert_eq!(spool.split_front(9).into_bytes().unwrap(), b"aacdddddd");
    }

    proptest! {
        #[test]
        fn a_spool_gives_back_what_was_put_in(
            steps in prop::collection::vec(prop::option::of(1..9_usize), 1..80),
        ) {
            let mut spool = spool(8, 16);
            let mut model = Vec::new();
            for (n, push) in steps.into_iter().enumerate() {
                if let Some(size) = push {
                    let bytes = vec![u8::try_from(n).unwrap(); size];
                    match spool.push(&bytes) {
                        Ok(()) => model.extend(bytes),
                        Err(_) => prop_assert!(model.len() + size > 16),
                    }
                    prop_assert!(model.len() <= 8 + 16);
                } else {
                    let bytes = take(&mut spool);
                    prop_assert_eq!(bytes.is_empty(), model.is_empty());
                    let expected: Vec<u8> = model.drain(..bytes.len()).collect();
                    prop_assert_eq!(bytes, expected);
                }
            }
        }
    }
}
