"""Which field of torcon's events belongs to each attribute of Stem's classes of events."""

import re

import stem.control
import stem.response
import stem.response.events as events

from convert import same, seconds
from tables import KINDS, Kind, Part, Row, attributes

# What Stem's events inherit.
INHERITED = {
    "type": "the word of the text", "positional_args": "the words of the text",
    "keyword_args": "the words of the text", "arrived_at": "when Stem read the event",
    "content": "the text, which is compared", "raw_content": "the text, which is compared",
    "is_ok": "whether a reply is a success", "from_str": "parses", "TYPE": "a table of Stem",
}


# Values of Stem.

def relay(entry):
    """Returns fingerprint and nickname as one text."""
    fingerprint, nickname = entry
    return f"${fingerprint}~{nickname}" if nickname else f"${fingerprint}"


def relays(value):
    return [relay(entry) for entry in value]


def text(value):
    return None if value is None else str(value)


def time(value):
    """Returns a time, with the part of a second, in microseconds since 1970."""
    return None if value is None else seconds(value) * 1_000_000 + value.microsecond


def pairs(value):
    return {} if value is None else dict(value)


def number(value):
    """Returns a number that Stem keeps as a text."""
    return None if value is None else int(value)


def local_time(value):
    return None if value is None else value.strftime("%Y-%m-%d %H:%M:%S")


def arguments(value):
    """Removes the escapes, which Stem keeps."""
    return {key: unescaped(one) for key, one in value.items()}


def unescaped(value):
    """Returns the text that a `CString` of the control protocol quotes."""
    escapes = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}

    def replaced(found):
        text = found[1]
        return bytes([int(text, 8)]) if text.isdigit() else escapes.get(text, text)

    return re.sub(rb"\\([0-7]{1,3}|.)", replaced, value.encode(), flags=re.S).decode("utf-8", "replace")


# Values of torcon.

def canonical(event):
    """Returns an event with its times in microseconds since 1970 and its durations in milliseconds;
    relays of a list are left as they are."""
    return {key: value if key == "relays" else of_time(value) for key, value in event.items()}


def of_time(value):
    if isinstance(value, dict):
        if value.keys() == {"secs_since_epoch", "nanos_since_epoch"}:
            return value["secs_since_epoch"] * 1_000_000 + value["nanos_since_epoch"] // 1000
        if value.keys() == {"secs", "nanos"}:
            return value["secs"] * 1000 + value["nanos"] // 1_000_000
        return {key: of_time(inner) for key, inner in value.items()}
    return [of_time(inner) for inner in value] if isinstance(value, list) else value


def spec(value):
    """Returns a relay as Stem's are shown above."""
    return None if value is None else value.replace("=", "~").removesuffix("~")


def specs(value):
    return [spec(one) for one in value or ()]


def fingerprint_of(value):
    return None if value is None else spec(value).partition("~")[0].removeprefix("$")


def nickname_of(value):
    return None if value is None else spec(value).partition("~")[2] or None


def host_of(value):
    return None if value is None else value.rpartition(":")[0]


def port_of(value):
    return None if value is None else int(value.rpartition(":")[2])


def or_none(value):
    """Stem has no value for an empty list."""
    return value or None


def counts(value):
    return {one["name"]: one["count"] for one in value or ()}


def cells(value):
    return {one["cell_type"]: one["count"] for one in value or ()} or None


def cell_times(value):
    return {one["cell_type"]: one["time"] for one in value or ()} or None


def mapped(value):
    return value["address"] if isinstance(value, dict) else None


def of_peer(convert):
    return lambda value: convert(value["relay"]) if "relay" in value else None


def of_address(convert):
    return lambda value: convert(value["address"]) if "address" in value else None


def values_of(value):
    return {one["key"]: one["value"] for one in value}


def changed(value):
    """Returns the options that have a value, each with all its values."""
    found = {}
    for one in value:
        if one["value"] is not None:
            found.setdefault(one["name"], []).append(one["value"])
    return found


def unset(value):
    return [one["name"] for one in value if one["value"] is None]


def changed_of_stem(value):
    return {name: [unquoted(one) for one in found] for name, found in value.items()}


