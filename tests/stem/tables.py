"""Which value of torcon belongs to each attribute of Stem's classes.

A `Row` has the path of the value in the JSON object that the example `descriptors` prints, a converter
of Stem's value, and sometimes one of torcon's. A `Part` is an object, or a list of objects, with a
table of its own. `Kind.excluded` has the attributes without a row, each with the reason.
"""

import dataclasses

import stem.descriptor
import stem.descriptor.certificate
import stem.descriptor.extrainfo_descriptor as extrainfo
import stem.descriptor.hidden_service as hidden_service
import stem.descriptor.microdescriptor as microdescriptor
import stem.descriptor.networkstatus as networkstatus
import stem.descriptor.router_status_entry as router_status_entry
import stem.descriptor.server_descriptor as server_descriptor
from stem.descriptor import DigestEncoding, DigestHash

from convert import (addresses, annotations, auth_clients, auth_clients_of_torcon, certificate,
                     certificate_type, digests_of_packages, floats, hex_to_base64, key_type,
                     link_specifiers, links,
                     microdescriptor_hashes, noise, numbers, of_keys, one_or_zero, or_else, packages,
                     parsed_versions, policy, port_counts, rest, rounded,
                     rounded_values, same, seconds, simplified_policy,
                     string, strings, text, to_base64, transports, unknown_lines, unpadded, versions,
                     without_types)


@dataclasses.dataclass
class Row:
    """One value."""

    path: str
    stem: object = same
    torcon: object = same


@dataclasses.dataclass
class Part:
    """An object, or a list of them, of another kind."""

    path: str
    kind: str
    stem: object = same


@dataclasses.dataclass
class Kind:
    """A class of Stem."""

    cls: type
    rows: dict
    excluded: dict = dataclasses.field(default_factory=dict)


def history(attribute, path):
    return {
        f"{attribute}_end": Row(f"{path}.end", seconds),
        f"{attribute}_interval": Row(f"{path}.interval"),
        f"{attribute}_values": Row(f"{path}.bytes"),
    }


def interval(attribute, path):
    return {
        f"{attribute}_end": Row(f"{path}.end", seconds),
        f"{attribute}_interval": Row(f"{path}.length"),
    }


def sha256(digest):
    """Calls Stem's method for the SHA-256 digest."""
    return digest(DigestHash.SHA256, DigestEncoding.BASE64)


# What Stem's classes of documents inherit.
INHERITED = {
    "ATTRIBUTES": "a table of Stem", "PARSER_FOR_LINE": "a table of Stem",
    "TYPE_ANNOTATION_NAME": "the kind of the file is given to Stem",
    "type_annotation": "the kind of the file is given to Stem",
    "content": "writes a random document", "create": "writes a random document",
    "from_str": "parses", "get_archive_path": "the path of the file",
    "get_path": "the path of the file", "get_bytes": "what both read",
}
UNRECOGNIZED = {"get_unrecognized_lines": Row("unrecognized", unknown_lines, sorted)}
ANNOTATIONS = {"get_annotation_lines": Row("annotations", annotations, without_types)}
MAP_OF_ANNOTATIONS = {"get_annotations": "get_annotation_lines as a map"}

SERVER = {
    "nickname": Row("nickname"),
    "fingerprint": Row("fingerprint"),
    "contact": Row("contact", text),
    "published": Row("published", seconds),
    "exit_policy": Row("exit_policy", policy, simplified_policy),
    "address": Row("address"),
    "or_port": Row("or_port"),
    "socks_port": Row("socks_port"),
    "dir_port": Row("dir_port"),
    "platform": Row("platform", text),
    "tor_version": Row("version", string),
    "operating_system": Row("operating_system"),
    "uptime": Row("uptime_seconds"),
    "exit_policy_v6": Row("ipv6_exit_ports", policy, or_else("reject 1-65535")),
    "bridge_distribution": Row("bridge_distribution_request", same, or_else("any")),
    "family": Row("family", sorted, sorted),
    "average_bandwidth": Row("bandwidth.average"),
    "burst_bandwidth": Row("bandwidth.burst"),
    "observed_bandwidth": Row("bandwidth.observed"),
    "is_hidden_service_dir": Row("is_hidden_service_dir"),
    "hibernating": Row("is_hibernating"),
    "allow_tunneled_dir_requests": Row("is_tunnelled_dir_server"),
    "protocols": Row("protocols", versions, parsed_versions),
    "extra_info_cache": Row("caches_extra_info"),
    "extra_info_digest": Row("extra_info_digest", hex_to_base64),
    "extra_info_sha256_digest": Row("extra_info_sha256", unpadded),
    "ntor_onion_key": Row("ntor_onion_key", unpadded),
    "or_addresses": Row("or_addresses", addresses, rest),
    "allow_single_hop_exits": Row("allows_single_hop_exits"),
    "link_protocols": Row("link_protocols", numbers),
    "circuit_protocols": Row("circuit_protocols", numbers),
    "eventdns": Row("has_eventdns"),
    **history("read_history", "read_history"),
    **history("write_history", "write_history"),
    **UNRECOGNIZED, **ANNOTATIONS,
}

