//! The lines that a consensus and a vote have in common.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use memchr::memmem;

use crate::descriptor::item::{DescriptorItem, Items, Words, is_annotation, number};
use crate::descriptor::list::RouterStatuses;
use crate::descriptor::protocols::ProtocolVersions;
use crate::descriptor::router_status::{self, RouterStatus, split_pair};
use crate::descriptor::rule::{self, Rule};
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
use crate::names::{ConsensusFlavor, Fingerprint};
use crate::wire::timestamp::read_time;

/// The text of a consensus or vote, and where its sections begin.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) text: Text,
    pub(super) flavor: ConsensusFlavor,
    pub(super) relays: RouterStatuses,
    authorities: usize,
    entries: usize,
    footer: usize,
}

impl Document {
    /// Finds the sections. The first line and the line `vote-status` are checked.
    pub(super) fn read(
        text: Text,
        reading: &str,
        vote_status: (&[u8], &'static str),
    ) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let wrong = |expected| ProtocolError::new(reading, expected, bytes);
        let first = Items::new(bytes).first().filter(|item| item.is(b"network-status-version"));
        let flavor = first.and_then(|item| read_version(&item));
        let flavor = flavor.ok_or_else(|| wrong("the line network-status-version 3"))?;
        let before = |end: usize| bytes.get(..end).unwrap_or_default();
        let find = |end, line: &[u8]| memmem::find(before(end), line).map_or(end, |at| at + 1);
        let footer = find_footer(bytes).unwrap_or(bytes.len());
        let entries = find(footer, b"\nr ");
        let authorities = find(entries, b"\ndir-source ");
        let status = Items::new(before(authorities)).find_keyword(b"vote-status");
        match status {
            Some(item) if item.words().next() == Some(vote_status.0) => {}
            Some(item) => return Err(rule::wrong_line(reading, vote_status.1, bytes, item.line())),
            None => return Err(wrong(vote_status.1)),
        }
        let relays = RouterStatuses::of_section(text.part(entries..footer));
        Ok(Self { text, flavor, relays, authorities, entries, footer })
    }

    fn section(&self, range: Range<usize>) -> &[u8] {
        self.text.as_bytes().get(range).unwrap_or_default()
    }

    pub(super) fn header(&self) -> &[u8] {
        self.section(0..self.authorities)
    }

    /// Returns the section of the authorities.
    pub(super) fn authorities(&self) -> Text {
        self.text.part(self.authorities..self.entries)
    }

    fn entries(&self) -> &[u8] {
        self.section(self.entries..self.footer)
    }

    pub(super) fn footer(&self) -> &[u8] {
        self.section(self.footer..self.text.as_bytes().len())
    }

