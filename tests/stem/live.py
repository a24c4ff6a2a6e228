"""Compares events, names, versions and exit policies, recorded and random."""

import pathlib
import random
import re
import tempfile

import stem
import stem.exit_policy
import stem.version
from stem.util import tor_tools

import convert
import documents
import event_tables
import random_events
import reading
import reasons
import session
from session import REFUSED

RECORDED = session.ROOT / "src" / "event" / "tests"

# How often a question is repeated whose answer changes meanwhile.
ATTEMPTS = 20


class Live:
    """Both libraries, and what they are compared with."""

    def __init__(self, comparison, torcon, targets):
        self.comparison = comparison
        self.torcon = torcon
        self.targets = targets
        # The descriptors of onion services in events.
        self.descriptors = []

    def events(self, place, found, messages):
        """Compares torcon's events with Stem's messages, in their order."""
        context = reasons.Context(place)
        self.comparison.value("events", "number", len(found), len(messages), context)
        for torcon, message in zip(found, messages):
            text = str(message)
            event, error = session.event_of(message)
            self.event(f"{place}: {text[:200]}", torcon, event, error, text)

    def event(self, place, torcon, event, error, text):
        """Compares an event."""
        context = reasons.Context(place, torcon, event, stem_error=error)
        kind = torcon["kind"]
        self.comparison.value("events", "text", torcon["text"], lines_of(text), context)
        self.comparison.value("events", "is valid", "malformed" not in torcon, event is not None, context)
        if kind == "HS_DESC_CONTENT" and "\nhs-descriptor " in torcon["text"]:
            self.descriptors.append((torcon["address"], torcon["text"].partition("\n")[2] + "\n"))
        if event is not None and "malformed" not in torcon and f"event {kind}" in event_tables.KINDS:
            self.comparison.document(f"event {kind}", event_tables.canonical(torcon), event, context)

    def question(self, name, torcon, stem_answer, context=None):
        """Compares the answer to a question. Stem is asked before and after torcon until the answer does
        not change meanwhile, or only by numbers that grow or shrink."""
        first = answer_of_stem(stem_answer)
        for _ in range(ATTEMPTS):
            value, error = self.torcon.answer(*torcon[0])
            value = REFUSED if error is not None else torcon[1](value)
            second = answer_of_stem(stem_answer)
            if is_between(first, value, second):
                value = second
            if value == second or first == second:
                break
            first = second
        context = context or reasons.Context(f"{name}: {error or ''}")
        self.comparison.value("question", name, value, second, context)

    def documents(self, name, request, kind, documents):
        """Compares a list of objects, each by the table of its kind. Stem is asked before and after."""
        first = texts(documents)
        for _ in range(ATTEMPTS):
            found = self.torcon.ask(*request)
            theirs = texts(documents)
            if list(first) == list(theirs):
                break
            first = theirs
        theirs = list(theirs.values())
        context = reasons.Context(name)
        self.comparison.value("question", name, len(found), len(theirs), context)
        for torcon, one in zip(found, theirs):
            torcon = event_tables.canonical(torcon) if kind.startswith("event") else torcon
            context = reasons.Context(name, torcon, one)
            self.comparison.document(kind, torcon, one, context)


def lines_of(text):
    """Returns the text of an event as torcon has it: without the last line of an event of several."""
    lines = text.split("\n")
    return "\n".join(lines[:-1]) if len(lines) > 1 and lines[-1] == "OK" else text


def answer_of_stem(ask):
    try:
        return ask()
    except (stem.ControllerError, ValueError):
        return REFUSED


def texts(documents):
    """Returns Stem's objects by their texts; none if Stem raises an error."""
    try:
        return {str(one): one for one in documents()}
    except (stem.ControllerError, ValueError):
        return {}


NUMBER = re.compile(r"\d+")


def is_between(first, value, last):
    """Returns whether three answers have only different numbers, and those of `value` are the first or
    the last ones or between them."""
    texts = [str(one) for one in (first, value, last)]
    if len({NUMBER.sub("0", one) for one in texts}) > 1:
        return False
    numbers = zip(*(map(int, NUMBER.findall(one)) for one in texts))
    return all(min(one, three) <= two <= max(one, three) for one, two, three in numbers)


def recorded(live):
    """Compares the events of the unit tests."""
    for name in ("recorded.txt", "specified.txt"):
        of_wire(live, name, session.messages_of((RECORDED / name).read_bytes()))


