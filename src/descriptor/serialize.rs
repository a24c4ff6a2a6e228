//! `Serialize` of descriptors (Cargo feature `serde`): a map of the values of their methods. Digests
//! and keys are in base64, as in the documents, and items are texts.

use super::{
    AddressPattern, BridgeStatusHeader, Consensus, DescriptorItem, DirectoryAuthority,
    Ed25519Certificate, ExitPolicy, ExitPolicyRule, ExtraInfo, KeyCertificate, Microdescriptor,
    OnionDescriptor, ProtocolVersions, RouterStatus, ServerDescriptor, StatisticMap, Vote,
};
use crate::names::serialize::{serialize_as_text, serialize_methods};
use crate::names::{CountryCode, DirDownload, DirResponse, IpVersion, PaddingCount};

serialize_as_text! {
    AddressPattern: ToString::to_string;
    ExitPolicy: ToString::to_string;
    ExitPolicyRule: ToString::to_string;
    ProtocolVersions: ToString::to_string;
}

impl serde::Serialize for DescriptorItem<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

serialize_methods! {
    RouterStatus {
        nickname identity published address or_port dir_port version version_text protocols
        bandwidth measured_bandwidth is_unmeasured exit_ports has_no_ed25519_identity
        [or_addresses flags microdescriptor_digests unrecognized]
        (descriptor_digest ed25519_identity microdescriptor_digest)
        {weights stats}
    }
}

serialize_methods! {
    Microdescriptor {
        onion_key exit_ports ipv6_exit_ports
        [or_addresses family family_ids annotations unrecognized]
        (digest ntor_onion_key ed25519_identity)
    }
}

serialize_methods! {
    ServerDescriptor {
        nickname fingerprint address or_port socks_port dir_port platform version operating_system
        protocols published is_hibernating uptime_seconds bandwidth read_history write_history
        overload_general ed25519_certificate onion_key onion_key_crosscert signing_key
        ntor_onion_key_crosscert ntor_onion_key_crosscert_sign is_hidden_service_dir contact
        bridge_distribution_request caches_extra_info is_tunnelled_dir_server
        allows_single_hop_exits has_eventdns exit_policy ipv6_exit_ports signature
        [
            or_addresses link_protocols circuit_protocols hidden_service_dir_versions family
            family_ids family_certificates annotations unrecognized
        ]
        (
            digest digest_sha256 ed25519_identity extra_info_digest extra_info_sha256
            ntor_onion_key ed25519_signature router_digest router_digest_sha256
        )
    }
}

serialize_methods! {
    Ed25519Certificate { certificate_type expires key_type [] (key signing_key signature) }
}

serialize_methods! {
    ExtraInfo {
        nickname fingerprint published write_history read_history ipv6_write_history
        ipv6_read_history dirreq_write_history dirreq_read_history geoip_start_time
        geoip_client_origins bridge_stats_interval bridge_ips bridge_ip_versions
        bridge_ip_transports dirreq_stats_interval dirreq_v2_ips dirreq_v3_ips dirreq_v2_reqs
        dirreq_v3_reqs dirreq_v2_share dirreq_v3_share dirreq_v2_resp dirreq_v3_resp
        dirreq_v2_direct_dl dirreq_v3_direct_dl dirreq_v2_tunneled_dl dirreq_v3_tunneled_dl
        entry_stats_interval entry_ips cell_stats_interval cell_processed_cells cell_queued_cells
        cell_time_in_queue cell_circuits_per_decile conn_bi_direct ipv6_conn_bi_direct
        exit_stats_interval exit_kibibytes_written exit_kibibytes_read exit_streams_opened
        hidserv_stats_interval hidserv_rend_relayed_cells hidserv_dir_onions_seen
        hidserv_v3_stats_interval hidserv_rend_v3_relayed_cells hidserv_dir_v3_onions_seen
        padding_counts overload_ratelimits overload_fd_exhausted overload_general
        ed25519_certificate signature
        [transports annotations unrecognized]
        (
            ed25519_signature digest digest_sha256 geoip_db_digest geoip6_db_digest master_key_ed25519 router_digest
            router_digest_sha256
        )
    }
}

/// Implements `Serialize` as a map for each type of keys, which are serialized as the document has
/// them.
macro_rules! serialize_maps {
    ($($key:ty: $text:expr;)*) => { $(
        impl serde::Serialize for StatisticMap<$key> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text: fn(&$key) -> String = $text;
                serializer.collect_map(self.entries().iter().map(|(key, n)| (text(key), n)))
            }
        }
    )* };
}

serialize_maps! {
    DirDownload: |key| key.as_str().to_owned();
    DirResponse: |key| key.as_str().to_owned();
    IpVersion: |key| key.as_str().to_owned();
    PaddingCount: |key| key.as_str().to_owned();
    String: Clone::clone;
    Option<CountryCode>: |country| country.map_or("??".to_owned(), |code| code.to_string());
    Option<u16>: |port| port.map_or("other".to_owned(), |port| port.to_string());
}

serialize_methods! {
    OnionDescriptor {
        version id hsdir lifetime_minutes revision signing_key_certificate
        [annotations unrecognized] (blinded_key signing_key signature)
    }
}

#[cfg(feature = "onion-descriptor")]
serialize_methods! {
    super::OnionFirstLayer {
        auth_type needs_client_auth [auth_clients unrecognized] (ephemeral_key)
    }
}

#[cfg(feature = "onion-descriptor")]
serialize_methods! {
    super::OnionSecondLayer {
        is_single_onion_service flow_control first_layer
        [create2_formats intro_auth_required pow_params introduction_points unrecognized] ()
    }
}

#[cfg(feature = "onion-descriptor")]
serialize_methods! {
    super::IntroductionPoint {
        fingerprint auth_key_certificate enc_key_certificate legacy_key legacy_key_certificate
        [link_specifiers or_addresses unrecognized] (ed25519_identity onion_key auth_key enc_key)
    }
}

serialize_methods! {
    Consensus {
        flavor consensus_method valid_after fresh_until valid_until vote_delay distribution_delay
        recommended_client_protocols recommended_relay_protocols required_client_protocols
        required_relay_protocols shared_random_current shared_random_previous
        [
            client_versions server_versions packages known_flags authorities signatures annotations
            unrecognized
        ]
        ()
        {params bandwidth_weights}
    }
}

serialize_methods! {
    Vote {
        published valid_after fresh_until valid_until vote_delay distribution_delay
        recommended_client_protocols recommended_relay_protocols required_client_protocols
        required_relay_protocols shared_random_current shared_random_previous authority
        participates_in_shared_random
        [
            consensus_methods client_versions server_versions packages known_flags
            shared_random_commits signatures annotations unrecognized
        ]
        ()
        {params flag_thresholds bandwidth_file_headers bandwidth_file_digests}
    }
}

serialize_methods! {
    DirectoryAuthority {
        nickname is_legacy identity hostname address dir_port or_port contact legacy_dir_key
        key_certificate
        [] (vote_digest)
    }
}

serialize_methods! {
    KeyCertificate {
        version fingerprint address published expires identity_key signing_key crosscert
        certification
        [annotations unrecognized] ()
    }
}

impl serde::Serialize for super::ConsensusParam {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

serialize_methods! {
    BridgeStatusHeader { published fingerprint [] () }
}
