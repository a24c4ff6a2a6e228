//! The flags that directory authorities assign to relays.

use super::keywords;

keywords! {
    /// A flag that the directory authorities assign to a relay.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::RelayFlag;
    ///
    /// assert_eq!(RelayFlag::from("BadExit"), RelayFlag::BadExit);
    /// assert_eq!(RelayFlag::BadExit.as_str(), "BadExit");
    /// assert!(!RelayFlag::from("FUTURE").is_recognized());
    /// ```
    pub enum RelayFlag {
        /// It is a directory authority.
        Authority = "Authority",
        /// It is an exit that must not be used as one.
        BadExit = "BadExit",
        /// It is useful as an exit.
        Exit = "Exit",
        /// It is useful for circuits that need bandwidth.
        Fast = "Fast",
        /// It is suitable as an entry guard.
        Guard = "Guard",
        /// It stores onion service descriptors.
        HsDir = "HSDir",
        /// It is only to be used as a middle relay.
        MiddleOnly = "MiddleOnly",
        /// Its name belonged to it. The authorities no longer assign this flag.
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
        /// Its name belonged to another relay. The authorities no longer assign this flag.
        Unnamed = "Unnamed",
        /// It answers directory requests.
        V2Dir = "V2Dir",
        /// It may be used.
        Valid = "Valid",
    }
}
