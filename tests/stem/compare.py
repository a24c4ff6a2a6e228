#!/usr/bin/env python3
"""Compares what torcon reads with what Stem (python3-stem) reads: documents, events, answers, replies.

    tests/stem/compare.py [--documents] [--seed NUMBER] [--count NUMBER] [PATH...]

The documents are those of `tests/stem/data`, those of a private network, COUNT documents of each kind
with random valid values (`documents.py`), a part of them again with one damaged line each (`damage.py`),
and those of the given files and directories, such as data directories of tor. The example `descriptors`
prints what torcon reads as JSON. `tables.py` says which value belongs to each attribute of Stem's classes.

The events and replies are recorded ones (`recordings.py`), those of a private network, random events
(`random_events.py`) and damaged replies. The example `stem` answers by torcon. `--documents` leaves out
all that needs a tor.

`reasons.py` and `live_reasons.py` have the differences that are known. Prints the number of values that
were compared, and every difference. Fails if there is a difference without a reason, and, with no
arguments but PROGRAMs, if there is a reason without a difference.
"""

import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import convert
import damage
import documents
import event_tables
import live
import live_reasons  # Adds its reasons.
import network
import reading
import reasons
import recordings
import replies
import session
import tables
import stem as stem_module

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CARGO = ["cargo", "run", "-q", "--all-features", "--example", "descriptors", "--"]

# The value of a wrong path in `tables.py`.
MISSING = "torcon has no value"

# Addresses and ports at which both libraries apply exit policies.
TARGETS = ("1.2.3.4:80", "10.0.0.1:443", "172.16.3.4:6660", "192.168.1.1:25", "200.100.50.25:443",
           "66.66.66.66:6667", "[2001:db8::1]:80", "[fd00::1]:50000")

# The most differences of one field that are printed.
SHOWN = 3


class Comparison:
    """Counts values, and collects differences."""

    def __init__(self):
        self.documents = collections.Counter()
        self.values = collections.Counter()
        self.explained = collections.Counter()
        self.differences = collections.defaultdict(list)

    def value(self, kind, field, torcon, stem, context, converter=None):
        """Compares one value."""
        self.values[kind, field] += 1
        if torcon == stem:
            return
        context.undamaged = None
        if converter and context.original:
            context.undamaged, _ = attribute_of(context.original, field, converter)
        reason = reasons.find(kind, field, torcon, stem, context)
        if reason is None:
            self.differences[kind, field].append((context.place, torcon, stem))
        else:
            self.explained[kind, field, reason] += 1

    def document(self, kind, torcon, stem, context):
        """Compares every value of a document."""
        self.documents[kind] += 1
        for attribute, row in tables.KINDS[kind].rows.items():
            value = at(torcon, row.path)
            stem_value, is_read = attribute_of(stem, attribute, row.stem)
            if isinstance(row, tables.Row):
                is_missing = isinstance(value, str) and value.startswith(MISSING)
                value = value if is_missing else row.torcon(convert.canonical(value))
                self.value(kind, attribute, value, stem_value, context, row.stem)
            elif not is_read or not stem_value or not value or MISSING in value:
                is_there = value if value and MISSING in value else bool(value)
                self.value(kind, attribute, is_there, bool(stem_value), context)
            else:
                lists = [one if isinstance(one, (list, tuple)) and not hasattr(one, "_fields") else [one]
                         for one in (value, stem_value)]
                self.value(kind, attribute, len(lists[0]), len(lists[1]), context)
                for one, other in zip(*lists):
                    self.document(row.kind, one, other, context)

    def report(self):
        """Prints everything, and returns whether every difference has a reason."""
        for kind in sorted({kind for kind, _ in self.values}):
            fields = [field for other, field in self.values if other == kind]
            total = sum(self.values[kind, field] for field in fields)
            print(f"{kind}: {self.documents[kind]} documents, {len(fields)} fields, {total} values")
        for (kind, field, reason), count in sorted(self.explained.items()):
            print(f"expected: {kind}, {field}, {count} times: {reason}")
        for (kind, field), found in sorted(self.differences.items()):
            print(f"DIFFERENCE: {kind}, {field}, {len(found)} times of {self.values[kind, field]}:")
            for place, torcon, stem in found[:SHOWN]:
                print(f"  {place}\n    torcon: {shown(torcon)}\n    Stem:   {shown(stem)}")
        return not self.differences


