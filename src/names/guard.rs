//! Guards: the relays that tor keeps to for the first hops of its circuits.

super::keywords! {
    /// What a guard is for.
    pub enum GuardType {
        /// The way into the network.
        Entry = "ENTRY",
    }
}

super::keywords! {
    /// What has happened to a guard.
    pub enum GuardStatus {
        /// It was made a guard.
        New = "NEW",
        /// It is no guard any more.
        Dropped = "DROPPED",
        /// It can be reached.
        Up = "UP",
        /// It cannot be reached.
        Down = "DOWN",
        /// By the consensus or the configuration, it can no longer be a guard.
        Bad = "BAD",
        /// By the consensus and the configuration, it can be a guard.
        Good = "GOOD",
        /// It is no guard of the second layer any more.
        BadL2 = "BAD_L2",
        /// It was made a guard of the second layer.
        GoodL2 = "GOOD_L2",
    }
}
