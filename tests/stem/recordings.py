"""Recorded dialogues: lines `C: ` of a client and `S: ` of tor, with the escapes `\\\\`, `\\r`, `\\n`, `\\t`
and `\\xHH`. All other lines are remarks."""

import collections
import re

ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[rnt\\])")
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}

# Commands whose success is `250 OK`, as `SINGLELINE` of Stem.
ACKNOWLEDGED = ("ATTACHSTREAM", "AUTHENTICATE", "CLOSECIRCUIT", "CLOSESTREAM", "DEL_ONION", "DROPGUARDS",
                "DROPOWNERSHIP", "DROPTIMEOUTS", "HSFETCH", "HSPOST", "LOADCONF", "REDIRECTSTREAM",
                "RESETCONF", "RESOLVE", "SAVECONF", "SETCIRCUITPURPOSE", "SETCONF", "SETEVENTS", "SIGNAL",
                "TAKEOWNERSHIP", "USEFEATURE")


def is_recording(path):
    with path.open("rb") as file:
        return any(line.startswith(b"S: ") for line in file.read(1 << 16).splitlines())


def unescaped(line):
    return ESCAPE.sub(lambda found: ESCAPES.get(found[1]) or bytes.fromhex(found[1][1:].decode()), line)


class Recording:
    """The events of a file, and its replies, each with the command if there is no doubt about it."""

    def __init__(self, path):
        self.events = []
        self.replies = []
        self.forget()
        for line in path.read_bytes().splitlines():
            if line.startswith(b"C: "):
                self.sent += unescaped(line[3:])
                self.take_commands()
            elif line.startswith(b"S: "):
                self.take_line(unescaped(line[3:]))
            else:
                # The connection may be another one from here on.
                self.forget()

    def forget(self):
        self.sent = b""
        self.is_body = False
        self.commands = collections.deque()
        self.lines = {"events": [], "replies": []}
        # Of which message the data block is that has not ended.
        self.data_of = None

    def take_commands(self):
        *lines, self.sent = self.sent.split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if self.is_body:
                self.is_body = line != b"."
            else:
                self.commands.append(line)
                self.is_body = line.startswith(b"+")

    def take_line(self, line):
        if self.data_of is None and not re.match(rb"\d{3}[-+ ]", line):
            self.forget()
            return
        owner = self.data_of or ("events" if line.startswith(b"6") else "replies")
        self.lines[owner].append(line)
        if self.data_of is not None:
            self.data_of = None if line.rstrip(b"\r\n") == b"." else owner
        elif line[3:4] == b"+":
            self.data_of = owner
        elif line[3:4] == b" ":
            message, self.lines[owner] = b"".join(self.lines[owner]), []
            if owner == "events":
                self.events.append(message)
            else:
                self.replies.append((self.commands.popleft() if self.commands else b"", message))


def kind_of(command):
    """Returns the kind of the reply, and the arguments that torcon compares it with; `None` for another
    command."""
    keyword, *words = command.decode("latin-1").lstrip("+").split() or [""]
    keyword = keyword.upper()
    # torcon sends neither without a word.
    if keyword in ("GETINFO", "GETCONF") and words:
        return keyword, words
    if keyword in ("PROTOCOLINFO", "AUTHCHALLENGE", "ADD_ONION"):
        return keyword, ()
    if keyword == "MAPADDRESS" and words and all(word.count("=") == 1 for word in words):
        return keyword, [side for word in words for side in word.split("=")]
    if keyword in ACKNOWLEDGED:
        return "SINGLELINE", ()
    return None
