"""Differences between torcon and Stem that are known, each with the reason.

A reason is a function that returns a text if it explains the difference. Each looks at the values or at
the line that was damaged, so that it explains no other difference of the same field.
"""

import ast
import base64
import binascii
import dataclasses
import inspect
import re


@dataclasses.dataclass
class Context:
    """The document of a value."""

    place: str
    torcon: object = None
    stem: object = None
    # What was damaged: the line before, and the lines after.
    note: tuple | None = None
    # Why Stem refuses the document.
    stem_error: str | None = None
    # The document of Stem before the damage, and its value of the field that is compared.
    original: object = None
    undamaged: object = None

    def after(self):
        """Returns the damaged line; an empty text if the line was removed or the document is whole."""
        return self.note[1][0] if self.note and self.note[1] else ""

    def keyword(self):
        """Returns the keyword of the damaged line."""
        return self.note[0].removeprefix("opt ").split(" ", 1)[0] if self.note else ""

    def has_more_words(self):
        return self.after().endswith(" more words")


REASONS = []

# The texts that were returned.
FOUND = set()


def reason(function):
    REASONS.append(function)
    return function


def rarely(function):
    """Adds a reason of which the random documents need not have an example."""
    return reason(function)


def find(kind, field, torcon, stem, context):
    """Returns the reason of a difference, or `None`."""
    for function in REASONS:
        text = function(kind, field, torcon, stem, context)
        if text is not None:
            FOUND.add(text)
            return text
    return None


def unused():
    """Returns the texts of reasons that explained no difference."""
    texts, statements = set(), []
    for module in {inspect.getmodule(function) for function in REASONS}:
        for statement in ast.parse(inspect.getsource(module)).body:
            marks = [mark.id for mark in getattr(statement, "decorator_list", ()) if isinstance(mark, ast.Name)]
            if "rarely" not in marks:
                statements.append(statement)
    for statement in statements:
        for node in ast.walk(statement):
            # A text is returned by a function, or is the last value of a row of a table.
            if isinstance(node, ast.Return):
                node = node.value
            elif isinstance(node, ast.Tuple) and node.elts:
                node = node.elts[-1]
            else:
                continue
            if isinstance(node, ast.Constant) and str(node.value).count(" ") > 2:
                texts.add(node.value)
    return sorted(texts - FOUND)


def is_base64(text, length):
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)) == length
    except binascii.Error:
        return False


KEYS = {"ntor_onion_key", "ed25519_master_key", "extra_info_sha256_digest", "identifiers", "identifier",
        "ed25519_certificate_hash", "router_digest_sha256", "microdescriptor_digest"}


@reason
def keys(_kind, field, torcon, stem, _context):
    if field in KEYS and torcon is None and isinstance(stem, str) and not is_base64(stem, 32):
        return "Stem does not decode keys and digests"
    return None


@reason
def more_words(_kind, _field, torcon, _stem, context):
    if not context.has_more_words():
        return None
    if torcon == context.undamaged:
        return "torcon ignores more words, as the specification demands; Stem reads them as a part of the value"
    if torcon in (None, {}, []):
        return "like tor, torcon refuses more words behind a value that contains blanks"
    return None


@reason
def one_address(_kind, field, torcon, stem, _context):
    if field == "or_addresses" and stem == [] and torcon:
        return "Stem returns no address if one of several lines is invalid"
    return None


@reason
def no_family(_kind, field, torcon, stem, _context):
    if field == "family" and torcon == [] and set(stem) == {""}:
        return "Stem returns an empty text for a line without words"
    return None


@reason
def reversed_ports(_kind, field, torcon, stem, _context):
    if field in ("exit_policy", "exit_policy_v6") and torcon in (None, "reject 1-65535") and stem:
        for part in stem.split(" ", 1)[1].split(","):
            first, _, last = part.partition("-")
            if last.isdigit() and first.isdigit() and int(first) > int(last):
                return "Stem accepts a range of ports whose end is before its start"
    return None


@reason
def rules_behind_the_last(kind, field, torcon, stem, context):
    if kind.endswith("server-descriptor") and field == "exit_policy" and torcon is None \
            and context.keyword() in ("accept", "reject") and stem.endswith((" *:*",)):
        return "Stem does not read rules behind one for every address and port"
    return None


@reason
def validity(_kind, field, torcon, _stem, context):
    """Whether a document is valid as a whole."""
    if field != "is valid":
        return None
    if "expected ntor-onion-key KEY" in (context.torcon.get("check") or ""):
        return "torcon demands the ntor key if there is a certificate of it, as tor does"
    if not torcon and context.note:
        return "torcon checks the line that was damaged; Stem does not know the line or does not check it"
    error = context.stem_error or ""
    for start, text in (
            ("'onion-key' should be followed by", "new microdescriptors have no onion key for TAP"),
            ("Network status document's 'client-versions' line had ''", "a list of versions can be empty"),
            ("Line contains invalid characters: @type", "Stem does not expect an annotation here"),
            ("Descriptor must have a 'onion-key' entry", "new relays have no onion key for TAP"),
            ("Fingerprint does not match", "Stem compares the fingerprint with the key"),
            ("Descriptor must have a 'onion-key-crosscert'", "new relays have no onion key for TAP"),
            ("Protocols line did not match", "torcon accepts a part of the line"),
            ("'onion-key' should be", "new relays have no onion key for TAP")):
        if error.startswith(start):
            return text
    if context.has_more_words():
        return "torcon ignores more words, as the specification demands"
    if re.search(r"\b0\d", context.after()):
        return "torcon accepts numbers that begin with a zero"
    if context.note and context.keyword() in (
            "uptime", "reject", "accept", "dir-key-crosscert", "contact", "id"):
        return "torcon accepts more forms of this line"
    return None


