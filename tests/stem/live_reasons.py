"""Differences of events, answers and replies that are known, each with the reason, as in `reasons.py`."""

import base64
import hashlib
import re

from reasons import rarely, reason
from session import REFUSED


def text_of(context):
    """Returns the text of an event."""
    return context.torcon.get("text", "") if isinstance(context.torcon, dict) else ""


# Events.

@reason
def letters_at_the_end(kind, field, torcon, stem, _context):
    if field == "message" and kind.startswith("event ") and torcon != stem and torcon.rstrip("\nOK") == stem:
        return "Stem removes the letters O and K at the end of a message"
    return None


# What Stem's error contains, and the reason.
REFUSED_BY_STEM = (
    ("doesn't match a ServerSpec", "Stem refuses a relay whose nickname is empty"),
    ("CountrySummary should be", "Stem refuses an empty summary"),
)


@reason
def refused_by_stem(kind, field, torcon, stem, context):
    if kind == "events" and field == "is valid" and torcon and not stem:
        return next((why for text, why in REFUSED_BY_STEM if text in context.stem_error), None)
    return None


@reason
def blank_before_a_reason(kind, field, torcon, stem, context):
    if kind == "event STREAM" and field == "reason" and torcon and stem is None \
            and " REASON= " in text_of(context):
        return "tor writes a blank before an unknown reason; Stem reads nothing before it"
    return None


@reason
def empty_address(kind, field, torcon, stem, context):
    if kind == "event ADDRMAP" and field == "destination" and torcon is None \
            and re.fullmatch(rf"ADDRMAP \S+  {stem}( .*)?", text_of(context)):
        return "tor maps to an empty address, and Stem returns the next word"
    return None


@reason
def quoted_twice(kind, field, torcon, stem, context):
    if kind == "event STATUS_CLIENT" and field == "arguments" and ' DATA=""' in text_of(context) \
            and stem == {**torcon, "DATA": f'"{torcon["DATA"]}"'}:
        return "tor quotes DATA of SOCKS_UNKNOWN_PROTOCOL twice, and Stem removes the quotes once"
    return None


# Names: the values of the context are the text and torcon's error.

@reason
def line_feed_of_a_name(kind, _field, torcon, stem, context):
    if kind == "name" and stem and not torcon and context.torcon.endswith("\n"):
        return "Stem accepts a line feed behind a name"
    return None


@reason
def number_of_a_fingerprint(kind, field, torcon, stem, context):
    if kind == "name" and field == "fingerprint" and stem and not torcon \
            and not re.fullmatch("[0-9A-Fa-f]*", context.torcon.removeprefix("$")):
        return "Stem accepts every number in base 16 that is 40 characters long, such as one with a sign"
    return None


@reason
def checksum(kind, field, torcon, stem, context):
    if kind == "name" and field == "onion" and stem and not torcon \
            and ("wrong checksum" in context.stem or "must be of version 3" in context.stem):
        return "Stem compares neither the checksum nor the version of an address"
    return None


# Answers.

@reason
def empty_values(kind, field, torcon, stem, _context):
    """Values of GETCONF."""
    if kind != "reply GETCONF" and not field.startswith("GETCONF "):
        return None
    if isinstance(torcon, dict) and isinstance(stem, dict) and [""] in torcon.values() \
            and {name: None if values == [""] else values for name, values in torcon.items()} == stem:
        return "Stem does not distinguish an option with an empty value from one that is not set"
    return None


@reason
def policy_of_a_client(kind, field, torcon, stem, _context):
    if kind == "question" and field == "exit policy of a client" and torcon is None and stem:
        return "a client has no exit policy; Stem computes the one of a relay with its configuration"
    return None


@reason
def last_line_feed(kind, field, torcon, stem, context):
    if kind != "microdescriptor" or field != "digest" or stem is None:
        return None
    digest = hashlib.sha256(context.stem.get_bytes() + b"\n").digest()
    if torcon == base64.b64encode(digest).decode().rstrip("="):
        return "GETINFO has no line feed at the end of a value, and Stem computes the digest without it"
    return None


# Replies.

@reason
def client_keys(kind, _field, torcon, stem, _context):
    if kind == "reply ADD_ONION" and isinstance(torcon, dict) and torcon["clients"] \
            and {**torcon, "clients": []} == stem:
        return "Stem does not read ClientAuthV3"
    return None


