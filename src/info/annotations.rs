//! Annotations of descriptors in tor's cache.

use std::time::SystemTime;

use super::answers::lines;
use crate::names::RouterPurpose;
use crate::wire::quoted::decode_value;
use crate::wire::timestamp::read_time;

/// The annotations that tor stores with a server descriptor. Each is `None` if it is missing.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let relay = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
/// println!("{:?}", controller.descriptor_annotations(relay)?);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DescriptorAnnotations {
    /// When tor received the descriptor.
    pub downloaded_at: Option<SystemTime>,
    /// The source, such as the address of a directory.
    pub source: Option<String>,
    /// The purpose of the relay.
    pub purpose: Option<RouterPurpose>,
    text: String,
}

impl DescriptorAnnotations {
    pub(crate) fn read(answer: &[u8]) -> Self {
        let find = |word: &[u8]| {
            lines(answer).find_map(|line| line.strip_prefix(word)?.strip_prefix(b" "))
        };
        let text = |value: &[u8]| String::from_utf8_lossy(&decode_value(value)).into_owned();
        Self {
            downloaded_at: find(b"@downloaded-at").and_then(read_time),
            source: find(b"@source").map(text),
            purpose: find(b"@purpose").map(RouterPurpose::from_bytes),
            text: String::from_utf8_lossy(answer).into_owned(),
        }
    }

    /// Returns the lines as tor sent them, each beginning with `@`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::DescriptorAnnotations;
    use crate::names::RouterPurpose;

    #[test]
    fn annotations_are_read() {
        let text = "@downloaded-at 2026-11-23 09:12:28\n@source \"127.0.0.1\"\n@purpose bridge\n";
        let annotations = DescriptorAnnotations::read(text.as_bytes());
        assert!(annotations.downloaded_at.is_some());
        assert_eq!(annotations.source.as_deref(), Some("127.0.0.1"));
        assert_eq!(annotations.purpose, Some(RouterPurpose::Bridge));
        assert_eq!(annotations.text(), text);
    }

    #[test]
    fn missing_annotations_are_none() {
        assert_eq!(DescriptorAnnotations::read(b""), DescriptorAnnotations::default());
        let annotations = DescriptorAnnotations::read(b"@downloaded-at soon\n@new thing");
        assert_eq!(annotations.downloaded_at, None);
        assert_eq!(annotations.text(), "@downloaded-at soon\n@new thing");
    }
}
