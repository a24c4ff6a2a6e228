"""The documents of a file as Stem reads them, and the objects of torcon in the same form."""

import io

import stem.descriptor
import stem.prereq
from stem.descriptor import DocumentHandler
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

import tables

# The first line of a file without the annotation `@type`, such as those of tor's data directory.
FIRST_WORDS = {
    b"router": "server-descriptor",
    b"extra-info": "extra-info",
    b"onion-key": "microdescriptor",
    b"dir-key-certificate-version": "dir-key-certificate-3",
    b"hs-descriptor": "hidden-service-descriptor-3",
}

STATUSES = ("network-status-consensus-3", "network-status-vote-3", "network-status-microdesc-consensus-3")


IS_CRYPTO_AVAILABLE = stem.prereq.is_crypto_available


def forgo_signatures():
    """Keeps Stem from verifying signatures, which those of random documents do not survive."""
    stem.prereq.is_crypto_available = lambda *_arguments, **_named: False


def decrypted(descriptor, address):
    """Returns the second layer of the descriptor of an onion service, and why there is none."""
    stem.prereq.is_crypto_available = IS_CRYPTO_AVAILABLE
    try:
        return HiddenServiceDescriptorV3(descriptor.encode()).decrypt(address), None
    except ImportError as error:
        raise SystemExit(f"install python3-cryptography: {error}") from error
    except Exception as error:  # Stem has no class of its own for this.
        return None, str(error)
    finally:
        forgo_signatures()


def kind_of(path):
    """Returns the kind of the documents of a file; `None` if it has none."""
    lines = path.read_bytes().splitlines()
    for line in lines:
        words = line.split()
        if line.startswith(b"@type "):
            return words[1].decode()
        if not line.startswith(b"@"):
            break
    else:
        return None
    if line.startswith(b"network-status-version 3"):
        if words[2:] == [b"microdesc"]:
            return "network-status-microdesc-consensus-3"
        is_vote = b"vote-status vote" in lines[:5]
        return "network-status-vote-3" if is_vote else "network-status-consensus-3"
    return FIRST_WORDS.get(words[0]) if words else None


def is_known(path):
    kind = kind_of(path)
    return kind in tables.KINDS or kind in STATUSES


def statuses_of(contents):
    """Divides the text of a file into consensuses or votes."""
    lines = contents.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(b"network-status-version")]
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        yield b"".join(line for line in lines[start:end] if not line.startswith(b"@"))


def read_with_stem(path):
    """Returns pairs of a kind of `tables.KINDS` and Stem's object, in the order of the file."""
    kind = kind_of(path)
    if kind not in STATUSES:
        with path.open("rb") as file:
            documents = stem.descriptor.parse_file(file, descriptor_type=f"{kind} 1.0")
            return [(kind, document) for document in documents]
    entry = "router status of microdescriptors" if "microdesc" in kind else "router status"
    heads, entries = [], []
    for status in statuses_of(path.read_bytes()):
        def parse(handler, status=status):
            return stem.descriptor.parse_file(io.BytesIO(status), descriptor_type=f"{kind} 1.0",
                                              document_handler=handler)
        document = "vote" if "vote" in kind else "consensus"
        heads.append((document, next(parse(DocumentHandler.BARE_DOCUMENT))))
        entries += [(entry, document) for document in parse(DocumentHandler.ENTRIES)]
    # The example prints consensuses and votes first, then their relays.
    return heads + entries


def is_valid_for_stem(document):
    """Returns whether Stem accepts the document with validation."""
    arguments = {}
    if hasattr(document, "document"):
        arguments["document"] = document.document
    try:
        type(document)(document.get_bytes(), validate=True, **arguments)
    except Exception as error:  # Stem has no class of its own for this.
        return str(error)
    return None
