//! Keywords of the statistics in extra-info documents.

super::keywords! {
    /// How a directory answered a request for a network status.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::DirResponse;
    ///
    /// assert_eq!(DirResponse::from("not-modified"), DirResponse::NotModified);
    /// assert_eq!(DirResponse::NotModified.as_str(), "not-modified");
    /// assert!(!DirResponse::from("future").is_recognized());
    /// ```
    pub enum DirResponse {
        /// The directory sent the document.
        Ok = "ok",
        /// Too few of the requested authorities signed the document.
        NotEnoughSigs = "not-enough-sigs",
        /// The directory had not the document.
        Unavailable = "unavailable",
        /// The document was not found.
        NotFound = "not-found",
        /// The client has the newest document.
        NotModified = "not-modified",
        /// The directory was busy.
        Busy = "busy",
    }
}

super::keywords! {
    /// A statistic of the downloads of network statuses from a directory: a number of downloads, or
    /// a bandwidth in bytes per second.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::DirDownload;
    ///
    /// assert_eq!(DirDownload::from("md"), DirDownload::Median);
    /// assert_eq!(DirDownload::Median.as_str(), "md");
    /// assert!(!DirDownload::from("future").is_recognized());
    /// ```
    pub enum DirDownload {
        /// The downloads that the client finished.
        Complete = "complete",
        /// The downloads that took more than 10 minutes.
        Timeout = "timeout",
        /// The downloads that had run for less than 10 minutes at the end of the measurement.
        Running = "running",
        /// The lowest bandwidth.
        Min = "min",
        /// The first decile of the bandwidth: a tenth of the downloads was slower.
        D1 = "d1",
        /// The second decile.
        D2 = "d2",
        /// The first quartile.
        Q1 = "q1",
        /// The third decile.
        D3 = "d3",
        /// The fourth decile.
        D4 = "d4",
        /// The median.
        Median = "md",
        /// The sixth decile.
        D6 = "d6",
        /// The seventh decile.
        D7 = "d7",
        /// The third quartile.
        Q3 = "q3",
        /// The eighth decile.
        D8 = "d8",
        /// The ninth decile.
        D9 = "d9",
        /// The highest bandwidth.
        Max = "max",
    }
}

super::keywords! {
    /// A version of IP in the statistics of a bridge.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::IpVersion;
    ///
    /// assert_eq!(IpVersion::from("v6"), IpVersion::V6);
    /// assert_eq!(IpVersion::V6.as_str(), "v6");
    /// assert!(!IpVersion::from("v7").is_recognized());
    /// ```
    pub enum IpVersion {
        /// IPv4.
        V4 = "v4",
        /// IPv6.
        V6 = "v6",
    }
}

super::keywords! {
    /// A statistic of the padding of a relay. The numbers of cells are rounded up to a multiple of
    /// [`BinSize`](Self::BinSize).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PaddingCount;
    ///
    /// assert_eq!(PaddingCount::from("write-pad"), PaddingCount::WritePad);
    /// assert_eq!(PaddingCount::WritePad.as_str(), "write-pad");
    /// assert!(!PaddingCount::from("future").is_recognized());
    /// ```
    pub enum PaddingCount {
        /// The number to a multiple of which the others are rounded.
        BinSize = "bin-size",
        /// The `RELAY_DROP` cells that the relay sent.
        WriteDrop = "write-drop",
        /// The `PADDING` cells that the relay sent.
        WritePad = "write-pad",
        /// All cells that the relay sent.
        WriteTotal = "write-total",
        /// The `RELAY_DROP` cells that the relay received.
        ReadDrop = "read-drop",
        /// The `PADDING` cells that the relay received.
        ReadPad = "read-pad",
        /// All cells that the relay received.
        ReadTotal = "read-total",
        /// The `PADDING` cells that the relay received on connections with padding.
        EnabledReadPad = "enabled-read-pad",
        /// All cells that the relay received on connections with padding.
        EnabledReadTotal = "enabled-read-total",
        /// The `PADDING` cells that the relay sent on connections with padding.
        EnabledWritePad = "enabled-write-pad",
        /// All cells that the relay sent on connections with padding.
        EnabledWriteTotal = "enabled-write-total",
        /// The highest number of timers of padding, which is not rounded.
        MaxChanpadTimers = "max-chanpad-timers",
    }
}