SERVER_EXCLUDED = {
    **INHERITED, **MAP_OF_ANNOTATIONS,
    "hidden_service_dir": "the same constant for every descriptor",
    "make_router_status_entry": "makes a document",
    "get_scrubbing_issues": "checks the work of CollecTor", "is_scrubbed": "checks the work of CollecTor",
}

EXTRA_INFO = {
    "nickname": Row("nickname"),
    "fingerprint": Row("fingerprint"),
    "published": Row("published", seconds),
    "geoip_db_digest": Row("geoip_db_digest", hex_to_base64),
    "geoip6_db_digest": Row("geoip6_db_digest", hex_to_base64),
    "transport": Row("transports", same, transports),
    **interval("conn_bi_direct", "conn_bi_direct.interval"),
    "conn_bi_direct_below": Row("conn_bi_direct.below"),
    "conn_bi_direct_read": Row("conn_bi_direct.read"),
    "conn_bi_direct_write": Row("conn_bi_direct.write"),
    "conn_bi_direct_both": Row("conn_bi_direct.both"),
    **history("read_history", "read_history"),
    **history("write_history", "write_history"),
    **history("dir_read_history", "dirreq_read_history"),
    **history("dir_write_history", "dirreq_write_history"),
    **interval("cell_stats", "cell_stats_interval"),
    "cell_processed_cells": Row("cell_processed_cells"),
    "cell_queued_cells": Row("cell_queued_cells"),
    "cell_time_in_queue": Row("cell_time_in_queue"),
    "cell_circuits_per_decile": Row("cell_circuits_per_decile"),
    **interval("dir_stats", "dirreq_stats_interval"),
    "dir_v2_ips": Row("dirreq_v2_ips"),
    "dir_v3_ips": Row("dirreq_v3_ips"),
    "dir_v2_share": Row("dirreq_v2_share", rounded, rounded),
    "dir_v3_share": Row("dirreq_v3_share", rounded, rounded),
    "dir_v2_requests": Row("dirreq_v2_reqs"),
    "dir_v3_requests": Row("dirreq_v3_reqs"),
    **{f"dir_{version}_{stem}{suffix}": Row(f"dirreq_{version}_{torcon}", same, of_keys(keys, suffix == ""))
       for version in ("v2", "v3") for suffix in ("", "_unknown")
       for stem, torcon, keys in (("responses", "resp", extrainfo.DirResponse),
                                  ("direct_dl", "direct_dl", extrainfo.DirStat),
                                  ("tunneled_dl", "tunneled_dl", extrainfo.DirStat))},
    **interval("entry_stats", "entry_stats_interval"),
    "entry_ips": Row("entry_ips"),
    **interval("exit_stats", "exit_stats_interval"),
    "exit_kibibytes_written": Row("exit_kibibytes_written", port_counts),
    "exit_kibibytes_read": Row("exit_kibibytes_read", port_counts),
    "exit_streams_opened": Row("exit_streams_opened", port_counts),
    "hs_stats_end": Row("hidserv_stats_interval.end", seconds),
    "hs_rend_cells": Row("hidserv_rend_relayed_cells.value"),
    "hs_rend_cells_attr": Row("hidserv_rend_relayed_cells", floats, noise),
    "hs_dir_onions_seen": Row("hidserv_dir_onions_seen.value"),
    "hs_dir_onions_seen_attr": Row("hidserv_dir_onions_seen", floats, noise),
    "padding_counts": Row("padding_counts.counts", same, or_else({})),
    **interval("padding_counts", "padding_counts.interval"),
    **interval("bridge_stats", "bridge_stats_interval"),
    "bridge_ips": Row("bridge_ips"),
    "geoip_start_time": Row("geoip_start_time", seconds),
    "geoip_client_origins": Row("geoip_client_origins"),
    "ip_versions": Row("bridge_ip_versions"),
    "ip_transports": Row("bridge_ip_transports"),
    **UNRECOGNIZED,
}

