"""Converters of values of Stem and of torcon into one form."""

import base64
import calendar
import ipaddress


# Values of Stem.

def same(value):
    return value


def seconds(value):
    """Returns a time as seconds since 1970."""
    return None if value is None else calendar.timegm(value.timetuple())


def text(value):
    """Replaces bytes that are not UTF-8, as torcon does."""
    return None if value is None else value.decode("utf-8", "replace")


def string(value):
    return None if value is None else str(value)


def unpadded(value):
    """Returns a key or digest in base64 without padding."""
    return None if value is None else value.rstrip("=")


def hex_to_base64(value):
    return None if value is None else to_base64(bytes.fromhex(value))


def to_base64(value):
    return None if value is None else base64.b64encode(value).decode().rstrip("=")


def addresses(value):
    """Returns tuples of address, port, and whether it is IPv6 as texts with short IPv6 addresses."""
    return [f"[{ipaddress.ip_address(address)}]:{port}" if is_ipv6 else f"{address}:{port}"
            for address, port, is_ipv6 in value]


def versions(value):
    """Returns protocols as a map from names to sorted versions."""
    return {name: sorted(set(numbers)) for name, numbers in value.items() if numbers}


def policy(value):
    return None if value is None else str(value).replace(", ", ",")


def strings(value):
    return [str(item) for item in value]


def port_counts(value):
    """Returns a map whose keys are texts, as those of JSON are."""
    return None if value is None else {str(port): count for port, count in value.items()}


def rounded(value):
    """Returns a fraction. Both libraries divide a percentage by 100."""
    return None if value is None else round(value, 9)


def numbers(value):
    return [] if value is None else [int(number) for number in value]


def one_or_zero(value):
    return {"0": False, "1": True}.get(value)


CERTIFICATE_TYPES = {
    4: "IdentityVSigning", 5: "SigningVTlsCert", 6: "SigningVLinkAuth", 8: "BlindedIdVSigning",
    9: "HsIpVSigning", 10: "NtorCcIdentity", 11: "HsIpCcSigning", 12: "FamilyVIdentity",
}
KEY_TYPES = {1: "Ed25519", 2: "RsaSha256", 3: "X509Sha256"}


def certificate_type(number):
    return CERTIFICATE_TYPES.get(number, {"Unrecognized": number})


def key_type(number):
    return KEY_TYPES.get(number, {"Unrecognized": number})


def certificate(pem):
    """Returns the values of a certificate of which Stem has only the text."""
    if pem is None:
        return None
    contents = base64.b64decode("".join(pem.split("\n")[1:-1]))
    # The only extension is the signing key.
    signing_key = contents[44:76] if contents[39:43] == b"\x01\x00\x20\x04" else None
    return {
        "certificate_type": certificate_type(contents[1]),
        "expires": int.from_bytes(contents[2:6], "big") * 3600,
        "key_type": key_type(contents[6]),
        "key": to_base64(contents[7:39]),
        "signing_key": to_base64(signing_key),
        "signature": to_base64(contents[-64:]),
    }


def allowed(policy, targets):
    """Returns the targets that an exit policy of Stem allows."""
    found = []
    for target in targets:
        address, port = target.rsplit(":", 1)
        if policy.can_exit_to(address.strip("[]"), int(port)):
            found.append(target)
    return found


def packages(value):
    return [{"name": name, "version": version, "url": url, "digests": digests}
            for name, version, url, digests in value]


def microdescriptor_hashes(value):
    return [{"methods": methods, "sha256": unpadded(digests.get("sha256"))} for methods, digests in value]


# Values of torcon.

