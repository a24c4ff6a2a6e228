//! What tor answers about itself: the types of `GETINFO` that no event has.
//!
//! Each is returned by a method of [`Controller`](crate::Controller) of its own, such as
//! [`entry_guards`](crate::Controller::entry_guards). Answers that say what an event would say,
//! such as `circuit-status`, are given as that event; what relays say is in
//! [`descriptor`](crate::descriptor).
//!
//! **Invariant**: pure. No socket, file, thread, clock or log.

mod address_mapping;
mod entry_guard;

pub use self::address_mapping::AddressMapping;
pub use self::entry_guard::{EntryGuard, EntryGuardStatus};
