//! The consensus as a document, and the descriptors that tor serves and publishes.

use std::borrow::Borrow;

use crate::command::{DescriptorPosted, PostDescriptor};
use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::{
    Consensus, DescriptorList, ExtraInfo, ServerDescriptor, ServerDescriptors,
};
use crate::error::Result;
use crate::info::{ConsensusLifetime, DescriptorAnnotations, SharedRandom};
use crate::names::{ConsensusFlavor, Fingerprint};

/// # The consensus and other documents
impl Controller {
    /// Returns the lifetime of tor's consensus; `None` if it has none.
    #[doc = sends!("GETINFO consensus/valid-after consensus/fresh-until consensus/valid-until")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let lifetime = controller.consensus_lifetime()?;
    /// if lifetime.is_none_or(|lifetime| lifetime.valid_until < SystemTime::now()) {
    ///     println!("tor has no valid consensus");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn consensus_lifetime(&self) -> Result<Option<ConsensusLifetime>> {
        self.read_infos(ConsensusLifetime::KEYS, ConsensusLifetime::read)
    }

    /// Returns the consensus as signed by the authorities; `None` if tor does not have it. A client
    /// has the `microdesc` flavor only, unless `FetchUselessDescriptors` is set.
    ///
    /// It is kept as one text of several megabytes, and parsed as it is read.
    /// [`relay_statuses`](Self::relay_statuses) returns the entries only.
    ///
    /// Sends `GETINFO dir/status-vote/current/consensus`, or `..-microdesc`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info). A malformed entry is an error where it is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::names::ConsensusFlavor;
    ///
    /// if let Some(consensus) = controller.consensus(&ConsensusFlavor::Microdesc)? {
    ///     println!("{} relays", consensus.relays().len());
    ///     std::fs::write("consensus", consensus.as_bytes())?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("consensus_document", "get_consensus"))]
    pub fn consensus(&self, flavor: &ConsensusFlavor) -> Result<Option<Consensus>> {
        let outcome = self.text_of(&flavor.document_key());
        match none_if_refused(outcome, 551, "Could not open cached consensus")? {
            Some(text) => Ok(Some(Consensus::of(text)?)),
            None => Ok(None),
        }
    }

    /// Returns the shared random values on which the authorities agreed.
    #[doc = sends!("GETINFO sr/current sr/previous")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.shared_random()?.current);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn shared_random(&self) -> Result<SharedRandom> {
        self.read_infos(SharedRandom::KEYS, SharedRandom::read)
    }

    /// Returns whether tor downloads server descriptors, as relays do.
    #[doc = sends!("GETINFO desc/download-enabled")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("server descriptors: {}", controller.fetches_server_descriptors()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn fetches_server_descriptors(&self) -> Result<bool> {
        self.read_flag("desc/download-enabled")
    }

    /// Returns whether tor downloads microdescriptors, as clients do.
    #[doc = sends!("GETINFO md/download-enabled")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("microdescriptors: {}", controller.fetches_microdescriptors()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn fetches_microdescriptors(&self) -> Result<bool> {
        self.read_flag("md/download-enabled")
    }

    /// Returns the server descriptor that this relay publishes; `None` if tor is not a relay, or has
    /// not made it yet.
    ///
    /// Sends `GETINFO dir/server/authority`; if there is none, tor logs a warning. Blocks for at
    /// most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// if let Some(descriptor) = controller.own_server_descriptor()? {
    ///     println!("this relay is {}", descriptor.nickname());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn own_server_descriptor(&self) -> Result<Option<ServerDescriptor>> {
        Ok(self.served("authority")?.iter().next().transpose()?)
    }

    /// Returns all server descriptors that tor's directory port serves. A client that uses
    /// microdescriptors has none.
    ///
    /// Sends `GETINFO dir/server/all`; if there is none, tor logs a warning. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info). A malformed descriptor is an error where it is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} descriptors", controller.served_descriptors()?.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn served_descriptors(&self) -> Result<ServerDescriptors> {
        self.served("all")
    }

    /// Returns the [served descriptors](Self::served_descriptors) of the given relays.
    ///
    /// Sends `GETINFO dir/server/fp/fingerprint[+fingerprint ...]`; nothing if no relay is given.
    /// If there is no descriptor, tor logs a warning. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`served_descriptors`](Self::served_descriptors).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let relays = controller.relay_statuses()?;
    /// let first = relays.iter().flatten().take(2).map(|relay| relay.identity());
    /// println!("{} descriptors", controller.served_descriptors_of(first)?.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn served_descriptors_of(
        &self,
        relays: impl IntoIterator<Item: Borrow<Fingerprint>>,
    ) -> Result<ServerDescriptors> {
        let relays: Vec<_> = relays.into_iter().map(|relay| relay.borrow().to_string()).collect();
        match relays.as_slice() {
            [] => Ok(DescriptorList::new([])),
            _ => self.served(&format!("fp/{}", relays.join("+"))),
        }
    }

    /// Returns the server descriptor with this SHA-1 digest; `None` if tor has none. The entries of
    /// [`relay_statuses_of_purpose`](Self::relay_statuses_of_purpose) contain the digests.
    ///
    /// Sends `GETINFO dir/server/d/digest`; if there is none, tor logs a warning. Blocks for at
    /// most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let relays = controller.relay_statuses()?;
    /// for digest in relays.iter().flatten().filter_map(|relay| relay.descriptor_digest()) {
    ///     println!("{}", controller.server_descriptor_by_digest(digest)?.is_some());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn server_descriptor_by_digest(
        &self,
        digest: [u8; 20],
    ) -> Result<Option<ServerDescriptor>> {
        let digest = Fingerprint::from(digest);
        Ok(self.served(&format!("d/{digest}"))?.iter().next().transpose()?)
    }

    fn served(&self, which: &str) -> Result<ServerDescriptors> {
        let outcome = self.descriptors(&format!("dir/server/{which}"));
        let found = none_if_refused(outcome, 551, "Servers unavailable")?;
        Ok(found.unwrap_or_else(|| DescriptorList::new([])))
    }

    /// Returns the extra-info document of a relay, by the
    /// [digest](ServerDescriptor::extra_info_digest) in its server descriptor; `None` if tor does
    /// not have it. tor downloads those of other relays only if `DownloadExtraInfo` is set.
    #[doc = sends!("GETINFO extra-info/digest/digest")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for descriptor in &controller.server_descriptors()? {
    ///     if let Some(digest) = descriptor?.extra_info_digest() {
    ///         println!("{}", controller.extra_info(digest)?.is_some());
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn extra_info(&self, digest: [u8; 20]) -> Result<Option<ExtraInfo>> {
        self.descriptor(&format!("extra-info/digest/{}", Fingerprint::from(digest)))
    }

    /// Adds the server descriptor of a relay to tor.
    ///
    /// Sends [`+POSTDESCRIPTOR`](PostDescriptor). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 554 if tor cannot parse the descriptor
    /// or refuses it, 552 if it does not know the purpose; otherwise those of
    /// [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::command::PostDescriptor;
    ///
    /// let descriptor = std::fs::read("server-descriptor")?;
    /// println!("{:?}", controller.post_descriptor(&PostDescriptor::new(descriptor))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn post_descriptor(&self, descriptor: &PostDescriptor) -> Result<DescriptorPosted> {
        self.execute(descriptor)
    }

    /// Returns the annotations of the server descriptor of a relay; `None` if tor has no such
    /// descriptor.
    #[doc = sends!("GETINFO desc-annotations/id/fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for relay in &controller.relay_statuses()? {
    ///     println!("{:?}", controller.descriptor_annotations(relay?.identity())?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn descriptor_annotations(
        &self,
        relay: Fingerprint,
    ) -> Result<Option<DescriptorAnnotations>> {
        let key = format!("desc-annotations/id/{relay}");
        let outcome = self.read_info(&key, |answer| Ok(DescriptorAnnotations::read(answer)));
        none_if_refused(outcome, 552, "Unrecognized key ")
    }
}