def canonical(value):
    """Returns times as seconds since 1970 and durations as seconds."""
    if isinstance(value, dict):
        if value.keys() == {"secs_since_epoch", "nanos_since_epoch"}:
            return value["secs_since_epoch"]
        if value.keys() == {"secs", "nanos"}:
            return value["secs"]
        return {key: canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return value


def parsed_versions(value):
    """Returns `Cons=1-2 Desc=1` as a map from names to sorted versions."""
    read = {}
    for part in (value or "").split():
        name, _, ranges = part.partition("=")
        numbers = set()
        for one in filter(None, ranges.split(",")):
            first, _, last = one.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        if numbers:
            read[name] = sorted(numbers)
    return read


def or_else(default):
    """Returns a converter of `None` into the value that Stem has then."""
    return lambda value: default if value is None else value


def simplified_policy(value):
    """Shortens rules as Stem does: nothing follows a rule for every address and port, and a policy whose
    rules are all of one kind and end with it is only that rule."""
    if value is None:
        return None
    kept = []
    for rule in value.split(","):
        kept.append(rule)
        if rule in ("accept *:*", "reject *:*"):
            break
    for last in ("accept *:*", "reject *:*"):
        if kept[-1] == last and all(rule.startswith(last[:6]) for rule in kept):
            return last
    return ",".join(kept)


def rest(value):
    """Leaves out the address of the first line of a relay, which Stem does not count."""
    return value[1:]


def floats(value):
    return {key: float(number) for key, number in value.items()}


def noise(value):
    """Returns the parameters of a count that is obfuscated."""
    return {key: float(number) for key, number in (value or {}).items()
            if key != "value" and number is not None}


def of_keys(keys, are_known):
    """Returns a converter that keeps the entries of a map whose keys are known to Stem, or the others."""
    return lambda value: value and {key: n for key, n in value.items() if (key in keys) == are_known}


def transports(value):
    """Returns a map from names to address, port and arguments."""
    read = {}
    for transport in value:
        address, port, arguments = None, None, None
        if transport["address"]:
            address, port = transport["address"].rsplit(":", 1)
            port, arguments = int(port), transport["arguments"]
        read[transport["name"]] = (address, port, arguments)
    return read


def rounded_values(value):
    return {key: rounded(number) for key, number in value.items()}


def digests_of_packages(value):
    return [{**package, "digests": dict(package["digests"])} for package in value]


# Lines that torcon has methods for, and Stem does not know.
NEWER = {
    "overload-general", "overload-ratelimits", "overload-fd-exhausted", "family-cert", "family-ids",
    "ipv6-read-history", "ipv6-write-history", "ipv6-conn-bi-direct", "hidserv-v3-stats-end",
    "hidserv-rend-v3-relayed-cells", "hidserv-dir-v3-onions-seen",
}


def unknown_lines(lines):
    """Calls Stem's method, and leaves out the lines that torcon knows."""
    known = (line.replace(" \n", "\n").rstrip(" ") for line in lines())
    return sorted(line for line in known if line.split("\n")[0].split(" ")[0] not in NEWER)


def annotations(lines):
    """Calls Stem's method. The first annotation of a file, `@type`, does not reach Stem's documents."""
    return without_types([line.decode() if isinstance(line, bytes) else line for line in lines()])


def without_types(lines):
    return [line for line in lines if not line.startswith("@type ")]


def auth_clients(value):
    """Returns the values of each client by its id."""
    return {unpadded(one.id): [unpadded(one.iv), unpadded(one.cookie)] for one in value.values()}


def auth_clients_of_torcon(value):
    return {bytes_to_base64(one["id"]): [bytes_to_base64(one["iv"]), bytes_to_base64(one["encrypted_cookie"])]
            for one in value}


def bytes_to_base64(value):
    return to_base64(bytes(value)) if isinstance(value, list) else value


def link_specifiers(value):
    """Returns the number and the bytes of each link specifier."""
    return [[one.type, one.value.hex().upper()] for one in value]


def links(value):
    """Returns torcon's link specifiers in the same form."""
    found = []
    for one in value:
        (name, inner), = one.items()
        if name in ("Ipv4", "Ipv6"):
            address, port = inner.rsplit(":", 1)
            packed = ipaddress.ip_address(address.strip("[]")).packed + int(port).to_bytes(2, "big")
            found.append([0 if name == "Ipv4" else 1, packed.hex().upper()])
        elif name == "LegacyId":
            found.append([2, inner])
        else:
            found.append([3, base64.b64decode(f"{inner}=").hex().upper()])
    return found