def unescaped_or_none(value):
    return None if value is None else unescaped(value)


def unquoted(value):
    is_quoted = re.fullmatch(r'"(\\.|[^"\\])*"', value, re.S)
    return unescaped(value[1:-1]) if is_quoted else value


CIRCUIT = {
    "id": Row("id"),
    "path": Row("path", relays, specs),
    "build_flags": Row("build_flags", lambda value: value and list(value), or_none),
    "purpose": Row("purpose"),
    "hs_state": Row("hs_state"),
    "rend_query": Row("rend_query"),
    "created": Row("time_created", time),
}
PEER_OF_DIRECTORY = {
    "directory": Row("hsdir", lambda value: None if value == "UNKNOWN" else value),
    "directory_fingerprint": Row("hsdir", same, fingerprint_of),
    "directory_nickname": Row("hsdir", same, nickname_of),
}
TRAFFIC = {"read": Row("bytes_read"), "written": Row("bytes_written")}
LOG = {"runlevel": Row("severity"), "message": Row("message")}
STATUS = {
    "status_type": Row("area", lambda value: value.lower()),
    "runlevel": Row("severity"),
    "action": Row("action"),
    "arguments": Row("arguments", arguments, values_of),
}
ENTRIES = {"desc": Part("relays", "router status")}

ROWS = {
    "ADDRMAP": {
        "hostname": Row("address"),
        "destination": Row("new_address", same, mapped),
        "expiry": Row("local_expiry", local_time),
        "error": Row("error"),
        "utc_expiry": Row("expires", time),
        "cached": Row("cached"),
    },
    "BUILDTIMEOUT_SET": {
        "set_type": Row("action"),
        "total_times": Row("total_times"),
        "timeout": Row("timeout"),
        "xm": Row("xm"),
        "alpha": Row("alpha"),
        "quantile": Row("cutoff_quantile"),
        "timeout_rate": Row("timeout_rate"),
        "close_timeout": Row("close"),
        "close_rate": Row("close_rate"),
    },
    "BW": TRAFFIC,
    "CELL_STATS": {
        "id": Row("id"),
        **{f"{way}_{attribute}": Row(f"{way}.{path}", stem, torcon)
           for way in ("inbound", "outbound") for attribute, path, stem, torcon in (
               ("queue", "queue", number, same), ("connection", "connection", same, same),
               ("added", "added", same, cells), ("removed", "removed", same, cells),
               ("time", "time", same, cell_times))},
    },
    "CIRC": {
        **CIRCUIT,
        "status": Row("status"),
        "reason": Row("reason"),
        "remote_reason": Row("remote_reason"),
        "socks_username": Row("socks_username", unescaped_or_none),
        "socks_password": Row("socks_password", unescaped_or_none),
    },
    "CIRC_BW": {
        **TRAFFIC,
        "id": Row("id"),
        "time": Row("time", time),
        **{name: Row(name) for name in ("delivered_read", "delivered_written", "overhead_read",
                                        "overhead_written")},
    },
    "CIRC_MINOR": {
        **CIRCUIT,
        "event": Row("change"),
        "old_purpose": Row("old_purpose"),
        "old_hs_state": Row("old_hs_state"),
    },
    "CLIENTS_SEEN": {
        "start_time": Row("time_started", time),
        "locales": Row("countries", pairs, counts),
        "ip_versions": Row("ip_versions", pairs, counts),
    },
    "CONF_CHANGED": {
        "changed": Row("changes", changed_of_stem, changed),
        "unset": Row("changes", same, unset),
    },
    "CONN_BW": {**TRAFFIC, "id": Row("id"), "conn_type": Row("connection_type")},
    "DESCCHANGED": {},
    "GUARD": {
        "guard_type": Row("guard_type"),
        "endpoint": Row("relay"),
        "endpoint_fingerprint": Row("relay", same, fingerprint_of),
        "endpoint_nickname": Row("relay", same, nickname_of),
        "status": Row("status"),
    },
    "HS_DESC": {
        **PEER_OF_DIRECTORY,
        "action": Row("action"),
        "address": Row("address"),
        "authentication": Row("auth"),
        "descriptor_id": Row("descriptor_id"),
        "reason": Row("reason"),
        "replica": Row("replica"),
        "index": Row("hsdir_index"),
    },
    "HS_DESC_CONTENT": {
        **PEER_OF_DIRECTORY,
        "address": Row("address"),
        "descriptor_id": Row("descriptor_id"),
    },
    "NETWORK_LIVENESS": {"status": Row("status")},
    "NEWCONSENSUS": ENTRIES,
    "NEWDESC": {"relays": Row("relays", relays, specs)},
    "NS": ENTRIES,
    "ORCONN": {
        "id": Row("id"),
        "endpoint_fingerprint": Row("peer", same, of_peer(fingerprint_of)),
        "endpoint_nickname": Row("peer", same, of_peer(nickname_of)),
        "endpoint_address": Row("peer", same, of_address(host_of)),
        "endpoint_port": Row("peer", same, of_address(port_of)),
        "status": Row("status"),
        "reason": Row("reason"),
        "circ_count": Row("circuits"),
    },
    "SIGNAL": {"signal": Row("signal")},
    "STREAM": {
        "id": Row("id"),
        "status": Row("status"),
        "circ_id": Row("circuit"),
        "target": Row("target"),
        "target_address": Row("target", same, host_of),
        "target_port": Row("target", same, port_of),
        "reason": Row("reason"),
        "remote_reason": Row("remote_reason"),
        "source": Row("source"),
        "source_addr": Row("source_addr"),
        "source_address": Row("source_addr", same, host_of),
        "source_port": Row("source_addr", same, port_of),
        "purpose": Row("purpose"),
    },
    "STREAM_BW": {**TRAFFIC, "id": Row("id"), "time": Row("time", time)},
    "TB_EMPTY": {
        "bucket": Row("bucket"),
        "id": Row("id"),
        "read": Row("read_bucket_empty"),
        "written": Row("write_bucket_empty"),
        "last_refill": Row("last_refill"),
    },
    "TRANSPORT_LAUNCHED": {
        "type": Row("transport_type"),
        "name": Row("name"),
        "address": Row("address", same, lambda value: host_of(value).strip("[]")),
        "port": Row("address", same, port_of),
    },
    **dict.fromkeys(("DEBUG", "INFO", "NOTICE", "WARN", "ERR"), LOG),
    **dict.fromkeys(("STATUS_GENERAL", "STATUS_CLIENT", "STATUS_SERVER"), STATUS),
}