def shown(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}..."


def at(value, path):
    """Returns the value at a path of an object; the object itself for an empty path."""
    for key in path.split(".") if path else ():
        if value is None:
            return None
        if not isinstance(value, dict) or key not in value:
            return f"{MISSING} {path}"
        value = value[key]
    return value


def attribute_of(stem, attribute, converter):
    """Returns the value of Stem, and whether Stem raises no error.

    Without validation, Stem forgets the defaults of a line that sets several attributes, which is an
    `AttributeError`, and parses exit policies when they are used, which can be a `ValueError`.
    """
    try:
        return converter(getattr(stem, attribute)), True
    except (AttributeError, ValueError, stem_module.ProtocolError):
        return None, False


def compare_file(comparison, path, objects, notes, originals):
    """Compares the documents of a file. Adds Stem's documents to `originals`, or finds them there."""
    read = reading.read_with_stem(path)
    place = reasons.Context(path.name)
    comparison.value("file", "number of documents", len(objects), len(read), place)
    if len(objects) != len(read):
        return
    for number, (torcon, (kind, stem)) in enumerate(zip(objects, read)):
        note = notes.get((path, number))
        context = reasons.Context(f"{path.name}:{torcon.get('line', '')} {note or ''}", torcon, stem, note)
        if note:
            context.original = originals[kind][number]
        else:
            originals.setdefault(path.name, []).append(stem)
        # With validation first: reading an attribute without it can change later ones.
        context.stem_error = reading.is_valid_for_stem(stem)
        comparison.value(kind, "is valid", torcon.get("check") is None, context.stem_error is None, context)
        comparison.document(kind, torcon, stem, context)
        if "exits" in torcon and not note:
            comparison.value(kind, "can_exit_to", torcon["exits"], exits(stem), context)


def exits(stem):
    """Returns the targets that Stem's exit policies allow."""
    allowed = []
    for target in TARGETS:
        address, port = target.rsplit(":", 1)
        policy = stem.exit_policy_v6 if address.startswith("[") else stem.exit_policy
        if policy is not None and policy.can_exit_to(address, int(port)):
            allowed.append(target)
    return allowed


def run_torcon(program, paths):
    """Returns, for each file, the objects that the example prints."""
    targets = [argument for target in TARGETS for argument in ("--exit-to", target)]
    command = [*program, "--lenient", *targets, *(str(path) for path in paths)]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} ended with status {run.returncode}")
    objects = collections.defaultdict(list)
    for line in run.stdout.splitlines():
        found = json.loads(line)
        objects[found["file"]].append(found)
    return objects