STATUS = {
    "nickname": Row("nickname"),
    "fingerprint": Row("identity"),
    "published": Row("published", seconds),
    "address": Row("address"),
    "or_port": Row("or_port"),
    "dir_port": Row("dir_port"),
    "flags": Row("flags"),
    "version": Row("version", string),
    "or_addresses": Row("or_addresses", addresses, rest),
    "bandwidth": Row("bandwidth"),
    "measured": Row("measured_bandwidth"),
    "is_unmeasured": Row("is_unmeasured"),
    "protocols": Row("protocols", versions, parsed_versions),
    **UNRECOGNIZED,
}
STATUS_EXCLUDED = {
    **INHERITED,
    "document": "the document of the entry, which is compared in its own table",
    "unrecognized_bandwidth_entries": "words of a line; torcon returns the line among `items`",
    "version_line": "the line of version, which torcon returns among `items`",
}

DECRYPTED = "`live.py` compares the layers in their own tables"

SHARED_RANDOM = {
    "shared_randomness_previous_reveal_count": Row("shared_random_previous.reveals"),
    "shared_randomness_previous_value": Row("shared_random_previous.value", unpadded),
    "shared_randomness_current_reveal_count": Row("shared_random_current.reveals"),
    "shared_randomness_current_value": Row("shared_random_current.value", unpadded),
}

NETWORK_STATUS = {
    "valid_after": Row("valid_after", seconds),
    "fresh_until": Row("fresh_until", seconds),
    "valid_until": Row("valid_until", seconds),
    "vote_delay": Row("vote_delay"),
    "dist_delay": Row("distribution_delay"),
    "client_versions": Row("client_versions", strings),
    "server_versions": Row("server_versions", strings),
    "packages": Row("packages", packages, digests_of_packages),
    "known_flags": Row("known_flags"),
    "recommended_client_protocols": Row("recommended_client_protocols", versions, parsed_versions),
    "recommended_relay_protocols": Row("recommended_relay_protocols", versions, parsed_versions),
    "required_client_protocols": Row("required_client_protocols", versions, parsed_versions),
    "required_relay_protocols": Row("required_relay_protocols", versions, parsed_versions),
    "params": Row("params"),
    "signatures": Part("signatures", "directory signature"),
}
NETWORK_STATUS_EXCLUDED = {
    **INHERITED,
    "version": "3 in every document that torcon accepts",
    "is_consensus": "torcon has two types", "is_vote": "torcon has two types",
    "is_microdescriptor": "version_flavor", "routers": "compared in their own tables",
    "is_fresh": "compares with the clock", "is_valid": "compares with the clock",
    "meets_consensus_method": "computed of consensus_method",
    "get_unrecognized_lines": "those of the relays are compared there, torcon has both",
    "validate_signatures": "the feature `verify` has its own tests",
    "digest": "of Stem's document without entries",
    "is_shared_randomness_participate": "false in every document",
    "shared_randomness_commitments": "empty in every document",
}

AUTHORITY = {
    "nickname": Row("nickname"),
    "v3ident": Row("identity"),
    "hostname": Row("hostname"),
    "address": Row("address"),
    "dir_port": Row("dir_port"),
    "or_port": Row("or_port"),
    "is_legacy": Row("is_legacy"),
    "contact": Row("contact"),
    "vote_digest": Row("vote_digest", hex_to_base64),
}
AUTHORITY_EXCLUDED = {
    **INHERITED, "fingerprint": "v3ident", "get_unrecognized_lines": "among those of the document",
}

