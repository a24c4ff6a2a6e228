//! The kinds of documents in files, their first lines and their last ones.

/// The kind of a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::descriptor) enum Kind {
    ServerDescriptor,
    ExtraInfo,
    Microdescriptor,
    KeyCertificate,
    OnionDescriptor,
    /// A whole consensus or vote.
    NetworkStatus,
    /// The lines of a consensus, vote or bridge status before its entries.
    Header,
    /// An entry of a consensus, vote or bridge status.
    RouterStatus,
    /// The lines of a consensus or vote after its entries.
    Footer,
}

/// A line that marks the end of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastLine {
    keyword: &'static [u8],
    /// Whether an object follows it.
    pub(super) has_object: bool,
    /// Whether nothing follows it. The digests of sanitized documents may precede other lines.
    pub(super) is_final: bool,
}

const SIGNATURE: LastLine =
    LastLine { keyword: b"router-signature", has_object: true, is_final: true };
const DIGEST: LastLine = LastLine { keyword: b"router-digest", has_object: false, is_final: false };
const CERTIFICATION: LastLine =
    LastLine { keyword: b"dir-key-certification", has_object: true, is_final: true };
const ONION_SIGNATURE: LastLine =
    LastLine { keyword: b"signature", has_object: false, is_final: true };
const DIRECTORY_SIGNATURE: LastLine =
    LastLine { keyword: b"directory-signature", has_object: true, is_final: false };

impl Kind {
    /// Returns the kind that can begin with a line that has this first word.
    pub(super) fn of_first_word(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"router" => Self::ServerDescriptor,
            b"extra-info" => Self::ExtraInfo,
            b"onion-key" => Self::Microdescriptor,
            b"dir-key-certificate-version" => Self::KeyCertificate,
            b"hs-descriptor" => Self::OnionDescriptor,
            // A status of bridges has no version.
            b"network-status-version" | b"published" => Self::Header,
            b"r" => Self::RouterStatus,
            b"directory-footer" | b"directory-signature" => Self::Footer,
            _ => return None,
        })
    }

    /// Returns the kind of whole documents that begin with a line that has this first word.
    pub(in crate::descriptor) fn of_document(word: &[u8]) -> Option<Self> {
        match Self::of_first_word(word)? {
            Self::Header => Some(Self::NetworkStatus),
            kind => Some(kind),
        }
    }

    /// Returns the lines with which a complete document of this kind can end; none if the end is not
    /// marked.
    pub(super) fn last_lines(self) -> &'static [LastLine] {
        match self {
            Self::ServerDescriptor | Self::ExtraInfo => &[SIGNATURE, DIGEST],
            Self::KeyCertificate => &[CERTIFICATION],
            Self::OnionDescriptor => &[ONION_SIGNATURE],
            Self::NetworkStatus | Self::Footer => &[DIRECTORY_SIGNATURE],
            Self::Microdescriptor | Self::Header | Self::RouterStatus => &[],
        }
    }

    pub(super) fn last_line(self, word: &[u8]) -> Option<LastLine> {
        self.last_lines().iter().find(|last| last.keyword == word).copied()
    }

    /// Returns what an incomplete document lacks.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::ServerDescriptor | Self::ExtraInfo => "router-signature or router-digest",
            Self::KeyCertificate => "dir-key-certification",
            Self::OnionDescriptor => "signature",
            Self::NetworkStatus | Self::Header | Self::Footer => "directory-signature",
            Self::Microdescriptor | Self::RouterStatus => "the end of its last line",
        }
    }

    /// Returns the name of the kind in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ServerDescriptor => "a server descriptor",
            Self::ExtraInfo => "an extra-info document",
            Self::Microdescriptor => "a microdescriptor",
            Self::KeyCertificate => "a key certificate",
            Self::OnionDescriptor => "a descriptor of an onion service",
            Self::NetworkStatus | Self::Header | Self::Footer => "a network status",
            Self::RouterStatus => "a router status",
        }
    }

    /// Returns whether this is a part of a consensus, vote or bridge status.
    pub(super) fn is_network_status(self) -> bool {
        matches!(self, Self::NetworkStatus | Self::Header | Self::RouterStatus | Self::Footer)
    }

    /// Returns whether documents of a type, as `@type` annotations name it, are supported.
    pub(super) fn is_supported(document_type: &[u8]) -> bool {
        let name = document_type.split(|byte| *byte == b' ').next().unwrap_or_default();
        matches!(
            name,
            b"server-descriptor"
                | b"bridge-server-descriptor"
                | b"extra-info"
                | b"bridge-extra-info"
                | b"microdescriptor"
                | b"network-status-consensus-3"
                | b"network-status-microdesc-consensus-3"
                | b"network-status-vote-3"
                | b"bridge-network-status"
                | b"dir-key-certificate-3"
                | b"hidden-service-descriptor-3"
        )
    }
}

/// Returns the first word of a line.
pub(super) fn first_word(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}
