//! The directory: relays, descriptors, the consensus, and tor's downloads of them.

mod relays;

mod consensus;

mod downloads;
