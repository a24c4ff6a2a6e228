//! The flags that directory authorities give to relays.

use super::keywords;

keywords! {
    /// What the directory authorities say of a relay, in one word.
    pub enum RelayFlag {
        /// It is a directory authority.
        Authority = "Authority",
        /// It is an exit that must not be used as one.
        BadExit = "BadExit",
        /// It is useful as an exit.
        Exit = "Exit",
        /// It is useful for circuits that need bandwidth.
        Fast = "Fast",
        /// It can be the first relay of circuits.
        Guard = "Guard",
        /// It keeps descriptors of onion services.
        HsDir = "HSDir",
        /// It can only stand in the middle of circuits.
        MiddleOnly = "MiddleOnly",
        /// Its name belonged to it; no longer given.
        Named = "Named",
        /// The authorities do not agree about its Ed25519 identity.
        NoEdConsensus = "NoEdConsensus",
        /// It can be reached.
        Running = "Running",
        /// It is useful for circuits that last long.
        Stable = "Stable",
        /// Its descriptor is old and should be sent anew.
        StaleDesc = "StaleDesc",
        /// It is one of too many at the same address.
        Sybil = "Sybil",
        /// Its name belonged to another relay; no longer given.
        Unnamed = "Unnamed",
        /// It answers directory requests.
        V2Dir = "V2Dir",
        /// It may be used.
        Valid = "Valid",
    }
}
