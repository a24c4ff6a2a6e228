"""Finds types, traits and re-exports of other crates in the public interface.

    RUSTC_BOOTSTRAP=1 cargo rustdoc --all-features -- -Z unstable-options --output-format json
    python3 .ci/interface.py target/doc/torcon.json

The format of the file is unstable. This program relies on its `index`, `paths` and
`external_crates`, and on the fact that whatever names a type or trait is an object with `id`.
"""

import json
import sys

# Their types and traits may be shown.
STANDARD = {"std", "core", "alloc"}

# The Cargo feature `serde` is there for these.
WANTED = {
    "serde_core::de::Deserialize",
    "serde_core::de::Deserializer",
    "serde_core::ser::Serialize",
    "serde_core::ser::Serializer",
}


def references(node):
    """Yields the `id` of each type, trait or item that a part of the file names."""
    if isinstance(node, dict):
        if isinstance(node.get("id"), (int, str)):
            yield str(node["id"])
        for key, value in node.items():
            # Text of the documentation, not a signature.
            if key not in ("docs", "links"):
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def main(path):
    with open(path, encoding="utf-8") as file:
        documentation = json.load(file)
    index, paths = documentation["index"], documentation["paths"]
    crates = {
        int(number): crate["name"] for number, crate in documentation["external_crates"].items()
    }
    seen, found = set(), set()
    for item in index.values():
        if item["crate_id"] != 0:
            continue
        (kind, inner), *_ = item["inner"].items()
        # Traits that other crates implement for every type there is, and those that the compiler
        # implements.
        if kind == "impl" and (inner.get("blanket_impl") or inner.get("is_synthetic")):
            continue
        for reference in references(inner):
            summary = paths.get(reference)
            if summary is None or summary["crate_id"] == 0:
                continue
            name = "::".join(summary["path"])
            seen.add(name)
            if crates[summary["crate_id"]] in STANDARD or name in WANTED:
                continue
            span = item.get("span") or {}
            place = f"{span.get('filename', '?')}:{(span.get('begin') or [0])[0]}"
            found.add(f"{place}: {kind} {item['name'] or ''} shows {name}")
    # Otherwise nothing was read as it is meant to be.
    for name in ("core::result::Result", "core::time::Duration", "serde_core::ser::Serialize"):
        if name not in seen:
            sys.exit(f"{path}: {name} is not found; has the format changed?")
    print(f"{len(index)} items; {len(seen)} types and traits of other crates, {len(found)} unwanted")
    for line in sorted(found):
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
