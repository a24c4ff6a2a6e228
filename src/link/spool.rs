//! A queue of bytes in memory, which overflows into an unnamed temporary file.
//!
//! The file is a ring buffer, so memory and disk stay within their limits however long the reply is.
//! Reading and writing the file needs no `&mut Spool`, so that it can happen outside of the lock of
//! the spool.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;

use crate::error::BufferProblem;
use crate::wire::Wiped;

/// The limits of a spool, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferLimits {
    /// In memory. A single line that exceeds the limit is kept in memory too.
    pub(crate) memory: usize,
    /// In the file.
    pub(crate) file: u64,
}

/// Bytes in one read from the file.
const READ: u64 = 256 << 10;

/// A queue of bytes. The bytes in memory precede those in the file.
#[derive(Debug)]
pub(super) struct Spool {
    /// Zeroized, since a reply that is held can contain a key.
    memory: Wiped,
    /// How many bytes of `memory` were split off.
    split: usize,
    file: Option<Arc<File>>,
    /// Offset and number of the bytes in the file.
    start: u64,
    length: u64,
    /// `limits.file` is the size of the ring.
    limits: BufferLimits,
    /// Whether bytes are being written to the file.
    is_writing: bool,
}

/// A region of the file, to be written without the lock.
#[derive(Debug)]
pub(super) struct WriteRegion {
    file: Option<Arc<File>>,
    at: u64,
    limit: u64,
}

/// The next bytes of a spool.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    /// They were moved into the buffer.
    Taken,
    /// They must be read from the file.
    File(ReadRegion),
}

/// A region of the file, to be read without the lock. It does not cross the end of the ring.
#[derive(Debug)]
pub(super) struct ReadRegion {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl Spool {
    /// Creates an empty queue.
    pub(super) fn new(mut limits: BufferLimits) -> Self {
        // File offsets are signed.
        limits.file = limits.file.min(i64::MAX.unsigned_abs());
        let memory = Wiped::default();
        Self { memory, split: 0, file: None, start: 0, length: 0, limits, is_writing: false }
    }

    /// Adds bytes, for an owner without a lock.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), BufferProblem> {
        if let Some(region) = self.reserve(bytes)? {
            self.written(region.write(bytes)?, bytes.len());
        }
        Ok(())
    }

    /// Adds bytes to memory if they fit. Otherwise reserves a region of the file: the caller writes it
    /// and then calls [`written`](Self::written).
    pub(super) fn reserve(&mut self, bytes: &[u8]) -> Result<Option<WriteRegion>, BufferProblem> {
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
        Ok(Some(WriteRegion { file: self.file.clone(), at, limit: self.limits.file }))
    }

    /// Records that a [reserved](Self::reserve) region was written.
    pub(super) fn written(&mut self, file: Arc<File>, length: usize) {
        self.file = Some(file);
        self.length += u64::try_from(length).unwrap_or(u64::MAX);
        self.is_writing = false;
    }

    /// Removes the last `length` bytes, and a reserved region that was not written. Must not be mixed
    /// with [`next`](Self::next).
    pub(super) fn remove_last(&mut self, length: u64) {
        let in_file = length.min(self.length);
        self.length -= in_file;
        let in_memory = usize::try_from(length - in_file).unwrap_or(usize::MAX);
        let rest = self.memory.len().saturating_sub(in_memory);
        self.memory.remove(rest..self.memory.len());
        self.is_writing = false;
    }

    /// Returns the next bytes. Swaps those in memory with the empty `buffer`; those in the file are
    /// read by the caller, which then calls [`consumed`](Self::consumed).
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Next {
        if !self.memory.is_empty() {
            self.memory.swap(buffer);
            return Next::Taken;
        }
        match &self.file {
            Some(file) if self.length > 0 => {
                let length = self.length.min(READ).min(self.limits.file - self.start);
                Next::File(ReadRegion { file: Arc::clone(file), at: self.start, length })
            }
            _ => Next::Nothing,
        }
    }

