//! Relays: their entries in the consensus, their microdescriptors and server descriptors.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::command::GetInfo;
use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::{
    Descriptor, DescriptorBuilder, DescriptorList, Microdescriptor, Microdescriptors, RouterStatus,
    RouterStatuses, ServerDescriptor, ServerDescriptors, Text,
};
use crate::error::Result;
use crate::names::{Fingerprint, Nickname, RouterPurpose};

/// # Relays
///
/// A method that returns `None` found no relay or no descriptor of this name.
impl Controller {
    /// Returns the entry of a relay in the consensus.
    #[doc = sends!("GETINFO ns/id/fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let fingerprint = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
    /// if let Some(relay) = controller.relay_status(fingerprint)? {
    ///     println!("{} at {}", relay.nickname(), relay.address());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_network_status")]
    pub fn relay_status(&self, fingerprint: Fingerprint) -> Result<Option<RouterStatus>> {
        self.descriptor(&format!("ns/id/{fingerprint}"))
    }

    /// Returns the entry of a relay in the consensus, by nickname.
    ///
    /// Nicknames are not unique: tor chooses one of several relays, and logs a warning.
    #[doc = sends!("GETINFO ns/name/nickname")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// if let Some(relay) = controller.relay_status_by_name("moria1".parse()?)? {
    ///     println!("{} {}", relay.identity(), relay.or_port());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relay_status_by_name(&self, nickname: Nickname) -> Result<Option<RouterStatus>> {
        self.descriptor(&format!("ns/name/{nickname}"))
    }

    /// Returns the entries of all relays in the consensus; none if tor has no consensus.
    ///
    /// They are kept as one text of several megabytes, and parsed as they are read.
    /// [`for_each_relay_status`](Self::for_each_relay_status) needs less memory.
    ///
    /// Sends `GETINFO ns/all`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info). A malformed entry is an error where it is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::RelayFlag;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for relay in &controller.relay_statuses()? {
    ///     let relay = relay?;
    ///     if relay.has_flag(&RelayFlag::Guard) {
    ///         println!("{} {}", relay.identity(), relay.nickname());
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_network_statuses")]
    pub fn relay_statuses(&self) -> Result<RouterStatuses> {
        self.descriptors("ns/all")
    }

    /// Returns entries of the relays of a purpose, made from tor's server descriptors. A client
    /// only has server descriptors of its bridges.
    #[doc = sends!("GETINFO ns/purpose/purpose", relay_statuses)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::names::RouterPurpose;
    ///
    /// for bridge in &controller.relay_statuses_of_purpose(&RouterPurpose::Bridge)? {
    ///     println!("{}", bridge?.nickname());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relay_statuses_of_purpose(&self, purpose: &RouterPurpose) -> Result<RouterStatuses> {
        self.descriptors(&format!("ns/purpose/{}", purpose.as_str()))
    }

    /// Calls a closure with each entry of the consensus as it arrives, which needs little memory.
    ///
    /// Malformed entries are skipped; at the end, the first of them is returned as the error.
    ///
    /// Sends `GETINFO ns/all`. It calls the closure and blocks as
    /// [`get_info_incremental`](Self::get_info_incremental) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn for_each_relay_status<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(RouterStatus) -> ControlFlow<()>,
    {
        self.for_each_descriptor("ns/all", take)
    }

    /// Returns the microdescriptor of a relay.
    ///
    /// Sends `GETINFO md/id/fingerprint`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) (552) if this tor uses server descriptors;
    /// otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for relay in &controller.relay_statuses()? {
    ///     if let Some(microdescriptor) = controller.microdescriptor(relay?.identity())? {
    ///         println!("{:?}", microdescriptor.exit_ports());
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_microdescriptor")]
    pub fn microdescriptor(&self, fingerprint: Fingerprint) -> Result<Option<Microdescriptor>> {
        self.descriptor(&format!("md/id/{fingerprint}"))
    }

    /// Returns the microdescriptor of a relay, by nickname.
    #[doc = sends!("GETINFO md/name/nickname", microdescriptor)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.microdescriptor_by_name("moria1".parse()?)?.is_some());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn microdescriptor_by_name(&self, nickname: Nickname) -> Result<Option<Microdescriptor>> {
        self.descriptor(&format!("md/name/{nickname}"))
    }

    /// Returns all microdescriptors.
    ///
    /// Sends `GETINFO md/all`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`microdescriptor`](Self::microdescriptor). A malformed one is an error where it is
    /// read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let all = controller.microdescriptors()?;
    /// let exits = all.iter().flatten().filter(|relay| relay.exit_ports().is_some());
    /// println!("{} relays have an exit policy", exits.count());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_microdescriptors")]
    pub fn microdescriptors(&self) -> Result<Microdescriptors> {
        self.descriptors("md/all")
    }

    /// Calls a closure with each microdescriptor, as
    /// [`for_each_relay_status`](Self::for_each_relay_status) does with entries of the consensus.
    ///
    /// Sends `GETINFO md/all`.
    ///
    /// # Errors
    ///
    /// Those of [`microdescriptor`](Self::microdescriptor).
    pub fn for_each_microdescriptor<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(Microdescriptor) -> ControlFlow<()>,
    {
        self.for_each_descriptor("md/all", take)
    }

    /// Returns the server descriptor of a relay.
    ///
    /// Relays and authorities have server descriptors, and a client those of its bridges; other
    /// clients use microdescriptors, unless `UseMicrodescriptors` is 0.
    ///
    /// Sends `GETINFO desc/id/fingerprint`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) (552) if this tor uses microdescriptors;
    /// otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for relay in &controller.relay_statuses()? {
    ///     if let Some(descriptor) = controller.server_descriptor(relay?.identity())? {
    ///         println!("{} {:?}", descriptor.nickname(), descriptor.contact());
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_server_descriptor")]
    pub fn server_descriptor(&self, fingerprint: Fingerprint) -> Result<Option<ServerDescriptor>> {
        self.descriptor(&format!("desc/id/{fingerprint}"))
    }

    /// Returns the server descriptor of a relay, by nickname.
    #[doc = sends!("GETINFO desc/name/nickname", server_descriptor)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// if let Some(descriptor) = controller.server_descriptor_by_name("moria1".parse()?)? {
    ///     println!("{:?}", descriptor.platform());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn server_descriptor_by_name(
        &self,
        nickname: Nickname,
    ) -> Result<Option<ServerDescriptor>> {
        self.descriptor(&format!("desc/name/{nickname}"))
    }

    /// Returns the newest server descriptor of every relay. A client that uses microdescriptors has
    /// none.
    ///
    /// Sends `GETINFO desc/all-recent`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info). A malformed one is an error where it is read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} server descriptors", controller.server_descriptors()?.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_server_descriptors")]
    pub fn server_descriptors(&self) -> Result<ServerDescriptors> {
        self.descriptors("desc/all-recent")
    }

    /// Calls a closure with the newest server descriptor of every relay, as
    /// [`for_each_relay_status`](Self::for_each_relay_status) does with entries of the consensus.
    ///
    /// Sends `GETINFO desc/all-recent`.
    ///
    /// # Errors
    ///
    /// Those of [`server_descriptor`](Self::server_descriptor).
    pub fn for_each_server_descriptor<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(ServerDescriptor) -> ControlFlow<()>,
    {
        self.for_each_descriptor("desc/all-recent", take)
    }

    /// Queries one descriptor. tor reports that it has none by an empty value, or by a refusal that
    /// names the key.
    pub(in crate::controller) fn descriptor<D: Descriptor>(&self, key: &str) -> Result<Option<D>> {
        match none_if_refused(self.text_of(key), 552, "Unrecognized key ")? {
            Some(text) if !text.as_bytes().is_empty() => Ok(Some(D::read(text)?)),
            _ => Ok(None),
        }
    }

    /// Returns the entries of all relays in the consensus as one step of a call, and the number of
    /// events that preceded the reply.
    pub(crate) fn relay_statuses_before(&self, deadline: Instant) -> Result<(RouterStatuses, u64)> {
        let (info, events_before) = self.execute_before(&GetInfo::new(["ns/all"]), deadline)?;
        let (bytes, value) = info.into_first_value();
        Ok((DescriptorList::of(Text::within(bytes, value)), events_before))
    }

    pub(in crate::controller) fn descriptors<D: Descriptor>(
        &self,
        key: &str,
    ) -> Result<DescriptorList<D>> {
        Ok(DescriptorList::of(self.text_of(key)?))
    }

    pub(in crate::controller) fn text_of(&self, key: &str) -> Result<Text> {
        let (bytes, value) = self.execute(&GetInfo::new([key]))?.into_first_value();
        Ok(Text::within(bytes, value))
    }

    fn for_each_descriptor<D: Descriptor>(
        &self,
        key: &str,
        mut take: impl FnMut(D) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut builder = DescriptorBuilder::<D>::new();
        let mut malformed = None;
        let mut give = |entry: Option<Vec<u8>>| match entry.map(|text| D::read(Text::new(text))) {
            None => ControlFlow::Continue(()),
            Some(Ok(entry)) => take(entry),
            Some(Err(error)) => {
                malformed.get_or_insert(error);
                ControlFlow::Continue(())
            }
        };
        let mut ended = ControlFlow::Continue(());
        self.get_info_incremental(key, |line| {
            ended = give(builder.line(line.bytes()));
            ended
        })?;
        if ended.is_continue() {
            // After the last descriptor, `Break` has nothing to end.
            let _ = give(builder.finish());
        }
        malformed.map_or(Ok(()), |error| Err(error.into()))
    }
}