KINDS = {
    "server-descriptor": Kind(server_descriptor.RelayDescriptor, {
        **SERVER,
        "certificate": Part("ed25519_certificate", "Ed25519 certificate"),
        "ed25519_master_key": Row("ed25519_identity", unpadded),
        "ed25519_signature": Row("ed25519_signature", unpadded),
        "onion_key": Row("onion_key"),
        "onion_key_crosscert": Row("onion_key_crosscert"),
        "ntor_onion_key_crosscert": Row("ntor_onion_key_crosscert", certificate),
        "ntor_onion_key_crosscert_sign": Row("ntor_onion_key_crosscert_sign", one_or_zero),
        "signing_key": Row("signing_key"),
        "signature": Row("signature"),
        "digest": Row("digest", lambda digest: hex_to_base64(digest())),
    }, {**SERVER_EXCLUDED, "ed25519_certificate": "the object of `certificate`"}),
    "bridge-server-descriptor": Kind(server_descriptor.BridgeDescriptor, {
        **SERVER,
        "digest": Row("digest", lambda digest: hex_to_base64(digest())),
        "router_digest_sha256": Row("digest_sha256", unpadded),
        "ed25519_certificate_hash": Row("ed25519_identity", unpadded),
    }, SERVER_EXCLUDED),
    "extra-info": Kind(extrainfo.RelayExtraInfoDescriptor, {
        **EXTRA_INFO,
        "ed25519_signature": Row("ed25519_signature"),
        "signature": Row("signature"),
        "digest": Row("digest", lambda digest: hex_to_base64(digest())),
        "ed25519_certificate": Row("ed25519_certificate", certificate),
    }, INHERITED),
    "bridge-extra-info": Kind(extrainfo.BridgeExtraInfoDescriptor, {
        **EXTRA_INFO,
        "digest": Row("digest", lambda digest: hex_to_base64(digest())),
        "router_digest_sha256": Row("digest_sha256", unpadded),
        "ed25519_certificate_hash": Row("master_key_ed25519", unpadded),
    }, INHERITED),
    "microdescriptor": Kind(microdescriptor.Microdescriptor, {
        "onion_key": Row("onion_key"),
        "ntor_onion_key": Row("ntor_onion_key", unpadded),
        "or_addresses": Row("or_addresses", addresses),
        "family": Row("family"),
        "exit_policy": Row("exit_ports", policy, or_else("reject 1-65535")),
        "exit_policy_v6": Row("ipv6_exit_ports", policy),
        "identifiers": Row("ed25519_identity", lambda value: unpadded(value.get("ed25519"))),
        "digest": Row("digest", lambda digest: digest()),
        **UNRECOGNIZED,
        **ANNOTATIONS,
    }, {
        **INHERITED, **MAP_OF_ANNOTATIONS,
        "identifier": "the last of identifiers", "identifier_type": "the last of identifiers",
        "protocols": "tor writes none into microdescriptors",
    }),
    "router status": Kind(router_status_entry.RouterStatusEntryV3, {
        **STATUS,
        "digest": Row("descriptor_digest", hex_to_base64),
        "exit_policy": Row("exit_ports", policy),
        "identifier": Row("ed25519_identity", unpadded),
        "microdescriptor_hashes": Row("microdescriptor_digests", microdescriptor_hashes),
    }, {**STATUS_EXCLUDED, "identifier_type": "ed25519 in every vote"}),
    "router status of microdescriptors": Kind(router_status_entry.RouterStatusEntryMicroV3, {
        **STATUS,
        "microdescriptor_digest": Row("microdescriptor_digest", unpadded),
    }, {**STATUS_EXCLUDED, "digest": "microdescriptor_digest in another form"}),
    "consensus": Kind(networkstatus.NetworkStatusDocumentV3, {
        **NETWORK_STATUS,
        "version_flavor": Row("flavor"),
        "consensus_method": Row("consensus_method"),
        "bandwidth_weights": Row("bandwidth_weights"),
        "directory_authorities": Part("authorities", "authority", list),
        **SHARED_RANDOM,
    }, {
        **NETWORK_STATUS_EXCLUDED, **dict.fromkeys(
            ("consensus_methods", "published", "flag_thresholds", "bandwidth_file_headers",
             "bandwidth_file_digest"), "only in votes"),
    }),
    "vote": Kind(networkstatus.NetworkStatusDocumentV3, {
        **NETWORK_STATUS,
        "consensus_methods": Row("consensus_methods"),
        "published": Row("published", seconds),
        "flag_thresholds": Row("flag_thresholds", rounded_values, rounded_values),
        "bandwidth_file_headers": Row("bandwidth_file_headers"),
        "bandwidth_file_digest": Row("bandwidth_file_digests"),
        "directory_authorities": Part("", "authority of a vote", list),
    }, {
        **NETWORK_STATUS_EXCLUDED, **dict.fromkeys(SHARED_RANDOM, "values of the authority"),
        "version_flavor": "ns in every vote",
        "consensus_method": "only in consensuses", "bandwidth_weights": "only in consensuses",
    }),
    "authority": Kind(networkstatus.DirectoryAuthority, AUTHORITY, {
        **AUTHORITY_EXCLUDED, **dict.fromkeys(
            ("is_shared_randomness_participate", "shared_randomness_commitments", "key_certificate",
             "legacy_dir_key", *SHARED_RANDOM), "only in votes"),
    }),
    "authority of a vote": Kind(networkstatus.DirectoryAuthority, {
        **{attribute: Row(f"authority.{row.path}", row.stem, row.torcon)
           for attribute, row in AUTHORITY.items() if attribute != "vote_digest"},
        "legacy_dir_key": Row("authority.legacy_dir_key"),
        "key_certificate": Part("authority.key_certificate", "dir-key-certificate-3"),
        "is_shared_randomness_participate": Row("participates_in_shared_random"),
        "shared_randomness_commitments": Part("shared_random_commits", "commitment"),
        **SHARED_RANDOM,
    }, {**AUTHORITY_EXCLUDED, "vote_digest": "only in consensuses"}),
    "commitment": Kind(networkstatus.SharedRandomnessCommitment, {
        "version": Row("version"),
        "algorithm": Row("algorithm"),
        "identity": Row("identity"),
        "commit": Row("commit"),
        "reveal": Row("reveal"),
    }, {"count": "of tuples", "index": "of tuples"}),
    "directory signature": Kind(networkstatus.DocumentSignature, {
        "method": Row("algorithm"),
        "identity": Row("identity"),
        "key_digest": Row("signing_key_digest", hex_to_base64),
    }, {"flavor": "only in detached signatures", "signature": "left out of the JSON; `verify` checks it"}),
    "dir-key-certificate-3": Kind(networkstatus.KeyCertificate, {
        "address": Row("address", same, lambda value: value and value.rsplit(":", 1)[0]),
        "dir_port": Row("address", same, lambda value: value and int(value.rsplit(":", 1)[1])),
        "fingerprint": Row("fingerprint"),
        "identity_key": Row("identity_key"),
        "published": Row("published", seconds),
        "expires": Row("expires", seconds),
        "signing_key": Row("signing_key"),
        "crosscert": Row("crosscert"),
        "certification": Row("certification"),
        **UNRECOGNIZED,
    }, {**INHERITED, "version": "3 in every document that torcon accepts"}),
    "hidden-service-descriptor-3": Kind(hidden_service.HiddenServiceDescriptorV3, {
        "version": Row("version"),
        "lifetime": Row("lifetime_minutes"),
        "signing_cert": Part("signing_key_certificate", "Ed25519 certificate"),
        "revision_counter": Row("revision"),
        "signature": Row("signature", unpadded),
        **UNRECOGNIZED,
    }, {
        **INHERITED, "superencrypted": "an object, which torcon decrypts or returns among `items`", "decrypt": DECRYPTED,
        "address_from_identity_key": "converts an address", "identity_key_from_address": "converts an address",
    }),
    "second layer": Kind(hidden_service.InnerLayer, {
        "outer": Part("first_layer", "first layer"),
        "formats": Row("create2_formats"),
        "intro_auth": Row("intro_auth_required"),
        "is_single_service": Row("is_single_onion_service"),
        "introduction_points": Part("introduction_points", "introduction point"),
    }, {**INHERITED, "get_unrecognized_lines": "newer lines, of which torcon has the values"}),
    "first layer": Kind(hidden_service.OuterLayer, {
        "auth_type": Row("auth_type"),
        "ephemeral_key": Row("ephemeral_key", unpadded),
        "clients": Row("auth_clients", auth_clients, auth_clients_of_torcon),
    }, {**INHERITED, "encrypted": "what both decrypt",
        "get_unrecognized_lines": "newer lines, of which torcon has the values"}),
    "introduction point": Kind(hidden_service.IntroductionPointV3, {
        "link_specifiers": Row("link_specifiers", link_specifiers, links),
        "onion_key_raw": Row("onion_key", unpadded),
        "auth_key_cert": Part("auth_key_certificate", "Ed25519 certificate"),
        "enc_key_raw": Row("enc_key", unpadded),
        "enc_key_cert": Part("enc_key_certificate", "Ed25519 certificate"),
        "legacy_key_raw": Row("legacy_key"),
        "legacy_key_cert": Row("legacy_key_certificate"),
    }, {
        **dict.fromkeys(("auth_key", "enc_key", "legacy_key", "onion_key"), "an object, made of the raw value"),
        **dict.fromkeys(("create_for_address", "create_for_link_specifiers", "encode"), "writes"),
        "parse": "parses", **dict.fromkeys(("count", "index"), "of tuples"),
    }),
    "Ed25519 certificate": Kind(stem.descriptor.certificate.Ed25519CertificateV1, {
        "type_int": Row("certificate_type", certificate_type),
        "expiration": Row("expires", seconds),
        "key_type": Row("key_type", key_type),
        "key": Row("key", to_base64),
        "signing_key": Row("signing_key", lambda key: to_base64(key())),
        "signature": Row("signature", to_base64),
    }, {
        "type": "the name of type_int", "version": "1 in every certificate that torcon accepts",
        "encoded": "what both read", "extensions": "the only known one is signing_key",
        "is_expired": "compares with the clock", "from_base64": "parses", "parse": "parses",
        "unpack": "parses", "pack": "writes", "to_base64": "writes",
        "validate": "the feature `verify` has its own tests",
    }),
}


