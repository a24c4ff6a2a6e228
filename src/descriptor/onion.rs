//! Descriptors of onion services.

use std::fmt;

use super::item::{DescriptorItem, Items, has_lines};
use super::text::Text;
use crate::names::{OnionAddress, RelaySpec};

/// The descriptor of an onion service, as downloaded from a directory.
///
/// [`Controller::fetch_onion_descriptor`](crate::Controller::fetch_onion_descriptor) downloads it.
/// Most of it is encrypted, in two layers; with client authorization, the second can be decrypted by
/// authorized clients only. tor has verified the signature.
///
/// A clone is cheap, and every line is parsed by the method that returns it.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
/// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
/// println!("revision {:?}, from {}", descriptor.revision(), descriptor.hsdir());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OnionDescriptor {
    address: OnionAddress,
    id: Box<str>,
    hsdir: RelaySpec,
    text: Text,
}

has_lines!(OnionDescriptor);

impl OnionDescriptor {
    pub(crate) fn new(
        address: OnionAddress,
        id: impl Into<Box<str>>,
        hsdir: RelaySpec,
        text: impl Into<Vec<u8>>,
    ) -> Self {
        Self { address, id: id.into(), hsdir, text: Text::new(text.into()) }
    }

    /// Returns the address of the service.
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        self.address
    }

    /// Returns the descriptor ID of `HS_DESC` events: the blinded key of the service, in base64.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the directory from which the descriptor was downloaded.
    #[must_use]
    pub fn hsdir(&self) -> &RelaySpec {
        &self.hsdir
    }

    /// Returns how many minutes directories keep the descriptor.
    #[must_use]
    pub fn lifetime_minutes(&self) -> Option<u64> {
        self.find(b"descriptor-lifetime")?.arguments().parse().ok()
    }

    /// Returns the revision counter: a newer descriptor of the same ID has a higher one.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.find(b"revision-counter")?.arguments().parse().ok()
    }
}

impl fmt::Debug for OnionDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionDescriptor")
            .field("address", &self.address)
            .field("id", &self.id)
            .field("hsdir", &self.hsdir)
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::OnionDescriptor;
    use crate::names::RelaySpec;

    #[test]
    fn the_plain_text_lines_are_parsed() {
        let text = "hs-descriptor 3\ndescriptor-lifetime 180\nrevision-counter 2651362741\n\
                    superencrypted\n-----BEGIN MESSAGE-----\n5kx4\n-----END MESSAGE-----\n\
                    signature 2ZQ";
        let address = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
        let hsdir = RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r");
        let descriptor = OnionDescriptor::new(address.parse().unwrap(), "a8Vg", hsdir, text);
        assert_eq!(descriptor.lifetime_minutes(), Some(180));
        assert_eq!(descriptor.revision(), Some(2_651_362_741));
        assert_eq!(descriptor.to_string(), text);
        let keywords: Vec<_> = descriptor.items().map(|item| item.keyword()).collect();
        assert_eq!(
            keywords,
            [
                "hs-descriptor",
                "descriptor-lifetime",
                "revision-counter",
                "superencrypted",
                "signature",
            ]
        );
        let shown = format!("{descriptor:?}");
        assert!(shown.contains("bytes: 147") && !shown.contains("5kx4"), "{shown}");
    }
}
