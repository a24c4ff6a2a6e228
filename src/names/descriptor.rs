//! Descriptors: uploads and fetches of onion service descriptors, and the purpose of router
//! descriptors.

super::keywords! {
    /// The action on an onion service descriptor that an `HS_DESC` event reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::HsDescAction;
    ///
    /// assert_eq!(HsDescAction::from("UPLOAD"), HsDescAction::Upload);
    /// assert_eq!(HsDescAction::Upload.as_str(), "UPLOAD");
    /// assert!(!HsDescAction::from("FUTURE").is_recognized());
    /// ```
    pub enum HsDescAction {
        /// tor requested it from a directory.
        Requested = "REQUESTED",
        /// tor started to upload it to a directory.
        Upload = "UPLOAD",
        /// A directory sent it.
        Received = "RECEIVED",
        /// A directory accepted the upload.
        Uploaded = "UPLOADED",
        /// A directory sent it, and tor has it already.
        Ignore = "IGNORE",
        /// The fetch from, or the upload to, this directory failed; others may succeed.
        Failed = "FAILED",
        /// The service created it.
        Created = "CREATED",
    }
}

super::keywords! {
    /// The type of the client authorization of an onion service in `HS_DESC`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::HsDescAuth;
    ///
    /// assert_eq!(HsDescAuth::from("BASIC_AUTH"), HsDescAuth::BasicAuth);
    /// assert_eq!(HsDescAuth::BasicAuth.as_str(), "BASIC_AUTH");
    /// assert!(!HsDescAuth::from("FUTURE").is_recognized());
    /// ```
    pub enum HsDescAuth {
        /// No authorization, or tor does not report it; version 3 services always report this.
        NoAuth = "NO_AUTH",
        /// Basic authorization of version 2 services.
        BasicAuth = "BASIC_AUTH",
        /// Stealth authorization of version 2 services.
        StealthAuth = "STEALTH_AUTH",
        /// tor does not report the kind.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// Why a fetch or an upload of an onion service descriptor failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::HsDescReason;
    ///
    /// assert_eq!(HsDescReason::from("QUERY_REJECTED"), HsDescReason::QueryRejected);
    /// assert_eq!(HsDescReason::QueryRejected.as_str(), "QUERY_REJECTED");
    /// assert!(!HsDescReason::from("FUTURE").is_recognized());
    /// ```
    pub enum HsDescReason {
        /// The descriptor could not be read.
        BadDesc = "BAD_DESC",
        /// The directory rejected the request.
        QueryRejected = "QUERY_REJECTED",
        /// The directory rejected the upload.
        UploadRejected = "UPLOAD_REJECTED",
        /// The directory does not have it.
        NotFound = "NOT_FOUND",
        /// tor found no suitable directory.
        QueryNoHsdir = "QUERY_NO_HSDIR",
        /// tor has queried every directory too often recently.
        QueryRateLimited = "QUERY_RATE_LIMITED",
        /// Another reason.
        Unexpected = "UNEXPECTED",
    }
}

super::keywords! {
    /// The purpose of a router descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::RouterPurpose;
    ///
    /// assert_eq!(RouterPurpose::from("controller"), RouterPurpose::Controller);
    /// assert_eq!(RouterPurpose::Controller.as_str(), "controller");
    /// assert!(!RouterPurpose::from("FUTURE").is_recognized());
    /// ```
    pub enum RouterPurpose {
        /// A relay of the consensus, for every use.
        General = "general",
        /// Circuits of controllers only.
        Controller = "controller",
        /// A bridge.
        Bridge = "bridge",
    }
}

super::keywords! {
    /// How a bridge asks to be distributed.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeDistribution;
    ///
    /// assert_eq!(BridgeDistribution::from("https"), BridgeDistribution::Https);
    /// assert_eq!(BridgeDistribution::Any.as_str(), "any");
    /// assert!(!BridgeDistribution::from("FUTURE").is_recognized());
    /// ```
    pub enum BridgeDistribution {
        /// Not at all.
        None = "none",
        /// The distributor chooses the method, the default.
        Any = "any",
        /// On a web page.
        Https = "https",
        /// By email.
        Email = "email",
        /// In the settings of Tor Browser.
        Settings = "settings",
        /// In the settings of Tor Browser, in older versions.
        Moat = "moat",
        /// By a messenger.
        Telegram = "telegram",
        /// By invitations.
        Lox = "lox",
        /// By invitations, a method that was planned.
        Hyphae = "hyphae",
    }
}