def generate(directory, seed, count):
    """Writes files of random documents. Returns their paths, and what was damaged in which document."""
    paths, notes = [], {}

    def write(name, kind, texts):
        path = directory / name
        # The annotation names the kind, as in files of CollecTor.
        path.write_text(f"@type {kind} 1.0\n" + "".join(texts), encoding="utf-8")
        paths.append(path)
        return path

    for kind, method, number in (
            ("server-descriptor", "server_descriptor", count), ("extra-info", "extra_info", count),
            ("microdescriptor", "microdescriptor", count),
            ("dir-key-certificate-3", "key_certificate", count // 10),
            ("hidden-service-descriptor-3", "onion_descriptor", count // 10)):
        writer = documents.Writer(random.Random(f"{seed} {kind}"))
        texts = [getattr(writer, method)() for _ in range(number)]
        write(kind, kind, texts)
        damaged = damage.Damage(random.Random(f"{seed} damaged {kind}"))
        texts = [damaged.document(text) for text in texts[:number // 3]]
        path = write(f"damaged-{kind}", kind, [text for text, _ in texts])
        notes.update({(path, place): note for place, (_, note) in enumerate(texts)})
    for kind, flavor, number in (
            ("network-status-consensus-3", "ns", count),
            ("network-status-microdesc-consensus-3", "microdesc", count),
            ("network-status-vote-3", "vote", count // 3)):
        writer = documents.Writer(random.Random(f"{seed} {kind}"))
        write(kind, kind, [writer.network_status(flavor, number)])
    return paths, notes


def compare_files(comparison, program, paths, notes):
    """Compares the documents of files."""
    objects, originals = run_torcon(program, paths), {}
    for path in paths:
        compare_file(comparison, path, objects[str(path)], notes, originals)


def compare_session(comparison, program, recorded, seed, count, directory):
    """Compares events, answers and replies. The directory has the documents of a private network then."""
    torcon = session.Torcon(program)
    both = live.Live(comparison, torcon, TARGETS)
    answers = replies.Replies(comparison, torcon)
    live.recorded(both)
    for path in recorded:
        recording = recordings.Recording(path)
        live.of_wire(both, path.name, recording.events)
        answers.recorded(path.name, recording.replies)
    live.written(both, seed, count // 10)
    live.versions(both)
    live.policies(both, seed, count)
    live.names(both, seed, count // 10)
    answers.written(seed, count // 10)
    network.compare(both, directory)
    live.decrypt(both)
    # No tor writes when the documents are read.
    torcon.close()
    descriptors = directory / "cached-onion-descriptors"
    descriptors.write_text("@type hidden-service-descriptor-3 1.0\n" + "".join(text for _, text in both.descriptors))


def all_files(path):
    """Returns a file, or the files of a directory with documents and recordings."""
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [file for file in files if HERE in file.parents
            or file.name.startswith(("cached-", "v3-status-votes")) or recordings.is_recording(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", help="the built example `descriptors`; cargo runs it otherwise")
    parser.add_argument("--documents", action="store_true", help="compare nothing but documents")
    parser.add_argument("--session", help="the built example `stem`; cargo runs it otherwise")
    parser.add_argument("--seed", type=int, default=13, help="of the random documents")
    parser.add_argument("--count", type=int, default=3000, help="random documents of each kind")
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="more files and directories")
    arguments = parser.parse_args()

    are_reasons_complete = not (arguments.documents or arguments.paths) \
        and (arguments.seed, arguments.count) == (parser.get_default("seed"), parser.get_default("count"))
    given = [file for path in [HERE / "data", *arguments.paths] for file in all_files(path.absolute())]
    recorded = [path for path in given if recordings.is_recording(path)]

    start = time.monotonic()
    tables.check()
    event_tables.add()
    reading.forgo_signatures()
    comparison = Comparison()
    program = [pathlib.Path(arguments.program).absolute()] if arguments.program else CARGO
    with tempfile.TemporaryDirectory() as temporary:
        paths, notes = generate(pathlib.Path(temporary), arguments.seed, arguments.count)
        paths += [path for path in given if reading.is_known(path)]
        compare_files(comparison, program, paths, notes)
    read = time.monotonic()
    if not arguments.documents:
        session_program = [arguments.session] if arguments.session else session.CARGO
        with tempfile.TemporaryDirectory() as temporary:
            directory = pathlib.Path(temporary) / "network"
            compare_session(comparison, session_program, recorded, arguments.seed, arguments.count, directory)
            paths = [path for path in all_files(directory) if reading.is_known(path)]
            compare_files(comparison, program, paths, {})
    is_equal = comparison.report()
    unused = reasons.unused() if are_reasons_complete else []
    for text in unused:
        print(f"NO LONGER TRUE: {text}")
    print(f"{read - start:.1f} s for documents, {time.monotonic() - read:.1f} s for events and answers")
    return 0 if is_equal and not unused else 1


if __name__ == "__main__":
    sys.exit(main())
