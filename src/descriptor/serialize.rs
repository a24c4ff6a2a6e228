//! `Serialize` of descriptors (Cargo feature `serde`): a map of the values of their methods. Digests
//! and keys are in base64, as in the documents; signatures and certificates are left out.

use super::{
    Ed25519Certificate, ExitPolicy, ExtraInfo, Microdescriptor, OnionDescriptor, ProtocolVersions,
    RouterStatus, ServerDescriptor,
};
use crate::names::serialize::{serialize_as_text, serialize_methods};

serialize_as_text! {
    ExitPolicy: ToString::to_string;
    ProtocolVersions: ToString::to_string;
}

serialize_methods! {
    RouterStatus {
        nickname identity published address or_port dir_port version protocols bandwidth
        measured_bandwidth is_unmeasured exit_ports microdescriptor_digest
        [or_addresses flags] (descriptor_digest ed25519_identity)
    }
}

serialize_methods! {
    Microdescriptor {
        onion_key exit_ports ipv6_exit_ports
        [or_addresses family family_ids] (ntor_onion_key ed25519_identity)
    }
}

serialize_methods! {
    ServerDescriptor {
        nickname fingerprint address or_port dir_port platform version protocols published
        is_hibernating uptime bandwidth onion_key signing_key is_hidden_service_dir contact
        bridge_distribution_request caches_extra_info is_tunnelled_dir_server exit_policy
        ipv6_exit_ports
        [or_addresses family] (ed25519_identity extra_info_digest extra_info_sha256 ntor_onion_key)
    }
}

serialize_methods! {
    Ed25519Certificate { certificate_type expires key_type [] (key signing_key) }
}

serialize_methods! {
    ExtraInfo { nickname fingerprint published [] () }
}

serialize_methods! {
    OnionDescriptor { address id hsdir lifetime_minutes revision [] () }
}
