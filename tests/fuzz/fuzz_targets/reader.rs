//! A reader of documents: what it finds does not depend on the sizes of the reads.
#![no_main]

use std::io::{self, BufRead, Read};

use torcon::descriptor::{AnyDescriptor, DescriptorReader};

/// Gives at most `size` bytes at a time.
struct Slow<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len().min(self.size);
        self.bytes.read(&mut buffer[..size])
    }
}

impl BufRead for Slow<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.bytes[..self.bytes.len().min(self.size)])
    }

    fn consume(&mut self, count: usize) {
        self.bytes = &self.bytes[count..];
    }
}

/// Returns the documents and errors, and where the reader was behind each.
fn read(bytes: &[u8], size: usize) -> Vec<(Result<Vec<u8>, String>, u64, u64)> {
    let input = Slow { bytes, size };
    let mut reader = DescriptorReader::<AnyDescriptor, _>::new(input).with_limit(4096);
    let mut found = Vec::new();
    while let Some(item) = reader.next() {
        let item = item.map(|document| document.as_bytes().to_vec());
        found.push((item.map_err(|error| error.to_string()), reader.offset(), reader.line()));
        assert!(found.len() <= bytes.len(), "more documents than bytes");
    }
    found
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    assert_eq!(read(bytes, usize::from(*size).max(1)), read(bytes, usize::MAX));
});
