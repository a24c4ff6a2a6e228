//! The replies of `GETINFO` that have no event type.
//!
//! A method of [`Controller`](crate::Controller) returns each of them, such as
//! [`entry_guards`](crate::Controller::entry_guards). Replies in the format of an event, such as
//! `circuit-status`, are returned as that event; directory documents are in
//! [`descriptor`](crate::descriptor).

mod accounting;
mod address_mapping;
mod annotations;
mod answers;
mod consensus;
mod download;
mod entry_guard;
mod geoip;
mod process;
mod relay;
#[cfg(test)]
mod tests;
mod version;

#[doc(alias = "AccountingStats")]
pub use self::accounting::Accounting;
pub use self::accounting::AccountingInterval;
#[doc(alias = "Addr")]
pub use self::address_mapping::AddressMapping;
pub use self::address_mapping::MappingOrigin;
pub use self::annotations::DescriptorAnnotations;
pub(crate) use self::answers::{Answers, read_flag};
pub use self::consensus::{ConsensusLifetime, SharedRandom};
pub(crate) use self::download::read_digests;
pub use self::download::{
    ConsensusDownload, DownloadBackoff, DownloadIncrement, DownloadSchedule, DownloadSource,
    DownloadStatus,
};
pub use self::entry_guard::{EntryGuard, EntryGuardStatus};
pub use self::geoip::GeoIpData;
pub use self::process::{CurrentTime, ProcessInfo, Traffic};
#[doc(alias = "UserTrafficAllowed")]
pub use self::relay::Reachability;
pub use self::relay::{HandshakeCount, HandshakeCounts};
pub use self::version::{VersionStanding, VersionStatus};