@reason
def parameters(kind, field, torcon, stem, _context):
    if kind in ("consensus", "vote") and field == "params" and torcon == {} and "bwweightscale" in stem:
        return "Stem returns defaults of tor for a document without parameters"
    return None


@reason
def lines_of_an_object(_kind, field, _torcon, _stem, context):
    if field == "get_unrecognized_lines" and context.note and (not context.after() or _stem is None):
        return "the object of a line that was removed"
    return None


@reason
def statistics_of_votes(kind, field, torcon, stem, _context):
    if kind == "router status" and field == "get_unrecognized_lines" and torcon == [] \
            and all(line.startswith("stats ") for line in stem):
        return "Stem does not know the statistics of votes"
    return None


@reason
def identities(kind, field, torcon, stem, context):
    if kind == "microdescriptor" and field == "identifiers" and stem is None and context.keyword() == "id":
        return "Stem returns no identity if one of several lines is invalid or repeated"
    return None


@reason
def cells(_kind, field, torcon, stem, context):
    if field in ("cell_queued_cells", "cell_time_in_queue", "cell_processed_cells") \
            and context.note and stem != context.undamaged:
        return "Stem leaves out the invalid numbers of a list"
    return None


@reason
def signatures(_kind, field, torcon, stem, context):
    if field in ("ed25519_signature", "signature") and torcon is None and context.note \
            and not is_base64(stem, 64):
        return "Stem does not decode signatures"
    return None


@reason
def transports(_kind, field, torcon, stem, context):
    if field == "transport" and context.keyword() == "transport":
        return "Stem returns no transport if one of several lines is invalid, and one without a name"
    return None


@reason
def other_word(_kind, field, torcon, stem, context):
    if torcon is None and context.note and stem == context.undamaged \
            and (field, context.keyword()) in (("extra_info_digest", "extra-info-digest"),
                                               ("ntor_onion_key_crosscert", "ntor-onion-key-crosscert")):
        return "torcon counts a line as absent if one of its words is invalid"
    return None


@reason
def policies(_kind, field, torcon, stem, context):
    if field == "exit_policy" and context.keyword() in ("reject", "accept", "opt") and stem is None \
            and ":" not in context.after():
        return "torcon reads a rule without ports, as tor's options have it"
    if field == "exit_policy" and torcon is None and stem == "":
        return "Stem returns an empty policy for a descriptor without rules"
    return None


@reason
def systems(_kind, field, torcon, stem, context):
    if field == "operating_system" and torcon and stem and torcon.endswith(f" on {stem}"):
        return "Stem returns what stands behind the last ` on `"
    if field == "tor_version" and stem is None and " on " not in context.torcon["platform"]:
        return "Stem reads no version of a platform without a system"
    if field == "tor_version" and stem is None and context.keyword() == "platform":
        return "torcon returns the text of a version that is none"
    return None


@reason
def unknown_parameter(_kind, field, torcon, stem, context):
    if field in ("hs_rend_cells_attr", "hs_dir_onions_seen_attr") and context.note \
            and torcon and stem and torcon.items() <= stem.items():
        return "torcon leaves out unknown parameters of a count"
    return None


@reason
def no_keyword(_kind, field, _torcon, _stem, context):
    if field in ("get_unrecognized_lines", "is valid") \
            and "Line contains invalid characters" in (context.stem_error or ""):
        return "Stem passes over a line whose first word is no keyword; torcon returns it"
    return None


@reason
def blanks_of_the_contact(_kind, field, torcon, stem, _context):
    if field == "contact" and torcon and torcon.strip(" ") == (stem or "").strip(" "):
        return "Stem removes blanks before the text"
    return None


@reason
def further_words(_kind, _field, torcon, stem, context):
    if context.note and stem in ABSENT and len(context.after().split()) > len(context.note[0].split()):
        return "torcon ignores further words, as the specification demands"
    return None


@reason
def old_protocols(_kind, field, torcon, stem, context):
    if field in ("link_protocols", "circuit_protocols") and stem == [] and torcon \
            and context.keyword() == "protocols":
        return "Stem returns nothing if one half of the line is missing"
    return None


@reason
def blanks(_kind, _field, _torcon, _stem, context):
    if context.after().endswith(" ") or "  " in context.after():
        return "torcon accepts several blanks between words, and blanks at the end of a line"
    return None


@rarely
def port_zero(_kind, field, torcon, stem, _context):
    if field == "exit_policy" and torcon and torcon.replace(":0-65535", ":*") == stem:
        return "Stem writes the ports 0-65535 as *"
    return None


@rarely
def leading_zero(kind, field, torcon, _stem, context):
    if kind == "microdescriptor" and field == "exit_policy" and torcon and re.search(r"\b0\d", context.after()):
        return "torcon accepts ports that begin with a zero, as tor does"
    return None


@reason
def invalid_line(_kind, _field, torcon, _stem, context):
    """The last reason: torcon's check refuses the damaged line, and its method returns no value."""
    if context.note and isinstance(context.torcon, dict) and context.torcon.get("check") \
            and torcon in ABSENT:
        return "torcon counts an invalid line as absent; Stem reads a part of it, or does not check it"
    return None


# The values of absent lines.
ABSENT = (None, [], {}, False, "any", "reject 1-65535")