    /// Returns the items of the header and of the section of the authorities.
    pub(super) fn preamble(&self) -> Items<'_> {
        Items::new(self.section(0..self.entries))
    }

    pub(super) fn find(&self, keyword: &[u8]) -> Option<DescriptorItem<'_>> {
        self.preamble().find_keyword(keyword)
    }

    /// Returns the words of a line of the header or of the authorities; none without the line.
    pub(super) fn words(&self, keyword: &[u8]) -> Words<'_> {
        self.find(keyword).map_or(Words::new(b""), |item| item.words())
    }

    pub(super) fn time(&self, keyword: &[u8]) -> Option<SystemTime> {
        read_time(self.find(keyword)?.arguments_bytes())
    }

    pub(super) fn protocols(&self, keyword: &[u8]) -> Option<ProtocolVersions> {
        ProtocolVersions::from_bytes(self.find(keyword)?.arguments_bytes())
    }

    pub(super) fn voting_delay(&self) -> Option<[Duration; 2]> {
        read_delays(&self.find(b"voting-delay")?)
    }

    /// Returns whether a time is from `valid-after` up to that of the other line, inclusive as in tor.
    pub(super) fn is_between(&self, time: SystemTime, until: &[u8]) -> bool {
        self.time(b"valid-after").is_some_and(|start| start <= time)
            && self.time(until).is_some_and(|end| time <= end)
    }

    /// Finds a relay by the order of the entries.
    pub(super) fn relay(&self, identity: Fingerprint) -> Option<RouterStatus> {
        let (mut low, mut high) = (0, self.relays.len());
        while low < high {
            let middle = low + (high - low) / 2;
            // The order of a malformed entry is unknown, so the next one decides.
            let mut readable =
                (middle..high).filter_map(|at| Some((at, self.relays.get(at)?.ok()?)));
            let Some((at, relay)) = readable.next() else {
                high = middle;
                continue;
            };
            match relay.identity().cmp(&identity) {
                std::cmp::Ordering::Less => low = at + 1,
                std::cmp::Ordering::Equal => return Some(relay),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(super) fn unrecognized<'a>(
        &'a self,
        [header, authorities, footer]: [&'static [&'static [Rule]]; 3],
    ) -> impl Iterator<Item = DescriptorItem<'a>> {
        let sections: [(&[u8], &'static [&'static [Rule]]); 4] = [
            (self.header(), header),
            (self.section(self.authorities..self.entries), authorities),
            (self.entries(), &[router_status::RULES]),
            (self.footer(), footer),
        ];
        sections.into_iter().flat_map(|(text, tables)| {
            let is_known = |item: &_| tables.iter().any(|rules| rule::is_known(rules, item));
            Items::new(text).filter(move |item| !is_known(item))
        })
    }

    /// Checks a section; an error names the line of the document.
    pub(super) fn check(
        &self,
        reading: &str,
        rules: &[Rule],
        section: &[u8],
    ) -> Result<(), ProtocolError> {
        rule::check_part(reading, rules, self.text.as_bytes(), section)
    }

    /// Checks the footer: only signatures follow the first one.
    pub(super) fn check_footer(&self, reading: &str, rules: &[Rule]) -> Result<(), ProtocolError> {
        self.check(reading, rules, self.footer())?;
        let is_signature = |item: &DescriptorItem<'_>| item.is(b"directory-signature");
        let items = Items::new(self.footer()).filter(|item| !is_annotation(item));
        let mut signatures = items.skip_while(|item| !is_signature(item));
        match signatures.find(|item| !is_signature(item)) {
            None => Ok(()),
            Some(item) => {
                let expected = "only signatures behind a signature";
                Err(rule::wrong_line(reading, expected, self.text.as_bytes(), item.line()))
            }
        }
    }

    /// Checks the entries, and their order.
    pub(super) fn check_relays(
        &self,
        reading: &str,
        lacks: impl Fn(&RouterStatus) -> Option<&'static str>,
    ) -> Result<(), ProtocolError> {
        let mut last = None;
        for (text, relay) in self.relays.texts().zip(&self.relays) {
            self.check(reading, router_status::RULES, text.as_bytes())?;
            let relay = relay?;
            let is_sorted = last.is_none_or(|last| last < relay.identity());
            last = Some(relay.identity());
            let is_unsorted = (!is_sorted).then_some("relays sorted by identity, each once");
            if let Some(expected) = is_unsorted.or_else(|| lacks(&relay)) {
                return Err(rule::wrong_line(
                    reading,
                    expected,
                    self.text.as_bytes(),
                    text.as_bytes(),
                ));
            }
        }
        Ok(())
    }
}

/// Returns where the footer begins. As in tor, only two lines end the entries.
fn find_footer(text: &[u8]) -> Option<usize> {
    let begins = |at: &usize| {
        let line = text.get(*at..).unwrap_or_default();
        line.starts_with(b"directory-footer") || line.starts_with(b"directory-signature")
    };
    memmem::find_iter(text, b"\ndirectory-").map(|at| at + 1).find(begins)
}

/// Reads `network-status-version 3 [FLAVOR]`.
pub(super) fn read_version(item: &DescriptorItem<'_>) -> Option<ConsensusFlavor> {
    let mut words = item.words();
    (words.next() == Some(b"3")).then_some(())?;
    Some(words.next().map_or(ConsensusFlavor::Ns, ConsensusFlavor::from_bytes))
}

