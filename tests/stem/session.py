"""The same control connection through torcon and Stem: the program of `torcon.rs`, and a fake tor."""

import contextlib
import io
import json
import pathlib
import socket
import subprocess
import threading

import stem
import stem.connection
import stem.response
import stem.socket

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CARGO = ["cargo", "run", "-q", "--all-features", "--example", "stem"]

# How long either library waits for an event or an end, in seconds. Machines can be loaded.
LIMIT = 60

# What either library has instead of a value that it does not return.
REFUSED = "refused"


METHODS = {"None": "NULL", "Password": "HASHEDPASSWORD", "Cookie": "COOKIE", "Safecookie": "SAFECOOKIE"}


def protocol_info(found):
    """Returns Stem's object in torcon's form."""
    methods = [METHODS[one] for one in found.auth_methods if one in METHODS]
    version = None if found.tor_version is None else str(found.tor_version)
    # Stem does not keep the order of unknown ones, and counts an empty word as one.
    return {"version": version, "methods": sorted({*methods, *found.unknown_auth_methods} - {""}),
            "cookie_file": found.cookie_path}


class Torcon:
    """The program that answers by torcon."""

    def __init__(self, program):
        self.process = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def answer(self, *request):
        """Returns the answer, or the text of an error."""
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the program ended at {request}")
        found = json.loads(line)
        return found.get("ok"), found.get("error")

    def ask(self, *request):
        """Returns the answer. Ends the comparison at an error."""
        value, error = self.answer(*request)
        if error is not None:
            raise SystemExit(f"{request}: {error}")
        return value

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def latin(data):
    """Returns bytes as a text with one character for each."""
    return data.decode("latin-1")


def message(data):
    """Returns Stem's object of one reply or event, with codes and line ends."""
    file = io.BytesIO(data)
    found = stem.socket.recv_message(file)
    if file.read():
        raise stem.ProtocolError("more than one message")
    return found


def messages_of(data):
    """Divides bytes from the wire, with either line end, into messages with the line ends of tor."""
    found, lines, is_data = [], [], False
    for line in data.replace(b"\r\n", b"\n").split(b"\n")[:-1]:
        lines.append(line)
        if is_data:
            is_data = line != b"."
        elif line[3:4] == b"+":
            is_data = True
        elif line[3:4] == b" ":
            found.append(b"\r\n".join(lines) + b"\r\n")
            lines = []
    return found


def event_of(message):
    """Returns Stem's event of a message, and why there is none."""
    try:
        stem.response.convert("EVENT", message)
    except Exception as error:  # Stem has no class of its own for this.
        return None, str(error)
    return message, None


def fake_tor(path, events):
    """Listens at a path; the first client gets these events when it subscribes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    kinds = sorted({message[4:].split()[0] for message in events})

    def serve():
        client, _ = listener.accept()
        # torcon does not wait for the replies to its last commands.
        with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"PROTOCOLINFO"):
                    reply = (b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n"
                             b"250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n")
                elif line.startswith(b"GETINFO events/names"):
                    reply = b"250-events/names=" + b" ".join(kinds) + b"\r\n250 OK\r\n"
                elif line.startswith(b"SETEVENTS") and line.strip() != b"SETEVENTS":
                    reply = b"250 OK\r\n" + b"".join(events)
                else:
                    reply = b"250 OK\r\n"
                client.sendall(reply)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener


class StemEvents:
    """A connection of Stem that is subscribed to every event."""

    def __init__(self, path):
        self.socket = stem.socket.ControlSocketFile(path)
        stem.connection.authenticate(self.socket)
        self.socket.send("GETINFO events/names")
        names = str(self.socket.recv()).split("\n", maxsplit=1)[0].removeprefix("events/names=")
        names = names.replace(" DEBUG ", " ")
        self.socket.send(f"SETEVENTS {names}")
        self.socket.recv()
        self.found = []
        self.has_new = threading.Condition()
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        try:
            while True:
                message = self.socket.recv()
                with self.has_new:
                    self.found.append(message)
                    self.has_new.notify()
        except stem.SocketClosed:
            pass

    def up_to(self, text):
        """Returns the events up to one that contains the text, and forgets them."""
        def index():
            return next((number for number, one in enumerate(self.found) if text in str(one)), None)
        with self.has_new:
            if not self.has_new.wait_for(lambda: index() is not None, timeout=LIMIT):
                raise SystemExit(f"Stem received no event with {text}")
            end = index() + 1
            found, self.found = self.found[:end], self.found[end:]
        return found
