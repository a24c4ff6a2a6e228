//! What tor knows about relays.

use std::ops::ControlFlow;
use std::time::Instant;

use super::Controller;
use crate::command::GetInfo;
use crate::descriptor::{
    Descriptor, DescriptorBuilder, DescriptorList, Microdescriptor, Microdescriptors, RouterStatus,
    RouterStatuses, ServerDescriptor, ServerDescriptors, Text,
};
use crate::error::{Error, Result};
use crate::names::{Fingerprint, Nickname, RouterPurpose};

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Asks what the consensus says about a relay; `None` if tor knows none with this
    /// fingerprint.
    ///
    /// Sends `GETINFO ns/id/fingerprint`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the answer cannot be read; otherwise those of
    /// [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let fingerprint = "9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?;
    /// if let Some(relay) = controller.relay_status(fingerprint)? {
    ///     println!("{} at {}", relay.nickname(), relay.address());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_network_status")]
    pub fn relay_status(&self, fingerprint: Fingerprint) -> Result<Option<RouterStatus>> {
        self.descriptor(&format!("ns/id/{fingerprint}"))
    }

    /// Asks what the consensus says about the relay that tor takes for the one of this nickname.
    ///
    /// Any relay can call itself so; a fingerprint says which is meant, and tor logs a warning.
    ///
    /// Sends `GETINFO ns/name/nickname`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`relay_status`](Self::relay_status).
    pub fn relay_status_by_name(&self, nickname: Nickname) -> Result<Option<RouterStatus>> {
        self.descriptor(&format!("ns/name/{nickname}"))
    }

    /// Asks for the whole consensus.
    ///
    /// It has thousands of relays and some megabytes, which are kept as one text.
    /// [`for_each_relay_status`](Self::for_each_relay_status) takes less memory. There is none
    /// as long as tor has no consensus.
    ///
    /// Sends `GETINFO ns/all`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute). An entry that cannot be read is an error where it is
    /// asked for.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::names::RelayFlag;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for relay in &controller.relay_statuses()? {
    ///     let relay = relay?;
    ///     if relay.has_flag(&RelayFlag::Guard) {
    ///         println!("{} {}", relay.identity(), relay.nickname());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_network_statuses")]
    pub fn relay_statuses(&self) -> Result<RouterStatuses> {
        self.descriptors("ns/all")
    }

    /// Asks for the relays of a purpose of which tor has server descriptors. A client has those of its bridges only.
    ///
    /// Sends `GETINFO ns/purpose/purpose`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`relay_statuses`](Self::relay_statuses).
    pub fn relay_statuses_of_purpose(&self, purpose: &RouterPurpose) -> Result<RouterStatuses> {
        self.descriptors(&format!("ns/purpose/{}", purpose.as_str()))
    }

    /// Takes the entries of the consensus one by one, as they come, in little memory.
    ///
    /// The closure runs on the calling thread and may end early with [`ControlFlow::Break`]. All
    /// else is as with [`get_info_incremental`](Self::get_info_incremental). An entry that cannot
    /// be read is left out; when all others have been given, the first of these is the error.
    ///
    /// Sends `GETINFO ns/all`.
    ///
    /// Blocks the current thread until the answer is complete. Each wait for more of it lasts for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`relay_status`](Self::relay_status).
    pub fn for_each_relay_status<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(RouterStatus) -> ControlFlow<()>,
    {
        self.each("ns/all", take)
    }

    /// Asks for the microdescriptor of a relay; `None` if tor has none.
    ///
    /// Sends `GETINFO md/id/fingerprint`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] (552) if this tor uses server descriptors; otherwise those of
    /// [`relay_status`](Self::relay_status).
    #[doc(alias = "get_microdescriptor")]
    pub fn microdescriptor(&self, fingerprint: Fingerprint) -> Result<Option<Microdescriptor>> {
        self.descriptor(&format!("md/id/{fingerprint}"))
    }

    /// Asks for the microdescriptor of the relay that tor takes for the one of this nickname.
    ///
    /// Sends `GETINFO md/name/nickname`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`microdescriptor`](Self::microdescriptor).
    pub fn microdescriptor_by_name(&self, nickname: Nickname) -> Result<Option<Microdescriptor>> {
        self.descriptor(&format!("md/name/{nickname}"))
    }

    /// Asks for all microdescriptors.
    ///
    /// Sends `GETINFO md/all`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`microdescriptor`](Self::microdescriptor). One that cannot be read is an error
    /// where it is asked for.
    #[doc(alias = "get_microdescriptors")]
    pub fn microdescriptors(&self) -> Result<Microdescriptors> {
        self.descriptors("md/all")
    }

    /// Takes all microdescriptors one by one, as
    /// [`for_each_relay_status`](Self::for_each_relay_status) does with the consensus.
    ///
    /// Sends `GETINFO md/all`.
    ///
    /// Blocks the current thread until the answer is complete. Each wait for more of it lasts for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`microdescriptor`](Self::microdescriptor).
    pub fn for_each_microdescriptor<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(Microdescriptor) -> ControlFlow<()>,
    {
        self.each("md/all", take)
    }

    /// Asks for the server descriptor of a relay; `None` if tor has none.
    ///
    /// Relays and authorities have them, and a client those of its bridges. Other clients use
    /// microdescriptors, unless told otherwise by `UseMicrodescriptors 0`.
    ///
    /// Sends `GETINFO desc/id/fingerprint`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] (552) if this tor uses microdescriptors; otherwise those of
    /// [`relay_status`](Self::relay_status).
    #[doc(alias = "get_server_descriptor")]
    pub fn server_descriptor(&self, fingerprint: Fingerprint) -> Result<Option<ServerDescriptor>> {
        self.descriptor(&format!("desc/id/{fingerprint}"))
    }

    /// Asks for the server descriptor of the relay that tor takes for the one of this nickname.
    ///
    /// Sends `GETINFO desc/name/nickname`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`server_descriptor`](Self::server_descriptor).
    pub fn server_descriptor_by_name(
        &self,
        nickname: Nickname,
    ) -> Result<Option<ServerDescriptor>> {
        self.descriptor(&format!("desc/name/{nickname}"))
    }

    /// Asks for the newest server descriptor of every relay. A client that uses microdescriptors
    /// has none.
    ///
    /// Sends `GETINFO desc/all-recent`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute). One that cannot be read is an error where it is asked
    /// for.
    #[doc(alias = "get_server_descriptors")]
    pub fn server_descriptors(&self) -> Result<ServerDescriptors> {
        self.descriptors("desc/all-recent")
    }

    /// Takes the newest server descriptor of every relay, one by one, as
    /// [`for_each_relay_status`](Self::for_each_relay_status) does with the consensus.
    ///
    /// Sends `GETINFO desc/all-recent`.
    ///
    /// Blocks the current thread until the answer is complete. Each wait for more of it lasts for
    /// at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`server_descriptor`](Self::server_descriptor).
    pub fn for_each_server_descriptor<F>(&self, take: F) -> Result<()>
    where
        F: FnMut(ServerDescriptor) -> ControlFlow<()>,
    {
        self.each("desc/all-recent", take)
    }

    /// One descriptor. tor knows two ways to say that there is none: an empty answer, and a
    /// refusal that names the key.
    pub(in crate::controller) fn descriptor<D: Descriptor>(&self, key: &str) -> Result<Option<D>> {
        let text = match self.text_of(key) {
            Ok(text) => text,
            Err(Error::Rejected(refusal))
                if refusal.code() == 552 && refusal.text().starts_with("Unrecognized key ") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if text.as_bytes().is_empty() {
            return Ok(None);
        }
        Ok(Some(D::read(text)?))
    }

    /// Asks for the whole consensus as one step of a call, and returns also the number of events
    /// that came before it.
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

    fn text_of(&self, key: &str) -> Result<Text> {
        let (bytes, value) = self.execute(&GetInfo::new([key]))?.into_first_value();
        Ok(Text::within(bytes, value))
    }

    fn each<D: Descriptor>(
        &self,
        key: &str,
        mut take: impl FnMut(D) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut assembly = DescriptorBuilder::<D>::new();
        let mut unreadable = None;
        let mut give = |entry: Option<Vec<u8>>| match entry.map(|text| D::read(Text::new(text))) {
            None => ControlFlow::Continue(()),
            Some(Ok(entry)) => take(entry),
            Some(Err(error)) => {
                unreadable.get_or_insert(error);
                ControlFlow::Continue(())
            }
        };
        let mut ended = ControlFlow::Continue(());
        self.get_info_incremental(key, |line| {
            ended = give(assembly.line(line.bytes()));
            ended
        })?;
        if ended.is_continue() {
            // There is nothing left to be ended early.
            let _ = give(assembly.finish());
        }
        unreadable.map_or(Ok(()), |error| Err(error.into()))
    }
}
