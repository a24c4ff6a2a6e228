//! Recognition of files that are not text.

/// The first bytes of formats.
const FORMATS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"\x5d\0\0", "compressed by lzma"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"BZh", "compressed by bzip2"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"SQLite format 3\0", "a database"),
];

/// Where a tar archive has its magic number.
const TAR: usize = 257;

/// Returns the format of a file by its beginning, if it is not text.
pub(super) fn format_of(head: &[u8]) -> Option<&'static str> {
    if head.get(TAR..).is_some_and(|magic| magic.starts_with(b"ustar")) {
        return Some("a tar archive");
    }
    // Directories send documents in the format of zlib too.
    if let [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] = head {
        return Some("compressed by zlib");
    }
    FORMATS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}