# Classes without a table.
UNCOMPARED = {
    hidden_service.AuthorizedClient: "its values are those of `clients`",
    hidden_service.HiddenServiceDescriptorV2: "tor has removed services of version 2",
    networkstatus.NetworkStatusDocumentV2: "tor writes none since 2013",
    router_status_entry.RouterStatusEntryV2: "entries of such a document",
    router_status_entry.RouterStatusEntryBridgeV2: "the values of other entries",
    networkstatus.BridgeNetworkStatusDocument: "its entries are those of a consensus",
    networkstatus.DetachedSignature: "authorities send it to each other only",
    stem.descriptor.certificate.Ed25519Extension: "the only known one is signing_key of the certificate",
}


def attributes(cls):
    """Returns the names of the public attributes of a class of Stem, or of one that it sets itself."""
    own = {
        networkstatus.DocumentSignature: ("method", "identity", "key_digest", "signature", "flavor"),
        networkstatus.NetworkStatusDocumentV3: (
            "routers", "directory_authorities", "is_shared_randomness_participate",
            "shared_randomness_commitments"),
        networkstatus.DirectoryAuthority: ("key_certificate", "fingerprint"),
        hidden_service.InnerLayer: ("outer",),
        server_descriptor.RelayDescriptor: ("hidden_service_dir",),
        server_descriptor.BridgeDescriptor: ("hidden_service_dir",),
        router_status_entry.RouterStatusEntryV3: ("document",),
        router_status_entry.RouterStatusEntryMicroV3: ("document",),
        stem.descriptor.certificate.Ed25519CertificateV1: (
            "version", "encoded", "type", "type_int", "expiration", "key_type", "key", "extensions",
            "signature"),
    }
    names = {*dir(cls), *getattr(cls, "ATTRIBUTES", ()), *getattr(cls, "_fields", ()), *own.get(cls, ())}
    return {name for name in names if not name.startswith("_")}


def check():
    """Fails unless every class has a table or a reason, and every attribute a row or a reason."""
    classes = {kind.cls for kind in KINDS.values()} | set(UNCOMPARED)
    problems = [f"no table for {cls.__name__}" for module in (
        server_descriptor, extrainfo, microdescriptor, networkstatus, router_status_entry, hidden_service)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, stem.descriptor.Descriptor)
        and not any(issubclass(known, cls) for known in classes)]
    for name, kind in KINDS.items():
        known = attributes(kind.cls)
        named = set(kind.rows) | set(kind.excluded)
        problems += [f"{name}: no row for {attribute}" for attribute in sorted(known - named)]
        unused = set(kind.rows) - known
        problems += [f"{name}: Stem has no {attribute}" for attribute in sorted(unused)]
    if problems:
        raise SystemExit("\n".join(problems))