def written(live, seed, count):
    """Compares COUNT random events of each kind."""
    for kind in random_events.FORMS:
        writer = random_events.Writer(random.Random(f"{seed} {kind}"))
        of_wire(live, "random", [f"{writer.event(kind)}\r\n".encode() for _ in range(count)])


def of_wire(live, place, wire):
    """Compares events, which a fake tor sends to torcon."""
    # The program does not subscribe to the others.
    wire = [one for one in wire if not one.startswith(b"650 DEBUG ")]
    end = b"650 NOTICE the end of the events\r\n"
    messages = [session.message(one) for one in [*wire, end]]
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "control"
        with session.fake_tor(path, [*wire, end]):
            live.torcon.ask("connect", f"unix:{path}")
            live.torcon.ask("subscribe")
            live.events(place, live.torcon.ask("events", "the end of the events"), messages)


VERSIONS = ("0.4.9.11", "0.4.9.11-dev", "0.4.9.1-alpha", "0.4.9.2-rc", "0.4.8.22", "0.1.2.3-beta-dev",
            "0.4.9.12", "0.3.5.18", "0.4.9", "1.0.0.0", "0.4.9.11 (git-1234567890abcdef)")


def versions(live):
    """Compares what both libraries read in versions, and how they order them."""
    for one in VERSIONS:
        for other in VERSIONS:
            live.question(f"versions {one} {other}", (("versions", one, other), convert.same),
                          lambda one=one, other=other: stem_versions(one, other))


def stem_versions(one, other):
    one, other = stem.version.Version(one), stem.version.Version(other)
    order = "Less" if one < other else "Greater" if one > other else "Equal"
    # tor counts a patch level that is missing as 0.
    numbers = [one.major, one.minor, one.micro, one.patch or 0]
    return [str(one), numbers, one.status or "", order]


NAMES = {
    "fingerprint": ("0B7DCC86C1173BF8DD95DF3C1ECEF5034B3C225D",
                    lambda text: tor_tools.is_valid_fingerprint(text.removeprefix("$"))),
    "nickname": ("Unnamed12", tor_tools.is_valid_nickname),
    "circuit": ("17", tor_tools.is_valid_circuit_id),
    "stream": ("a1B2", tor_tools.is_valid_stream_id),
    "onion": ("po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd",
              # As tor does, torcon accepts capital letters.
              lambda text: tor_tools.is_valid_hidden_service_address(text.lower(), 3)),
}


def names(live, seed, count):
    """Compares which names are valid for both libraries: valid ones, and COUNT others of each kind."""
    chance = random.Random(f"{seed} names")
    for kind, (valid, is_valid_for_stem) in NAMES.items():
        texts = [valid]
        for _ in range(count):
            place, letter = chance.randrange(len(valid) + 1), chance.choice("aZ09$~=.- \n\u00e9")
            texts.append(chance.choice((valid[:place] + letter + valid[place:], valid[:place] + valid[place + 1:],
                                        valid[:place] + letter + valid[place + 1:], valid * chance.randrange(4))))
        for text in texts:
            found, error = live.torcon.answer("name", kind, text)
            live.comparison.value("name", kind, error is None, is_valid_for_stem(text),
                                  reasons.Context(f"{text!r}: {error or found}", text, error))


def decrypt(live):
    """Compares the encrypted parts of the descriptors of onion services in events."""
    for address, text in dict.fromkeys(live.descriptors):
        found, error = live.torcon.answer("decrypt", address, text)
        theirs, stem_error = reading.decrypted(text, address)
        context = reasons.Context(f"{address}: {error}, {stem_error}", found, theirs)
        live.comparison.value("second layer", "is valid", error is None, theirs is not None, context)
        if error is None and theirs is not None:
            live.comparison.document("second layer", found, theirs, context)


def policies(live, seed, count):
    """Compares what both libraries read in random exit policies, at their edges."""
    writer = documents.Writer(random.Random(f"{seed} policies"))
    for _ in range(count):
        rules = writer.exit_policy()
        targets = [writer.target(rules) for _ in range(10)]
        text = ",".join(rules)
        theirs = stem.exit_policy.ExitPolicy(*rules)
        found = live.torcon.ask("policy", text, *targets)
        allowed = convert.allowed(theirs, targets)
        live.comparison.value("policy", "allowed", found["allowed"], allowed,
                              reasons.Context(f"{text} {targets}"))
