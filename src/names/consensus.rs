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

super::keywords! {
    /// A weight of the consensus, by which the bandwidth of relays with certain flags is multiplied
    /// in one position of a circuit.
    ///
    /// The second letter is the position: guard (`g`), middle (`m`), exit (`e`), or a directory
    /// request (`b`) to a relay that is used in no position otherwise. The third letter stands for
    /// the flags of the relay: `Guard` (`g`), `Exit` (`e`), both (`d`), or none of them (`m`). In
    /// `Wgb`, `Wmb`, `Web` and `Wdb` the second letter stands for the flags of a relay that answers
    /// directory requests.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BandwidthWeight;
    ///
    /// assert_eq!(BandwidthWeight::from("Wgg"), BandwidthWeight::Wgg);
    /// assert_eq!(BandwidthWeight::Wgg.as_str(), "Wgg");
    /// assert!(!BandwidthWeight::from("Wxx").is_recognized());
    /// ```
    pub enum BandwidthWeight {
        /// Relays with `Guard` and `Exit`, for directory requests.
        Wbd = "Wbd",
        /// Relays with `Exit`, for directory requests.
        Wbe = "Wbe",
        /// Relays with `Guard`, for directory requests.
        Wbg = "Wbg",
        /// Relays with neither flag, for directory requests.
        Wbm = "Wbm",
        /// Relays with `Guard` and `Exit` that answer directory requests.
        Wdb = "Wdb",
        /// Relays with `Exit` that answer directory requests.
        Web = "Web",
        /// Relays with `Guard` and `Exit`, as exits.
        Wed = "Wed",
        /// Relays with `Exit`, as exits.
        Wee = "Wee",
        /// Relays with `Guard`, as exits.
        Weg = "Weg",
        /// Relays with neither flag, as exits.
        Wem = "Wem",
        /// Relays with `Guard` that answer directory requests.
        Wgb = "Wgb",
        /// Relays with `Guard` and `Exit`, as guards.
        Wgd = "Wgd",
        /// Relays with `Guard`, as guards.
        Wgg = "Wgg",
        /// Relays with neither flag, as guards.
        Wgm = "Wgm",
        /// Relays with neither flag that answer directory requests.
        Wmb = "Wmb",
        /// Relays with `Guard` and `Exit`, in the middle.
        Wmd = "Wmd",
        /// Relays with `Exit`, in the middle.
        Wme = "Wme",
        /// Relays with `Guard`, in the middle.
        Wmg = "Wmg",
        /// Relays with neither flag, in the middle.
        Wmm = "Wmm",
    }
}

super::keywords! {
    /// A digest algorithm of directory documents.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::DigestAlgorithm;
    ///
    /// assert_eq!(DigestAlgorithm::from("sha256"), DigestAlgorithm::Sha256);
    /// assert_eq!(DigestAlgorithm::Sha256.as_str(), "sha256");
    /// assert!(!DigestAlgorithm::from("FUTURE").is_recognized());
    /// ```
    pub enum DigestAlgorithm {
        /// SHA-1.
        Sha1 = "sha1",
        /// SHA-256.
        Sha256 = "sha256",
        /// SHA3-256, in the shared random protocol.
        Sha3_256 = "sha3-256",
    }
}
