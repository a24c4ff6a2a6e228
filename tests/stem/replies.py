"""Compares what both libraries read in replies of tor: recorded, written by hand, and damaged."""

import random

import stem
import stem.response

import event_tables
import reasons
import recordings
import session

# Replies of tor 0.4.9, with the arguments of their commands.
REPLIES = {
    "GETINFO": [
        (("version",), b"250-version=0.4.9.11\r\n250 OK\r\n"),
        (("version", "config-text", "traffic/read"),
         b"250-version=0.4.9.11 (git-1234567890abcdef)\r\n250+config-text=\r\nContactInfo a=b\r\n"
         b"..hidden\r\nSocksPort 9050\r\n.\r\n250-traffic/read=0\r\n250 OK\r\n"),
        (("ns/id/x",), b"552 Unrecognized key \"ns/id/x\"\r\n"),
        (("address",), b"551 Address unknown\r\n"),
        (("circuit-status",), b"250-circuit-status=\r\n250 OK\r\n"),
    ],
    "GETCONF": [
        (("SocksPort",), b"250 SocksPort=9050\r\n"),
        (("Log", "ContactInfo", "Nickname"),
         b"250-Log=notice stdout\r\n250-Log=info file /x y\r\n250-ContactInfo\r\n250 Nickname=\r\n"),
        (("ContactInfo",), b"250 ContactInfo=\"a\\n\\\"b\\\" \\303\\251\"\r\n"),
        (("HiddenServiceOptions",),
         b"250-HiddenServiceDir=/srv/a\r\n250 HiddenServicePort=80 127.0.0.1:8080\r\n"),
        (("Bogus",), b"552 Unrecognized configuration key \"Bogus\"\r\n"),
    ],
    "PROTOCOLINFO": [
        ((), b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD "
             b"COOKIEFILE=\"/run/tor/control \\\"x\\\".authcookie\"\r\n250-VERSION Tor=\"0.4.9.11\"\r\n"
             b"250 OK\r\n"),
        ((), b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4.8.22-dev\"\r\n"
             b"250 OK\r\n"),
    ],
    "AUTHCHALLENGE": [
        ((), b"250 AUTHCHALLENGE SERVERHASH=" + b"AB" * 32 + b" SERVERNONCE=" + b"CD" * 32 + b"\r\n"),
    ],
    "MAPADDRESS": [
        (("a.test", "b.test"), b"250 a.test=b.test\r\n"),
        (("0.0.0.0", "b.test", "x.test", "y.test"), b"250-127.218.108.43=b.test\r\n250 x.test=y.test\r\n"),
        (("a", "b b"), b"512 syntax error: invalid address 'b b'\r\n"),
    ],
    "ADD_ONION": [
        ((), b"250-ServiceID=po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd\r\n"
             b"250-PrivateKey=ED25519-V3:AGQt69XPY2AEJAuVRV4qg1cZhc5XcrPStNkb+Ggm9lct7qGJ1jsvvB6VJtst"
             b"SMmwiEQbnWuwhz0Sm4nUcouE3g==\r\n250 OK\r\n"),
        ((), b"512 Invalid VIRTPORT/TARGET\r\n"),
    ],
    "SINGLELINE": [
        ((), b"250 OK\r\n"),
        ((), b"552 Unrecognized signal code \"X\"\r\n"),
    ],
}


def stem_value(kind, reply, arguments):
    """Returns what Stem reads in a reply in torcon's form, and why it reads nothing."""
    try:
        found = session.message(reply)
        stem.response.convert(kind, found)
        if kind == "GETINFO":
            found._assert_matches(set(arguments))
            return {key: value.decode("utf-8", "replace") for key, value in found.entries.items()}, None
        if kind == "GETCONF":
            return conf_of_stem(found.entries), None
        if kind == "PROTOCOLINFO":
            return session.protocol_info(found), None
        if kind == "MAPADDRESS":
            return dict(found.entries), None
        if kind == "ADD_ONION":
            key = f"{found.private_key_type}:{found.private_key}" if found.private_key else None
            return {"service_id": found.service_id, "key": key, "clients": []}, None
        if kind == "SINGLELINE" and not found.is_ok():
            return session.REFUSED, f"{found.code} {found.message}"
        return None, None
    except Exception as error:  # Stem has no class of its own for this.
        return session.REFUSED, f"{type(error).__name__}: {error}"