EXCLUDED = {
    "CONF_CHANGED": {"config": "the last value of each option of `changed`"},
    "HS_DESC_CONTENT": {"descriptor": "compared as a document; Stem reads it as version 2"},
    "NEWCONSENSUS": {"consensus_content": "the text, which is compared"},
    "ORCONN": {"endpoint": "the endpoint_… attributes together"},
}

# Events without a class in Stem, or without one in torcon.
UNCOMPARED = {
    "AUTHDIR_NEWDESCS": "tor has no such event since 0.3.2.1",
    "STATUS_SEVER": "a misspelled name of tor 0.2.0.22",
}


def attributes_of_event(cls):
    """Returns the public attributes: those of the class, and those that its documentation lists."""
    documented = re.findall(r":var \S+ (\w+):", cls.__doc__ or "")
    return attributes(cls) | set(documented) | set(cls._POSITIONAL_ARGS) | set(cls._KEYWORD_ARGS.values())


def add():
    """Adds the events to the tables. Fails unless every attribute has a row or a reason."""
    problems = [f"no table for {name}" for name in events.EVENT_TYPE_TO_CLASS
                if name not in ROWS and name not in UNCOMPARED]
    for name, rows in ROWS.items():
        cls = events.EVENT_TYPE_TO_CLASS[name]
        excluded = {**INHERITED, **EXCLUDED.get(name, {})}
        KINDS[f"event {name}"] = Kind(cls, rows, excluded)
        known = attributes_of_event(cls)
        problems += [f"event {name}: no row for {one}" for one in sorted(known - set(rows) - set(excluded))]
        problems += [f"event {name}: Stem has no {one}" for one in sorted(set(rows) - known)]
    if problems:
        raise SystemExit("\n".join(problems))