fn read_delays(item: &DescriptorItem<'_>) -> Option<[Duration; 2]> {
    let mut seconds = item.words().map(number);
    Some([Duration::from_secs(seconds.next()??), Duration::from_secs(seconds.next()??)])
}

/// Reads `circwindow=1000`.
pub(super) fn read_param(word: &[u8]) -> Option<(&[u8], i32)> {
    let (key, value) = split_pair(word)?;
    let is_number = value.strip_prefix(b"-").unwrap_or(value).iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()?;
    Some((key, value))
}

pub(super) fn is_number(item: &DescriptorItem<'_>) -> bool {
    item.words().next().and_then(number::<u32>).is_some()
}

pub(super) fn are_numbers(item: &DescriptorItem<'_>) -> bool {
    item.words().all(|word| number::<u32>(word).is_some())
}

pub(super) fn is_time(item: &DescriptorItem<'_>) -> bool {
    read_time(item.arguments_bytes()).is_some()
}

pub(super) fn are_delays(item: &DescriptorItem<'_>) -> bool {
    read_delays(item).is_some()
}

pub(super) fn are_protocols(item: &DescriptorItem<'_>) -> bool {
    ProtocolVersions::from_bytes(item.arguments_bytes()).is_some()
}

pub(super) fn are_params(item: &DescriptorItem<'_>) -> bool {
    item.words().all(|word| read_param(word).is_some())
}

/// Returns whether parameters are sorted by name, each once; tor refuses others.
pub(super) fn are_sorted_params(item: &DescriptorItem<'_>) -> bool {
    let mut names = item.words().map(|word| read_param(word).map(|(name, _)| name));
    are_params(item) && names.by_ref().is_sorted_by(|name, next| name < next)
}

/// Returns whether flags are sorted, each once; tor refuses others.
pub(super) fn are_sorted(item: &DescriptorItem<'_>) -> bool {
    item.words().is_sorted_by(|flag, next| flag < next)
}

pub(super) fn are_pairs(item: &DescriptorItem<'_>) -> bool {
    item.words().all(|word| split_pair(word).is_some())
}

/// The lines that the header of a consensus and of a vote have, with those of one of them.
macro_rules! header_rules {
    ($($own:expr,)*) => {{
        use $crate::descriptor::consensus::document::{
            are_delays, are_protocols, are_sorted, are_sorted_params, is_time, read_version,
        };
        use $crate::descriptor::consensus::shared_random::{CURRENT_VALUE, PREVIOUS_VALUE};
        use $crate::descriptor::consensus::package::is_package;
        use $crate::descriptor::rule::{Rule, any};
        &[
            Rule::once(b"network-status-version", "network-status-version 3 [FLAVOR]", |item| {
                read_version(item).is_some()
            }),
            $($own,)*
            Rule::once(b"valid-after", "valid-after DATE TIME", is_time),
            Rule::once(b"fresh-until", "fresh-until DATE TIME", is_time),
            Rule::once(b"valid-until", "valid-until DATE TIME", is_time),
            Rule::once(b"voting-delay", "voting-delay SECONDS SECONDS", are_delays),
            Rule::optional(b"client-versions", "client-versions [VERSION,..]", any),
            Rule::optional(b"server-versions", "server-versions [VERSION,..]", any),
            Rule::repeated(b"package", "package NAME VERSION URL DIGEST=VALUE ..", is_package),
            Rule::once(b"known-flags", "known-flags [FLAG ..], sorted", are_sorted),
            Rule::optional(
                b"recommended-client-protocols",
                "recommended-client-protocols [NAME=VERSIONS ..]",
                are_protocols,
            ),
            Rule::optional(
                b"recommended-relay-protocols",
                "recommended-relay-protocols [NAME=VERSIONS ..]",
                are_protocols,
            ),
            Rule::optional(
                b"required-client-protocols",
                "required-client-protocols [NAME=VERSIONS ..]",
                are_protocols,
            ),
            Rule::optional(
                b"required-relay-protocols",
                "required-relay-protocols [NAME=VERSIONS ..]",
                are_protocols,
            ),
            Rule::optional(b"params", "params [NAME=NUMBER ..], sorted", are_sorted_params),
            PREVIOUS_VALUE,
            CURRENT_VALUE,
        ]
    }};
}
pub(super) use header_rules;

