"""Differences of events, answers and replies that are known, each with the reason, as in `reasons.py`."""

import re

from reasons import reason
from session import REFUSED


def text_of(context):
    """Returns the text of an event."""
    return context.torcon.get("text", "") if isinstance(context.torcon, dict) else ""


@reason
def secrets(kind, _field, torcon, _stem, _context):
    if (kind == "events" or kind.startswith(("event ", "question"))) and "[redacted]" in str(torcon):
        return "torcon serializes no passwords and keys"
    return None


@reason
def letters_at_the_end(kind, field, torcon, stem, _context):
    if field == "message" and torcon != stem and torcon.rstrip("\nOK") == stem:
        return "Stem removes the letters O and K at the end of a message"
    return None


@reason
def refused_by_stem(kind, field, torcon, stem, context):
    if kind != "events" or field != "is valid" or stem or not torcon:
        return None
    for text, why in (
            ("doesn't match a ServerSpec", "Stem refuses a relay whose nickname is empty"),
            ("CountrySummary should be", "Stem refuses an empty summary"),
            ("IPVersions should be", "Stem refuses an empty summary")):
        if text in (context.stem_error or ""):
            return why
    return None


@reason
def empty_lists(_kind, field, torcon, stem, _context):
    if field == "build_flags" and torcon is None and stem == [""]:
        return "Stem returns an empty flag for an empty list"
    return None


@reason
def blank_before_a_reason(kind, field, torcon, stem, context):
    if kind == "event STREAM" and stem is None and " REASON= " in text_of(context):
        return "tor writes a blank before an unknown reason; Stem reads nothing before it"
    return None


@reason
def quoted_values(kind, _field, torcon, stem, _context):
    """Values of GETCONF."""
    if not isinstance(torcon, dict) or not isinstance(stem, dict) or torcon.keys() != stem.keys():
        return None
    is_of_conf = kind == "reply GETCONF" or "GETCONF" in _field
    quoted = [one for values in stem.values() if isinstance(values, list) for one in values
              if one.startswith('"')]
    if is_of_conf and quoted:
        return "Stem does not decode quoted values"
    return None


@reason
def no_version(kind, _field, torcon, stem, _context):
    if kind == "reply PROTOCOLINFO" and torcon == REFUSED and isinstance(stem, dict) \
            and stem["version"] is None:
        return "torcon demands the version of tor"
    return None


@reason
def line_feeds(kind, _field, torcon, stem, context):
    if kind.startswith("reply ") and stem == REFUSED and context.note and context.note[0] == "line feeds":
        return "torcon accepts lines without a carriage return"
    return None


@reason
def digits(_kind, _field, torcon, stem, _context):
    """Values that change from one question to the next: the same text, with other numbers."""
    if isinstance(torcon, str) and isinstance(stem, str) and "question" in _kind \
            and re.sub(r"\d+", "0", torcon) == re.sub(r"\d+", "0", stem):
        return "the numbers of the answer change with time"
    return None