@reason
def line_feeds(kind, _field, torcon, stem, context):
    if kind.startswith("reply ") and torcon != REFUSED and stem == REFUSED \
            and context.note and context.note[0] == "line feeds":
        return "torcon accepts lines without a carriage return"
    return None


@reason
def some_refused(kind, _field, torcon, stem, context):
    if kind.startswith("reply ") and torcon == REFUSED and stem != REFUSED \
            and context.torcon.startswith("tor refused ") \
            and len(set(re.findall(rb"(?m)^\d{3}", context.stem))) > 1:
        return "torcon refuses a reply of which one line is a refusal; Stem reads one if a line is a success"
    return None


@reason
def other_successes(kind, _field, torcon, stem, context):
    if kind.startswith("reply ") and torcon != REFUSED \
            and re.search(rb"(?m)^(?!250)[0-3]\d\d[- +]", context.stem) is not None:
        return "torcon counts every code below 400 as success, Stem only 250"
    return None


@rarely
def single_dot(kind, _field, torcon, _stem, context):
    if kind == "reply GETINFO" and torcon != REFUSED and re.search(rb"(?m)^\.[^.\r]", context.stem):
        return "torcon removes the dot before every line of data, Stem only one before another"
    return None


@reason
def invalid_code(kind, _field, torcon, stem, context):
    if kind.startswith("reply ") and torcon == REFUSED and stem != REFUSED \
            and "expected a status code" in context.torcon and re.search(rb"(?m)^\d*[a-z]", context.stem):
        return "Stem accepts letters in a status code"
    return None


# The kind, what torcon's error contains, and the reason.
DEMANDS = (
    ("GETCONF", "expected the options by their full current names", "torcon demands the full names of options"),
    ("GETCONF", "expected an option", "torcon compares the options with those that were asked for"),
    ("GETINFO", "expected OK after the last key", "torcon demands one line for each key"),
    ("GETINFO", "expected each queried key", "torcon demands one line for each key"),
    ("MAPADDRESS", "expected the pair that was sent", "torcon compares the pairs with those that were sent"),
    ("MAPADDRESS", "expected a line for each pair", "torcon demands one line for each pair"),
    ("ADD_ONION", "expected the address of a service", "torcon demands a valid address and OK"),
    ("ADD_ONION", "expected the key of a service", "torcon demands a valid key"),
    ("ADD_ONION", "expected the address that belongs to the key", "torcon demands a valid key"),
    ("SINGLELINE", "expected OK", "torcon demands OK; Stem accepts any text of a success"),
    ("PROTOCOLINFO", "a line VERSION with the version of tor", "torcon demands the version of tor"),
    ("PROTOCOLINFO", "COOKIEFILE= and a path in quotes", "torcon demands both quotes of the path"),
)


@reason
def demands(kind, _field, torcon, stem, context):
    is_abbreviated = kind == "reply GETCONF" and "full current names" in (context.torcon or "")
    if torcon == REFUSED and stem != REFUSED and (context.note or is_abbreviated):
        return next((why for name, text, why in DEMANDS
                     if kind == f"reply {name}" and text in context.torcon), None)
    return None


@reason
def names_in_any_case(kind, _field, torcon, stem, context):
    if kind == "reply GETCONF" and context.note and isinstance(torcon, dict) and isinstance(stem, dict) \
            and len(torcon) == len({name.lower() for name in stem}) < len(stem):
        return "torcon merges the lines of an option whose name is spelled in two ways"
    return None


@reason
def protocol_info(kind, _field, torcon, stem, context):
    if kind != "reply PROTOCOLINFO" or torcon == REFUSED or stem != REFUSED:
        return None
    if not context.stem.endswith(b"250 OK\r\n"):
        return "torcon reads no text of the last line of PROTOCOLINFO"
    if not re.match(rb"250-PROTOCOLINFO \d+\r", context.stem):
        return "torcon does not read the version of the protocol"
    if torcon["methods"] == []:
        return "torcon accepts a line AUTH without methods"
    if not re.fullmatch(r"\d+\.\d+\.\d+(\.\d+)?(-\S+)?", torcon["version"]):
        return "torcon returns the text of a version that is none"
    return None


@reason
def text_behind_a_quote(kind, _field, torcon, stem, context):
    if kind == "reply PROTOCOLINFO" and isinstance(torcon, dict) and isinstance(stem, dict) \
            and torcon["methods"] == stem["methods"] \
            and re.search(rb'="(\\.|[^"\\])*"[^ \r]', context.stem):
        return "torcon reads up to the next blank if text follows the closing quote"
    return None
