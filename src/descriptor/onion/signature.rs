//! The signature of a descriptor.

use super::OnionDescriptor;
use crate::descriptor::digest::without_annotations;
use crate::descriptor::ed25519;

/// The prefix of the bytes that are signed.
const PREFIX: &[u8] = b"Tor onion service descriptor sig v3";

impl OnionDescriptor {
    /// Returns the bytes that are signed, behind the prefix: from the first line, behind annotations, to
    /// the line `signature`.
    pub(super) fn signed_bytes(&self) -> Option<&[u8]> {
        let text = without_annotations(self.as_bytes());
        // The line is a slice of the text.
        let end = self.find(b"signature")?.line().as_ptr().addr() - text.as_ptr().addr();
        text.get(..end)
    }

    /// Returns whether a key signed everything from the first line to the line `signature`.
    pub(in crate::descriptor) fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        let verify = || {
            let signed = [PREFIX, self.signed_bytes()?].concat();
            Some(ed25519::verify(key, &signed, &self.signature()?))
        };
        verify() == Some(true)
    }
}
