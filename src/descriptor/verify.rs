//! Signatures of directory documents (Cargo feature `verify`).

mod authority;
mod certificate;
mod consensus;
mod document;
mod onion;
mod relay;
mod rsa;

pub use self::consensus::{ConsensusSigners, public_authorities};
pub use self::relay::RelayIdentity;

#[cfg(test)]
mod tests;