/// Implements the methods that a consensus and a vote have in common, for a type with a field
/// `document`.
macro_rules! has_document {
    ($type:ident) => {
        impl $type {
            /// Returns the version of the format, which is 3.
            #[must_use]
            pub fn version(&self) -> u32 {
                3
            }

            /// Returns the time from which the consensus is used.
            #[must_use]
            pub fn valid_after(&self) -> Option<SystemTime> {
                self.document.time(b"valid-after")
            }

            /// Returns the time at which the next consensus is due.
            #[must_use]
            pub fn fresh_until(&self) -> Option<SystemTime> {
                self.document.time(b"fresh-until")
            }

            /// Returns the time until which the consensus is valid. Clients use it a day longer if
            /// they find no newer one.
            #[must_use]
            pub fn valid_until(&self) -> Option<SystemTime> {
                self.document.time(b"valid-until")
            }

            /// Returns whether a time is from `valid-after` to `valid-until`, both included.
            #[doc(alias = "is_valid")]
            #[must_use]
            pub fn is_valid_at(&self, time: SystemTime) -> bool {
                self.document.is_between(time, b"valid-until")
            }

            /// Returns whether a time is from `valid-after` to `fresh-until`, both included.
            #[doc(alias = "is_fresh")]
            #[must_use]
            pub fn is_fresh_at(&self, time: SystemTime) -> bool {
                self.document.is_between(time, b"fresh-until")
            }

            /// Returns the time that the authorities have to collect the votes.
            #[doc(alias("voting-delay", "VoteSeconds"))]
            #[must_use]
            pub fn vote_delay(&self) -> Option<Duration> {
                self.document.voting_delay().map(|[vote, _]| vote)
            }

            /// Returns the time that the authorities have to collect the signatures.
            #[doc(alias("dist_delay", "DistSeconds"))]
            #[must_use]
            pub fn distribution_delay(&self) -> Option<Duration> {
                self.document.voting_delay().map(|[_, distribution]| distribution)
            }

            /// Returns the recommended versions of tor for clients, in ascending order.
            pub fn client_versions(&self) -> impl Iterator<Item = TorVersion> + '_ {
                versions(self.document.find(b"client-versions"))
            }

            /// Returns the recommended versions of tor for relays, in ascending order.
            pub fn server_versions(&self) -> impl Iterator<Item = TorVersion> + '_ {
                versions(self.document.find(b"server-versions"))
            }

            /// Returns the recommended versions of packages. Newer authorities list none.
            pub fn packages(&self) -> impl Iterator<Item = PackageVersion> + '_ {
                let items = self.document.preamble().filter(|item| item.is(b"package"));
                items.filter_map(|item| PackageVersion::read(&item))
            }

            /// Returns the flags that an entry may have.
            pub fn known_flags(&self) -> impl Iterator<Item = RelayFlag> + '_ {
                self.document.words(b"known-flags").map(RelayFlag::from_bytes)
            }

            /// Returns the protocol versions that clients should support.
            #[must_use]
            pub fn recommended_client_protocols(&self) -> Option<ProtocolVersions> {
                self.document.protocols(b"recommended-client-protocols")
            }

            /// Returns the protocol versions that relays should support.
            #[must_use]
            pub fn recommended_relay_protocols(&self) -> Option<ProtocolVersions> {
                self.document.protocols(b"recommended-relay-protocols")
            }

            /// Returns the protocol versions without which a client ends.
            #[must_use]
            pub fn required_client_protocols(&self) -> Option<ProtocolVersions> {
                self.document.protocols(b"required-client-protocols")
            }

            /// Returns the protocol versions without which a relay ends.
            #[must_use]
            pub fn required_relay_protocols(&self) -> Option<ProtocolVersions> {
                self.document.protocols(b"required-relay-protocols")
            }

            /// Returns the parameters of the network that the document sets, sorted by name.
            pub fn params(&self) -> impl Iterator<Item = (Cow<'_, str>, i32)> {
                let params = self.document.words(b"params").filter_map(read_param);
                params.map(|(name, value)| (String::from_utf8_lossy(name), value))
            }

            /// Returns the value of a parameter as the document sets it; `None` if it does not.
            /// Names are compared exactly.
            #[must_use]
            pub fn param(&self, name: &str) -> Option<i32> {
                let mut params = self.document.words(b"params").filter_map(read_param);
                params.find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
            }

            /// Returns the value of a parameter that tor uses: that of the document, or the nearest
            /// one within the [limits](ConsensusParam); without it, the default. `None` if the
            /// document does not set it, and there is no default.
            #[doc(alias = "default_params")]
            #[must_use]
            pub fn param_or_default(&self, name: &str) -> Option<i32> {
                let known = ConsensusParam::named(name);
                match (self.param(name), known) {
                    (Some(value), Some(known)) => Some(known.clamp(value)),
                    (Some(value), None) => Some(value),
                    (None, known) => known?.default(),
                }
            }

            /// Returns the shared random value of the current period.
            #[doc(alias("shared_randomness_current_value", "shared-rand-current-value"))]
            #[must_use]
            pub fn shared_random_current(&self) -> Option<SharedRandomValue> {
                SharedRandomValue::read(&self.document.find(b"shared-rand-current-value")?)
            }

            /// Returns the shared random value of the previous period.
            #[doc(alias("shared_randomness_previous_value", "shared-rand-previous-value"))]
            #[must_use]
            pub fn shared_random_previous(&self) -> Option<SharedRandomValue> {
                SharedRandomValue::read(&self.document.find(b"shared-rand-previous-value")?)
            }

            /// Returns the entries of the relays.
            #[doc(alias = "routers")]
            #[must_use]
            pub fn relays(&self) -> &RouterStatuses {
                &self.document.relays
            }

            /// Returns the entry of a relay.
            ///
            /// It is found by binary search, since the entries are sorted by fingerprint. In a
            /// document without this order, which [`check`](Self::check) reports, an entry may not
            /// be found.
            #[must_use]
            pub fn relay(&self, fingerprint: Fingerprint) -> Option<RouterStatus> {
                self.document.relay(fingerprint)
            }

            /// Returns the signatures. They are not verified.
            pub fn signatures(&self) -> impl Iterator<Item = DirectorySignature> + '_ {
                let items = Items::new(self.document.footer());
                let items = items.filter(|item| item.is(b"directory-signature"));
                items.filter_map(|item| DirectorySignature::read(&item))
            }

            /// Returns the SHA-1 digest of the part that is signed, up to the first signature; `None`
            /// without a signature. The line `vote-digest` of a consensus names a vote by it.
            #[must_use]
            pub fn digest(&self) -> Option<[u8; 20]> {
                consensus_signed_part(self.as_bytes()).map(sha1)
            }

            /// Returns the SHA-256 digest of the same bytes as [`digest`](Self::digest).
            #[must_use]
            pub fn digest_sha256(&self) -> Option<[u8; 32]> {
                consensus_signed_part(self.as_bytes()).map(sha256)
            }

            /// Returns the annotations before the document, such as `@type` of CollecTor.
            pub fn annotations(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                Items::new(self.document.header()).filter(is_annotation)
            }

            /// Returns every item, in order, including those that have methods and those of the
            /// entries.
            pub fn items(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                Items::new(self.document.text.as_bytes())
            }

            /// Returns the whole text.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.document.text.as_bytes()
            }

            /// Returns a copy that does not share the text of a list or a reply.
            #[must_use]
            pub fn detached(&self) -> Self {
                // The copy has the text that was read before.
                Self::read(self.document.text.detached()).unwrap_or_else(|_| self.clone())
            }

            /// Returns the items of all sections and entries whose keyword this version of torcon
            /// does not know.
            pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
                self.document.unrecognized(SECTIONS)
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.document.text == other.document.text
            }
        }

        impl Eq for $type {}

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&crate::names::to_text(self.document.text.as_bytes()))
            }
        }
    };
}
pub(super) use has_document;
