//! Names, guards and descriptors: one short method per command.

use std::net::IpAddr;

use crate::command::{
    DescriptorPosted, DropGuards, DropTimeouts, HsFetch, HsPost, MapAddress, MapOutcome,
    PostDescriptor, Resolve,
};
use crate::controller::Controller;
use crate::error::Result;

impl Controller {
    /// Makes tor take the first address of each pair for the second, and returns what came of each
    /// pair, in their order.
    ///
    /// An address that is mapped to itself is set free. For virtual addresses see [`MapAddress`].
    ///
    /// Sends `MAPADDRESS from=to [from=to ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no pair, or one is not ASCII or
    /// holds quotes or `=`; otherwise those of [`execute`](Self::execute). An address that tor
    /// refuses is no error but an [outcome](MapOutcome::Refused).
    pub fn map_address<I, F, T>(&self, pairs: I) -> Result<Vec<MapOutcome>>
    where
        I: IntoIterator<Item = (F, T)>,
        F: Into<String>,
        T: Into<String>,
    {
        self.execute(&MapAddress::new(pairs))
    }

    /// Begins to resolve names to addresses. The answers come as `ADDRMAP` events;
    /// [`resolve_and_wait`](Self::resolve_and_wait) waits for one.
    ///
    /// Sends `RESOLVE name [name ...]`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no name, or one is not ASCII or
    /// holds quotes or `=`; otherwise those of [`execute`](Self::execute).
    pub fn resolve<I>(&self, names: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.execute(&Resolve::new(names))
    }

    /// Begins to resolve addresses to names. The answers come as `ADDRMAP` events;
    /// [`resolve_reverse_and_wait`](Self::resolve_reverse_and_wait) waits for one.
    ///
    /// Sends `RESOLVE mode=reverse address [address ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no address; otherwise those of
    /// [`execute`](Self::execute).
    pub fn resolve_reverse(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
        self.execute(&Resolve::reverse(addresses))
    }

    /// Gives tor the descriptor of a relay.
    ///
    /// Sends [`+POSTDESCRIPTOR`](PostDescriptor). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 554 if tor cannot read the descriptor or
    /// does not want it, 552 if it does not know the purpose; otherwise those of
    /// [`execute`](Self::execute).
    pub fn post_descriptor(&self, descriptor: &PostDescriptor) -> Result<DescriptorPosted> {
        self.execute(descriptor)
    }

    /// Makes tor forget its guards, and choose others. Doing this often makes it likely to choose a
    /// bad guard one day.
    ///
    /// Sends `DROPGUARDS`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn drop_guards(&self) -> Result<()> {
        self.execute(&DropGuards::new())
    }

    /// Makes tor forget how long circuits took to build, and begin to measure again.
    ///
    /// Sends `DROPTIMEOUTS`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn drop_timeouts(&self) -> Result<()> {
        self.execute(&DropTimeouts::new())
    }

    /// Begins to fetch the descriptor of an onion service. What comes of it is told by
    /// [`HsDescEvent`](crate::event::HsDescEvent) and `HS_DESC_CONTENT` events;
    /// [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) waits for it.
    ///
    /// Sends [`HSFETCH`](HsFetch). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if tor does not know a server, 513 for
    /// the id of a descriptor; otherwise those of [`execute`](Self::execute).
    pub fn hs_fetch(&self, descriptor: &HsFetch) -> Result<()> {
        self.execute(descriptor)
    }

    /// Begins to send the descriptor of an onion service to directories. What comes of it is told by
    /// [`HsDescEvent`](crate::event::HsDescEvent)s.
    ///
    /// Sends [`+HSPOST`](HsPost). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 554 if tor cannot read the descriptor, 552
    /// if it does not know a server; otherwise those of [`execute`](Self::execute).
    pub fn hs_post(&self, descriptor: &HsPost) -> Result<()> {
        self.execute(descriptor)
    }
}
