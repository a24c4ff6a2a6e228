//! The consensus of the directory authorities.

super::keywords! {
    /// A flavor of the consensus.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ConsensusFlavor;
    ///
    /// assert_eq!(ConsensusFlavor::from("microdesc"), ConsensusFlavor::Microdesc);
    /// assert_eq!(ConsensusFlavor::Microdesc.as_str(), "microdesc");
    /// assert!(!ConsensusFlavor::from("FUTURE").is_recognized());
    /// ```
    pub enum ConsensusFlavor {
        /// With the digests of server descriptors, which relays and authorities use.
        Ns = "ns",
        /// With the digests of microdescriptors, which clients use.
        Microdesc = "microdesc",
    }
}
