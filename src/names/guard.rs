//! Guards: the relays that tor keeps using for the first hops of its circuits.

super::keywords! {
    /// The type of a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::GuardType;
    ///
    /// assert_eq!(GuardType::from("ENTRY"), GuardType::Entry);
    /// assert_eq!(GuardType::Entry.as_str(), "ENTRY");
    /// assert!(!GuardType::from("FUTURE").is_recognized());
    /// ```
    pub enum GuardType {
        /// An entry guard.
        Entry = "ENTRY",
    }
}

super::keywords! {
    /// The change of a guard that a `GUARD` event reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::GuardStatus;
    ///
    /// assert_eq!(GuardStatus::from("DROPPED"), GuardStatus::Dropped);
    /// assert_eq!(GuardStatus::Dropped.as_str(), "DROPPED");
    /// assert!(!GuardStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum GuardStatus {
        /// The relay was chosen as a guard.
        New = "NEW",
        /// The relay is no guard any more.
        Dropped = "DROPPED",
        /// It can be reached.
        Up = "UP",
        /// It cannot be reached.
        Down = "DOWN",
        /// By the consensus or the configuration, it can no longer be a guard.
        Bad = "BAD",
        /// By the consensus and the configuration, it can be a guard.
        Good = "GOOD",
        /// The relay is no second-layer guard any more.
        BadL2 = "BAD_L2",
        /// The relay was chosen as a second-layer guard.
        GoodL2 = "GOOD_L2",
    }
}