    /// Removes bytes that were read from the file.
    pub(super) fn consumed(&mut self, region: &ReadRegion) {
        // The spool is empty if the reply was discarded meanwhile.
        let Some(rest) = self.length.checked_sub(region.length) else { return };
        self.length = rest;
        self.start = (self.start + region.length) % self.limits.file;
        if self.length == 0 && !self.is_writing {
            self.start = 0;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.length == 0
    }

    /// Splits off the first `length` bytes as a separate spool. Must not be mixed with
    /// [`next`](Self::next).
    pub(super) fn split_front(&mut self, length: u64) -> Self {
        let in_memory = usize::try_from(length).unwrap_or(usize::MAX);
        let memory = self.memory.get(self.split..).unwrap_or_default();
        let memory = Wiped::from(memory.get(..in_memory).unwrap_or(memory));
        self.split += memory.len();
        let in_file = (length - count(&memory)).min(self.length);
        let (file, start) = (self.file.clone(), self.start);
        self.length -= in_file;
        self.start += in_file;
        Self { memory, file, start, length: in_file, ..Self::new(self.limits) }
    }

    /// Returns all bytes.
    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, BufferProblem> {
        let mut bytes = Vec::new();
        self.memory.swap(&mut bytes);
        while let Next::File(region) = self.next(&mut Vec::new()) {
            region.read(&mut bytes)?;
            self.consumed(&region);
        }
        Ok(bytes)
    }
}

impl WriteRegion {
    /// Writes the bytes, and returns the file. Creates it for the first write.
    pub(super) fn write(self, bytes: &[u8]) -> Result<Arc<File>, BufferProblem> {
        let failed = |error| BufferProblem::File(Arc::new(error));
        let file = match self.file {
            Some(file) => file,
            None => Arc::new(unnamed_file().map_err(failed)?),
        };
        let to_end = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
        let (first, second) = bytes.split_at(bytes.len().min(to_end));
        file.write_all_at(first, self.at).map_err(failed)?;
        file.write_all_at(second, 0).map_err(failed)?;
        Ok(file)
    }
}

impl ReadRegion {
    /// Appends the bytes of the region to `buffer`.
    pub(super) fn read(&self, buffer: &mut Vec<u8>) -> Result<(), BufferProblem> {
        let old = buffer.len();
        buffer.resize(old + usize::try_from(self.length).unwrap_or(0), 0);
        let space = buffer.get_mut(old..).unwrap_or_default();
        let read: io::Result<()> = self.file.read_exact_at(space, self.at);
        read.map_err(|error| BufferProblem::File(Arc::new(error)))
    }
}

/// Creates an unnamed file that only its owner can open.
fn unnamed_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    // The default mode depends on the umask.
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

    use super::{BufferLimits, Next, ReadRegion, Spool};
    use crate::error::BufferProblem;

    fn spool(memory: usize, file: u64) -> Spool {
        Spool::new(BufferLimits { memory, file })
    }