def conf_of_stem(found):
    """Returns options in torcon's form: without escapes, which Stem keeps, and with `None` for an option
    that is not set."""
    return {name: [event_tables.unquoted(value) for value in values] or None
            for name, values in found.items()}


def normal(kind, value):
    """Returns what torcon reads in Stem's form."""
    # Stem raises an error if no pair was mapped.
    return session.REFUSED if kind == "MAPADDRESS" and value == {} else value


def lines_of_stem(reply):
    """Returns the code, the text and the data of each line."""
    lines = []
    for code, divider, text in session.message(reply).content(get_bytes=True):
        text, _, data = text.partition(b"\n") if divider == "+" else (text, b"", b"")
        lines.append([int(code), session.latin(text), session.latin(data)])
    return lines


def damaged(reply, chance):
    """Returns a reply with a fault, and what that is."""
    lines = reply.split(b"\r\n")[:-1]
    number = chance.randrange(len(lines))
    line = lines[number]
    fault = chance.randrange(10)
    if fault == 0:
        return reply[:chance.randrange(len(reply))], "cut"
    if fault == 1:
        lines.insert(number, line)
    elif fault == 2:
        del lines[number]
    elif fault == 3:
        lines[number] = line[:chance.randrange(len(line) + 1)]
    elif fault == 4:
        place = chance.randrange(len(line))
        lines[number] = line[:place] + bytes([chance.choice(b"\"\\=, -+.0x")]) + line[place + 1:]
    elif fault == 5:
        lines[number] = chance.choice((b"250", b"251", b"451", b"552", b"650", b"25", b"")) + line[3:]
    elif fault == 6:
        lines[number] = line[:3] + chance.choice((b" ", b"-", b"+", b"")) + line[4:]
    elif fault == 7:
        lines[number] = line + chance.choice((b" ", b"x", b"\"", b" K=V", b" K=\"v"))
    elif fault == 8:
        lines[number] = line.lower()
    else:
        return reply.replace(b"\r\n", b"\n"), "line feeds"
    return b"".join(one + b"\r\n" for one in lines), f"fault {fault} of {line.decode('latin-1')!r}"


class Replies:
    """Both libraries, and what they are compared with."""

    def __init__(self, comparison, torcon):
        self.comparison = comparison
        self.torcon = torcon

    def value(self, kind, arguments, reply, fault=""):
        """Compares what the command of this kind reads."""
        value, error = self.torcon.answer("reply", kind, session.latin(reply), *arguments)
        value = session.REFUSED if error is not None else normal(kind, value)
        theirs, stem_error = stem_value(kind, reply, arguments)
        context = reasons.Context(f"{fault}: {arguments} {reply!r} {error or ''}", error, reply,
                                  (fault, []) if fault else None, stem_error)
        context.arguments = arguments
        self.comparison.value(f"reply {kind}", "value", value, theirs, context)

    def written(self, seed, count):
        """Compares each reply of the table, and COUNT damaged ones of each kind."""
        chance = random.Random(f"{seed} replies")
        for kind, replies in REPLIES.items():
            for arguments, reply in replies:
                self.value(kind, arguments, reply)
            for _ in range(count):
                arguments, reply = chance.choice(replies)
                reply, fault = damaged(reply, chance)
                self.value(kind, arguments, reply, fault)

    def recorded(self, place, replies):
        """Compares the lines of each recorded reply, and what its command reads."""
        for command, reply in replies:
            lines = self.torcon.ask("reply", "lines", session.latin(reply))
            context = reasons.Context(f"{place}: {command!r} {reply!r}")
            self.comparison.value("reply", "lines", lines, lines_of_stem(reply), context)
            if kind := recordings.kind_of(command):
                self.value(*kind, reply)
