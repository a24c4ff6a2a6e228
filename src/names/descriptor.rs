//! Descriptors: those of onion services on their way, and what those of relays are for.

super::keywords! {
    /// What has happened to a descriptor of an onion service.
    pub enum HsDescAction {
        /// We ask a directory for it.
        Requested = "REQUESTED",
        /// We send it to a directory.
        Upload = "UPLOAD",
        /// A directory gave it to us.
        Received = "RECEIVED",
        /// A directory took it from us.
        Uploaded = "UPLOADED",
        /// We have it already.
        Ignore = "IGNORE",
        /// It could not be fetched from, or sent to, this directory; others may succeed.
        Failed = "FAILED",
        /// It was made.
        Created = "CREATED",
    }
}

super::keywords! {
    /// How clients of an onion service are authorized, as far as `HS_DESC` says so.
    pub enum HsDescAuth {
        /// Not at all, or tor does not say.
        NoAuth = "NO_AUTH",
        /// The basic way of the onion services of version 2.
        BasicAuth = "BASIC_AUTH",
        /// The stealthy way of the onion services of version 2.
        StealthAuth = "STEALTH_AUTH",
        /// tor does not say.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// Why a directory failed to give or take a descriptor of an onion service.
    pub enum HsDescReason {
        /// The descriptor could not be read.
        BadDesc = "BAD_DESC",
        /// The directory refused to answer.
        QueryRejected = "QUERY_REJECTED",
        /// The directory refused to take it.
        UploadRejected = "UPLOAD_REJECTED",
        /// The directory does not have it.
        NotFound = "NOT_FOUND",
        /// No directory could be found to ask.
        QueryNoHsdir = "QUERY_NO_HSDIR",
        /// Every directory was asked too often.
        QueryRateLimited = "QUERY_RATE_LIMITED",
        /// Something that has no name.
        Unexpected = "UNEXPECTED",
    }
}

super::keywords! {
    /// What tor uses a relay for whose descriptor it has.
    pub enum RouterPurpose {
        /// Everything: the relays of the consensus.
        General = "general",
        /// Circuits of controllers only.
        Controller = "controller",
        /// A bridge, as an entrance to the network.
        Bridge = "bridge",
    }
}