    /// Returns the next bytes, from memory or from the file.
    fn take(spool: &mut Spool) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Next::File(region) = spool.next(&mut bytes) {
            region.read(&mut bytes).unwrap();
            spool.consumed(&region);
        }
        bytes
    }

    #[test]
    fn memory_and_file_are_bounded_and_the_bytes_keep_their_order() {
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

    /// Returns the region that is to be read next.
    fn region(spool: &mut Spool) -> ReadRegion {
        match spool.next(&mut Vec::new()) {
            Next::File(region) => region,
            other => panic!("{other:?}"),
        }
    }

    fn read(region: &ReadRegion) -> Vec<u8> {
        let mut bytes = Vec::new();
        region.read(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_file_is_a_ring_whose_bytes_cross_its_end() {
        let mut spool = spool(1, 8);
        spool.push(b"a").unwrap();
        assert_eq!(take(&mut spool), b"a");
        spool.push(b"a").unwrap();
        spool.push(b"bcdefg").unwrap();
        assert_eq!(take(&mut spool), b"a");
        let first = region(&mut spool);
        // Written while the first part is read.
        spool.push(b"hi").unwrap();
        assert_eq!(read(&first), b"bcdefg");
        spool.consumed(&first);
        spool.push(b"jklm").unwrap();
        assert!(!spool.is_empty());
        assert_eq!([take(&mut spool), take(&mut spool)], [&b"hi"[..], b"jklm"]);
        assert!(spool.is_empty());
        // One write that crosses the end.
        spool.push(b"n").unwrap();
        spool.push(b"opqrst").unwrap();
        assert_eq!(take(&mut spool), b"n");
        let first = region(&mut spool);
        spool.push(b"u").unwrap();
        spool.consumed(&first);
        spool.push(b"vwxyz").unwrap();
        assert_eq!([take(&mut spool), take(&mut spool)], [&b"uv"[..], b"wxyz"]);
    }

    #[test]
    fn a_region_that_is_being_written_keeps_its_place_while_all_before_it_is_read() {
        let mut spool = spool(1, 8);
        spool.push(b"a").unwrap();
        spool.push(b"bc").unwrap();
        assert_eq!(take(&mut spool), b"a");
        let first = region(&mut spool);
        let reserved = spool.reserve(b"de").unwrap().unwrap();
        spool.consumed(&first);
        let file = reserved.write(b"de").unwrap();
        spool.written(file, 2);
        assert_eq!(take(&mut spool), b"de");
    }

    #[test]
    fn a_spool_is_empty_without_bytes_in_memory_and_file() {
        let mut spool = spool(1, 8);
        assert!(spool.is_empty());
        spool.push(b"a").unwrap();
        assert!(!spool.is_empty());
        spool.push(b"b").unwrap();
        assert_eq!(take(&mut spool), b"a");
        assert!(!spool.is_empty(), "the file has a byte");
        assert_eq!(take(&mut spool), b"b");
        assert!(spool.is_empty());
    }

    #[test]
    fn a_file_limit_of_zero_leaves_memory_alone() {
        let mut spool = spool(4, 0);
        spool.push(b"abcd").unwrap();
        assert!(matches!(spool.push(b"x"), Err(BufferProblem::Full { limit: 0 })));
        spool.push(b"").unwrap();
    }

    #[test]
    fn the_file_is_unnamed_and_private() {
        let mut spool = spool(1, 10);
        spool.push(b"ab").unwrap();
        spool.push(b"c").unwrap();
        let metadata = spool.file.unwrap().metadata().unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 0));
    }

    #[test]
    fn an_emptied_file_is_written_from_the_start_again() {
        let mut spool = spool(1, 1 << 20);
        for _ in 0..100 {
            spool.push(b"a").unwrap();
            spool.push(b"bcd").unwrap();
            assert_eq!([take(&mut spool), take(&mut spool)], [&b"a"[..], b"bcd"]);
        }
        assert_eq!(spool.file.unwrap().metadata().unwrap().len(), 3);
    }

    #[test]
    fn a_reply_may_be_discarded_while_it_is_read_from_the_file() {
        let mut spool = spool(1, 100);
        spool.push(b"ab").unwrap();
        spool.push(b"cd").unwrap();
        assert_eq!(take(&mut spool), b"ab");
        let Next::File(region) = spool.next(&mut Vec::new()) else {
            panic!("no bytes in the file")
        };
        let mut empty = self::spool(0, 0);
        empty.consumed(&region);
        assert!(empty.is_empty());
    }

    #[test]
    fn a_split_can_span_memory_and_file() {
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
    fn the_last_bytes_are_removed_from_memory_and_file() {
        let mut spool = spool(4, 6);
        for bytes in ["aa", "bb", "bbb"] {
            spool.push(bytes.as_bytes()).unwrap();
        }
        // A region that is not written, as after an error.
        assert!(spool.reserve(b"bbb").unwrap().is_some());
        spool.remove_last(5);
        spool.push(b"c").unwrap();
        assert_eq!(*spool.memory, *b"aac", "there is room in memory again");
        spool.push(b"dddddd").unwrap();
        assert_eq!(spool.split_front(9).into_bytes().unwrap(), b"aacdddddd");
    }

    proptest! {
        #[test]
        fn a_spool_returns_the_bytes_in_order(
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
