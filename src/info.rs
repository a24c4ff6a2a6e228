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

pub use self::accounting::{Accounting, AccountingInterval};
pub use self::address_mapping::{AddressMapping, MappingOrigin};
pub use self::annotations::DescriptorAnnotations;
pub(crate) use self::answers::{Answers, read_flag};
pub use self::consensus::{ConsensusFlavor, ConsensusLifetime, SharedRandom};
pub(crate) use self::download::read_digests;
pub use self::download::{
    ConsensusDownload, DownloadBackoff, DownloadIncrement, DownloadSchedule, DownloadSource,
    DownloadStatus,
};
pub use self::entry_guard::{EntryGuard, EntryGuardStatus};
pub use self::geoip::GeoIpData;
pub use self::process::{CurrentTime, ProcessInfo, Traffic};
pub use self::relay::{HandshakeCount, HandshakeCounts, Reachability};
pub use self::version::{VersionStanding, VersionStatus};
