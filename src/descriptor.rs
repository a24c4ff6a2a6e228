//! What the directory says about relays: router statuses, microdescriptors, server descriptors
//! and exit policies.
//!
//! A [`RouterStatus`] is the entry of a relay in the consensus, as `GETINFO ns/id/..` and the
//! events `NS` and `NEWCONSENSUS` give it; the [body](crate::event::NsEvent::body) of these is the
//! text of a [`RouterStatuses`]. A [`Microdescriptor`] holds the keys that a client
//! needs, a [`ServerDescriptor`] everything that a relay says about itself, an [`ExtraInfo`] its
//! statistics.
//!
//! All of them are lazy: one text is shared by all entries in it, an entry is a range of that
//! text, and a line is read when it is asked for. A [`DescriptorList`] divides a text of thousands
//! of entries within milliseconds. Lines that this version does not know are kept
//! ([`DescriptorItem`]), and what a line says wrongly counts as absent; only an entry without its
//! first line is refused.
//!
//! Nothing here is verified: tor has done that before it told.
//!
//! # Examples
//!
//! ```
//! use torcon::descriptor::RouterStatuses;
//! use torcon::names::RelayFlag;
//!
//! let text = "r moria1 lpXfw1/+uGEym58asExGOXAgzjE yuv8ybG1CmGaoRvZdYbzWDmZyzo \
//!     2038-01-01 00:00:00 128.31.0.39 9201 9231\n\
//!     s Authority Fast Running Valid\n\
//!     w Bandwidth=20\n";
//! for relay in &RouterStatuses::new(text) {
//!     let relay = relay?;
//!     assert_eq!(relay.nickname().as_str(), "moria1");
//!     assert!(relay.has_flag(&RelayFlag::Fast));
//! }
//! # Ok::<(), torcon::error::ProtocolError>(())
//! ```
//!
//! **Invariant**: pure. No socket, file, thread, clock or log.

mod builder;
mod exit_policy;
mod extra_info;
mod item;
mod list;
mod microdescriptor;
mod onion;
mod router_status;
mod server_descriptor;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use self::builder::DescriptorBuilder;
pub use self::exit_policy::ExitPolicy;
pub use self::extra_info::ExtraInfo;
pub use self::item::DescriptorItem;
pub use self::list::{
    Descriptor, DescriptorIter, DescriptorList, Microdescriptors, RouterStatuses, ServerDescriptors,
};
pub use self::microdescriptor::Microdescriptor;
pub use self::onion::OnionDescriptor;
pub use self::router_status::RouterStatus;
pub use self::server_descriptor::{AdvertisedBandwidth, ServerDescriptor};
pub(crate) use self::text::Text;
