"""Writes directory documents with random valid values, from a seed.

Every line that Stem reads occurs, and the lines that newer tors write. The values of a document do
not belong together: a signature is random, a digest names no other document.
"""

import base64
import datetime
import hashlib
import ipaddress

FLAGS = ("Authority", "BadExit", "Exit", "Fast", "Guard", "HSDir", "MiddleOnly", "NoEdConsensus",
         "Running", "Stable", "StaleDesc", "Sybil", "V2Dir", "Valid")
PROTOCOLS = ("Cons", "Conflux", "Desc", "DirCache", "FlowCtrl", "HSDir", "HSIntro", "HSRend", "Link",
             "LinkAuth", "Microdesc", "Padding", "Relay")
COUNTRIES = ("??", "a1", "at", "cn", "de", "eu", "fr", "jp", "ru", "us")
SYSTEMS = ("Linux", "Linux x86_64", "FreeBSD", "Windows 8 [server]", "Darwin", "OpenBSD amd64",
           "Very Odd system on a tray")
CONTACTS = ("0xFFFFFFFF Random Person <nobody AT example dot com>", "email:abuse[]example.org",
            "url:https://example.net proof:uri-rsa ciissversion:2", "caf\u00e9 <x@example.com>",
            "tabs\tand  two blanks ", "somebody", "")
VERSIONS = ("0.4.9.11", "0.4.8.12", "0.4.9.3-alpha", "0.4.9.1-alpha-dev", "0.3.5.7", "0.2.4.0-rc",
            "0.2.2.35 (git-73ff13ab3cc9570d)", "0.1.0")


class Writer:
    """Random values, and the documents made of them."""

    def __init__(self, random):
        self.random = random

    # Values.

    def maybe(self, probability=0.5):
        return self.random.random() < probability

    def number(self, below=1 << 40):
        return self.random.randrange(1 << self.random.randrange(1, below.bit_length())) % below

    def bytes(self, length):
        return self.random.randbytes(length)

    def hex(self, length=20):
        return self.bytes(length).hex().upper()

    def base64(self, length, padding=False):
        text = base64.b64encode(self.bytes(length)).decode()
        return text if padding else text.rstrip("=")

    def time(self):
        start = datetime.datetime(2005, 1, 1)
        return start + datetime.timedelta(seconds=self.random.randrange(800_000_000))

    def nickname(self):
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        return "".join(self.random.choices(letters, k=self.random.randint(1, 19)))

    def ipv4(self):
        if self.maybe(0.2):
            networks = ("10.0.0.1", "127.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.9.9", "0.1.2.3")
            return self.random.choice(networks)
        return ".".join(str(byte) for byte in self.bytes(4))

    def ipv6(self):
        groups = [f"{self.random.randrange(1 << 16):x}" for _ in range(8)]
        if self.maybe():
            first = self.random.randrange(1, 6)
            return ":".join(groups[:first]) + "::" + ":".join(groups[first + 2:])
        return ":".join(groups)

    def port(self, zero=False):
        if zero and self.maybe():
            return 0
        return self.random.choice((80, 443, 9001, 9030, 1, 65535, self.random.randint(1, 65535)))

    def or_address(self):
        if self.maybe(0.8):
            return f"[{self.ipv6()}]:{self.port()}"
        return f"{self.ipv4()}:{self.port()}"

    def ports(self):
        """Returns ports and ranges of ports, sorted, that do not touch each other."""
        bounds = sorted(self.random.sample(range(1, 65536), 2 * self.random.randint(1, 6)))
        parts, last = [], -1
        for first, end in zip(bounds[::2], bounds[1::2]):
            if first <= last + 1:
                continue
            end = first if self.maybe() else end
            parts.append(str(first) if first == end else f"{first}-{end}")
            last = end
        return ",".join(parts)

    def summary(self):
        if self.maybe(0.4):
            return "reject 1-65535"
        return f"{self.random.choice(('accept', 'reject'))} {self.ports()}"

    def protocols(self):
        parts = []
        for name in self.random.sample(PROTOCOLS, self.random.randint(1, len(PROTOCOLS))):
            # Every version fits in the 64 bits of which a tor takes notice.
            bounds = sorted(self.random.sample(range(0, 64), self.random.choice((1, 2, 4))))
            if len(bounds) == 1:
                parts.append(f"{name}={bounds[0]}")
            elif len(bounds) == 2:
                parts.append(f"{name}={bounds[0]}-{bounds[1]}")
            else:
                low, high, single, last = bounds
                separate = f",{single}" if single > high + 1 else ""
                parts.append(f"{name}={low}-{high}{separate}" + (f",{last}" if last > single + 1 and separate else ""))
        return " ".join(sorted(parts))

    def family(self):
        members = []
        for _ in range(self.random.randint(1, 6)):
            kind = self.random.randrange(3)
            members.append((self.nickname(), f"${self.hex()}", f"${self.hex()}~{self.nickname()}")[kind])
        return " ".join(members)

    def object(self, kind, contents):
        text = base64.b64encode(contents).decode()
        lines = [text[start:start + 64] for start in range(0, len(text), 64)]
        return "\n".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"))

    def certificate(self, kind, key=None, signer=None):
        """Returns a certificate after cert-spec."""
        hours = self.random.randrange(400_000, 500_000)
        extensions = b"\x00"
        if signer is not None:
            extensions = b"\x01" + b"\x00\x20\x04\x00" + signer
        contents = b"\x01" + bytes((kind,)) + hours.to_bytes(4, "big") + b"\x01"
        contents += (key or self.bytes(32)) + extensions + self.bytes(64)
        return self.object("ED25519 CERT", contents)

    def history(self):
        values = ",".join(str(self.number()) for _ in range(self.random.randint(0, 8)))
        return f"{self.time()} ({self.random.choice((900, 14400, 86400))} s) {values}"

    # Server descriptors.

    def exit_policy(self):
        if self.maybe(0.3):
            return ["reject *:*"]
        rules = []
        if self.maybe():
            networks = ("0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "10.0.0.0/8",
                        "172.16.0.0/12")
            rules += [f"reject {network}:*" for network in networks]
        for _ in range(self.random.randint(0, 8)):
            word = self.random.choice(("accept", "reject"))
            ports = self.random.choice(("*", "80", "443", "6660-6669", "1-65535", str(self.port())))
            address = self.random.choice((
                "*", "*", "*", self.ipv4(), f"{self.ipv4()}/{self.random.randint(0, 32)}",
                f"{self.ipv4()}/255.255.{self.random.choice(('0', '240', '255'))}.0",
            ))
            rules.append(f"{word} {address}:{ports}")
        rules.append(self.random.choice(("accept *:*", "reject *:*")))
        return rules

    def target(self, rules):
        """Returns an address and a port at an edge of one of the rules, or any."""
        address, _, ports = self.random.choice(rules).split(" ", 1)[1].rpartition(":")
        network = address.replace("*", self.ipv4())
        first, _, last = ports.replace("*", str(self.port())).partition("-")
        port = min(max(int(last or first) + self.random.choice((-1, 0, 1)), 1), 65535)
        network = ipaddress.ip_network(network, strict=False)
        edge = self.random.choice((int(network.network_address) - 1, int(network.network_address),
                                   int(network.broadcast_address), int(network.broadcast_address) + 1))
        return f"{ipaddress.ip_address(edge % (1 << 32))}:{port if self.maybe(0.7) else int(first)}"

    def server_descriptor(self):
        key, signer = self.bytes(32), self.bytes(32)
        has_ed25519 = self.maybe(0.8)
        signing_key = self.bytes(140)
        fingerprint = hashlib.sha1(signing_key).hexdigest().upper()
        lines = [f"router {self.nickname()} {self.ipv4()} {self.port()} 0 {self.port(zero=True)}"]
        body = []

        def add(probability, *more):
            if self.maybe(probability):
                body.append("\n".join(more))

        if has_ed25519:
            lines.append("identity-ed25519\n" + self.certificate(4, key, signer))
            lines.append(f"master-key-ed25519 {base64.b64encode(signer).decode().rstrip('=')}")
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            body.append(f"or-address {self.or_address()}")
        version = self.random.choice(VERSIONS)
        prefix = self.random.choice(("", "", "", "node-"))
        add(0.95, self.random.choice((
            f"platform {prefix}Tor {version} on {self.random.choice(SYSTEMS)}",
            f"platform Tor {version} on Linux", "platform Something else",
        )))
        add(0.8, f"proto {self.protocols()}")
        add(0.2, "protocols Link 1 2 Circuit 1")
        body.append(f"published {self.time()}")
        groups = " ".join(fingerprint[start:start + 4] for start in range(0, 40, 4))
        add(0.95, f"fingerprint {groups}")
        add(0.9, f"uptime {self.number(1 << 30)}")
        body.append(f"bandwidth {self.number()} {self.number()} {self.number()}")
        digest = f" {self.base64(32)}" if self.maybe(0.8) else ""
        add(0.9, f"extra-info-digest {self.hex()}{digest}")
        body.append("onion-key\n" + self.object("RSA PUBLIC KEY", self.bytes(140)))
        body.append("signing-key\n" + self.object("RSA PUBLIC KEY", signing_key))
        if has_ed25519:
            body.append("onion-key-crosscert\n" + self.object("CROSSCERT", self.bytes(128)))
            body.append(f"ntor-onion-key-crosscert {self.random.randrange(2)}\n" + self.certificate(10))
        add(0.1, "hibernating " + self.random.choice("01"))
        add(0.7, "hidden-service-dir" + self.random.choice(("", " 2")))
        add(0.8, f"contact {self.random.choice(CONTACTS)}")
        add(0.3, f"bridge-distribution-request {self.random.choice(('any', 'https', 'moat', 'none'))}")
        add(0.4, f"family {self.family()}")
        add(0.1, f"read-history {self.history()}")
        add(0.1, f"write-history {self.history()}")
        add(0.1, "eventdns " + self.random.choice("01"))
        add(0.2, "caches-extra-info")
        add(0.1, "allow-single-hop-exits")
        add(0.1, f"overload-general 1 {self.time().strftime('%Y-%m-%d %H:00:00')}")
        add(0.9, f"ntor-onion-key {self.base64(32, padding=self.maybe())}")
        add(0.5, f"ipv6-policy {self.summary()}")
        add(0.7, "tunnelled-dir-server")
        add(0.05, f"an-unknown-keyword {self.number()} words")
        self.random.shuffle(body)
        # The rules keep their order, and stand in one place or between other lines.
        place = self.random.randint(0, len(body))
        body[place:place] = self.exit_policy()
        body = [f"opt {line}" if self.maybe(0.02) else line for line in body]
        if has_ed25519:
            body.append(f"router-sig-ed25519 {self.base64(64)}")
        body.append("router-signature\n" + self.object("SIGNATURE", self.bytes(128)))
        return "\n".join(lines + body) + "\n"

    # Extra-info documents.

    def counts(self, keys, *separators):
        between = separators[0] if separators else ","
        chosen = [key for key in keys if self.maybe(0.7)]
        return between.join(f"{key}={self.number(1 << 20)}" for key in chosen)

    def stats_end(self):
        return f"{self.time()} ({self.random.choice((86400, 900))} s)"

    def decimals(self):
        return ",".join(f"{self.random.random() * 100:.2f}" for _ in range(10))

    def noise(self):
        return f"{self.number(1 << 30)} delta_f={self.number(4096)} epsilon=0.30 bin_size={self.number(1024)}"

    def extra_info(self):
        lines = [f"extra-info {self.nickname()} {self.hex()}"]
        has_ed25519 = self.maybe(0.8)
        if has_ed25519:
            lines.append("identity-ed25519\n" + self.certificate(4, signer=self.bytes(32)))
        body = [f"published {self.time()}"]
        responses = ("ok", "not-enough-sigs", "unavailable", "not-found", "not-modified", "busy", "later")
        downloads = ("complete", "timeout", "running", "min", "d1", "d2", "q1", "d3", "d4", "md", "d6",
                     "d7", "q3", "d8", "d9", "max", "later")
        ports = sorted({self.port() for _ in range(6)}) + ["other"]

        def add(probability, line):
            if self.maybe(probability):
                body.append(line)

        for keyword in ("read-history", "write-history", "ipv6-read-history", "ipv6-write-history",
                        "dirreq-read-history", "dirreq-write-history"):
            add(0.7, f"{keyword} {self.history()}")
        add(0.6, f"geoip-db-digest {self.hex()}")
        add(0.6, f"geoip6-db-digest {self.hex()}")
        add(0.1, f"geoip-start-time {self.time()}")
        for keyword in ("geoip-client-origins", "bridge-ips", "entry-ips", "dirreq-v2-ips", "dirreq-v3-ips",
                        "dirreq-v2-reqs", "dirreq-v3-reqs"):
            add(0.4, f"{keyword} {self.counts(COUNTRIES)}")
        for keyword in ("bridge-stats-end", "dirreq-stats-end", "entry-stats-end", "cell-stats-end",
                        "exit-stats-end"):
            add(0.6, f"{keyword} {self.stats_end()}")
        add(0.4, f"bridge-ip-versions {self.counts(('v4', 'v6'))}")
        add(0.4, f"bridge-ip-transports {self.counts(('<OR>', 'obfs3', 'obfs4', 'meek'))}")
        for version in ("v2", "v3"):
            add(0.6, f"dirreq-{version}-resp {self.counts(responses)}")
            add(0.6, f"dirreq-{version}-direct-dl {self.counts(downloads)}")
            add(0.6, f"dirreq-{version}-tunneled-dl {self.counts(downloads)}")
            add(0.2, f"dirreq-{version}-share {self.random.random() * 100:.2f}%")
        for keyword in ("cell-processed-cells", "cell-queued-cells", "cell-time-in-queue"):
            add(0.6, f"{keyword} {self.decimals()}")
        add(0.6, f"cell-circuits-per-decile {self.number(1 << 20)}")
        for keyword in ("conn-bi-direct", "ipv6-conn-bi-direct"):
            numbers = ",".join(str(self.number(1 << 20)) for _ in range(4))
            add(0.5, f"{keyword} {self.stats_end()} {numbers}")
        for keyword in ("exit-kibibytes-written", "exit-kibibytes-read", "exit-streams-opened"):
            add(0.4, f"{keyword} {self.counts(ports)}")
        add(0.4, f"hidserv-stats-end {self.stats_end()}")
        add(0.4, f"hidserv-rend-relayed-cells {self.noise()}")
        add(0.4, f"hidserv-dir-onions-seen {self.noise()}")
        add(0.4, f"hidserv-v3-stats-end {self.stats_end()}")
        add(0.4, f"hidserv-rend-v3-relayed-cells {self.noise()}")
        add(0.4, f"hidserv-dir-v3-onions-seen {self.noise()}")
        keys = ("bin-size", "write-drop", "write-pad", "write-total", "read-drop", "read-pad", "read-total",
                "enabled-read-pad", "enabled-read-total", "enabled-write-pad", "enabled-write-total",
                "max-chanpad-timers")
        add(0.5, f"padding-counts {self.stats_end()} " + " ".join(f"{key}={self.number()}" for key in keys))
        names = self.random.sample(("obfs3", "obfs4", "scramblesuit", "snowflake"), 3)
        for name in names[:self.random.choice((0, 0, 1, 2, 3))]:
            rest = f" {self.ipv4()}:{self.port()}" if self.maybe(0.7) else ""
            arguments = " cert=AAAA,iat-mode=0" if rest and self.maybe() else ""
            body.append(f"transport {name}{rest}{arguments}")
        hour = self.time().strftime("%Y-%m-%d %H:00:00")
        add(0.2, f"overload-ratelimits 1 {hour} {self.number()} {self.number()} {self.number(99)} {self.number(99)}")
        add(0.2, f"overload-fd-exhausted 1 {hour}")
        add(0.05, f"an-unknown-keyword {self.number()} words")
        self.random.shuffle(body)
        body = [f"opt {line}" if self.maybe(0.01) else line for line in body]
        if has_ed25519:
            body.append(f"router-sig-ed25519 {self.base64(64)}")
        body.append("router-signature\n" + self.object("SIGNATURE", self.bytes(128)))
        return "\n".join(lines + body) + "\n"

    # Microdescriptors.

    def microdescriptor(self):
        onion_key = "\n" + self.object("RSA PUBLIC KEY", self.bytes(140)) if self.maybe(0.7) else ""
        lines = [f"onion-key{onion_key}"]
        if self.maybe(0.95):
            lines.append(f"ntor-onion-key {self.base64(32, padding=self.maybe())}")
        for _ in range(self.random.choice((0, 0, 1, 2))):
            lines.append(f"a {self.or_address()}")
        for probability, line in (
                (0.3, f"family {self.family()}"),
                (0.3, f"family-ids ed25519:{self.base64(32)} other:words"),
                (0.5, f"p {self.summary()}"), (0.4, f"p6 {self.summary()}"),
                (0.2, f"id rsa1024 {self.base64(20)}"), (0.9, f"id ed25519 {self.base64(32)}"),
                (0.05, f"an-unknown-keyword {self.number()} words")):
            if self.maybe(probability):
                lines.append(line)
        return "\n".join(lines) + "\n"

    # Consensuses and votes.

    def router_status(self, kind):
        digest = "" if kind == "microdesc" else f" {self.base64(20)}"
        lines = [f"r {self.nickname()} {self.base64(20)}{digest} {self.time()} {self.ipv4()} {self.port()} "
                 f"{self.port(zero=True)}"]
        for _ in range(self.random.choice((0, 0, 1, 2))):
            lines.append(f"a {self.or_address()}")
        if kind == "microdesc":
            lines.append(f"m {self.base64(32)}")
        flags = sorted(self.random.sample(FLAGS, self.random.randint(0, len(FLAGS))))
        lines.append(" ".join(("s", *flags)))
        if self.maybe(0.95):
            lines.append(f"v Tor {self.random.choice(VERSIONS)}" if self.maybe(0.98) else "v Other 1")
        if self.maybe(0.95):
            lines.append(f"pr {self.protocols()}")
        measured = f" Measured={self.number()}" if self.maybe() and kind == "vote" else ""
        unmeasured = " Unmeasured=1" if self.maybe(0.2) else ""
        lines.append(f"w Bandwidth={self.number()}{measured}{unmeasured}")
        if kind != "microdesc" and self.maybe(0.9):
            lines.append(f"p {self.summary()}")
        if kind == "vote":
            lines.append(f"id ed25519 {self.base64(32) if self.maybe(0.9) else 'none'}")
            for methods in ("28,29", "30,31,32"):
                lines.append(f"m {methods} sha256={self.base64(32)}")
        if self.maybe(0.02):
            lines.append(f"an-unknown-keyword {self.number()} words")
        return "\n".join(lines) + "\n"

    def key_certificate(self):
        address = [f"dir-address {self.ipv4()}:{self.port()}"] if self.maybe() else []
        return "\n".join((
            "dir-key-certificate-version 3", *address, f"fingerprint {self.hex()}",
            f"dir-key-published {self.time()}", f"dir-key-expires {self.time()}",
            "dir-identity-key", self.object("RSA PUBLIC KEY", self.bytes(390)),
            "dir-signing-key", self.object("RSA PUBLIC KEY", self.bytes(270)),
            "dir-key-crosscert", self.object("ID SIGNATURE", self.bytes(256)),
            "dir-key-certification", self.object("SIGNATURE", self.bytes(384)),
        )) + "\n"

    def shared_randomness(self):
        return (f"shared-rand-previous-value {self.random.randint(0, 9)} {self.base64(32, padding=True)}",
                f"shared-rand-current-value {self.random.randint(0, 9)} {self.base64(32, padding=True)}")

    def authority(self, kind):
        # Stem refuses nicknames that consist of letters of the word -legacy.
        lines = [f"dir-source {self.nickname()[:18]}0 {self.hex()} host.example.org {self.ipv4()} {self.port()} "
                 f"{self.port()}", f"contact {self.random.choice(CONTACTS[:3])}"]
        if kind != "vote":
            return "\n".join((*lines, f"vote-digest {self.hex()}")) + "\n"
        if self.maybe():
            lines.append(f"legacy-dir-key {self.hex()}")
        lines.append("shared-rand-participate")
        for _ in range(3):
            reveal = f" {self.base64(40, padding=True)}" if self.maybe() else ""
            lines.append(f"shared-rand-commit 1 sha3-256 {self.hex()} {self.base64(40, padding=True)}{reveal}")
        lines += self.shared_randomness()
        return "\n".join(lines) + "\n" + self.key_certificate()

    def network_status(self, kind, entries):
        """Returns a consensus of the flavor `ns` or `microdesc`, or a `vote`."""
        is_vote = kind == "vote"
        lines = ["network-status-version 3" + (" microdesc" if kind == "microdesc" else "")]
        lines.append("vote-status vote" if is_vote else "vote-status consensus")
        lines.append("consensus-methods 28 29 30 31 32" if is_vote else "consensus-method 32")
        if is_vote:
            lines.append(f"published {self.time()}")
        for keyword in ("valid-after", "fresh-until", "valid-until"):
            lines.append(f"{keyword} {self.time()}")
        lines.append("voting-delay 300 300")
        versions = sorted(version for version in VERSIONS if "git" not in version)
        lines += [f"client-versions {','.join(versions)}", f"server-versions {','.join(versions[2:])}"]
        for name in ("tor", "browser"):
            lines.append(f"package {name} 1.2 http://example.com/{name} sha256={self.hex(32)} sha512=abc")
        lines.append("known-flags " + " ".join(FLAGS))
        for keyword in ("recommended-client-protocols", "recommended-relay-protocols",
                        "required-client-protocols", "required-relay-protocols"):
            lines.append(f"{keyword} {self.protocols()}")
        params = {"bwweightscale": 10000, "cbttestfreq": 10, "NumEntryGuards": 2, "param-of-a-test": -5,
                  "circwindow": 1000, "refuseunknownexits": 1, "zeta": 2147483647}
        params_line = "params " + " ".join(f"{key}={value}" for key, value in sorted(params.items()))
        if is_vote:
            lines.append("flag-thresholds stable-uptime=693369 stable-mtbf=153249 fast-speed=40960 "
                         "guard-wfu=94.669% guard-tk=691200 guard-bw-inc-exits=174080 "
                         "guard-bw-exc-exits=184320 enough-mtbf=1 ignoring-advertised-bws=0")
            lines += ["bandwidth-file-headers timestamp=1566000000 version=1.4.0 software=sbws",
                      f"bandwidth-file-digest sha256={self.base64(32)}", params_line]
        else:
            lines += [params_line, *self.shared_randomness()]
        parts = ["\n".join(lines) + "\n"]
        parts += [self.authority(kind) for _ in range(1 if is_vote else 9)]
        statuses = [self.router_status(kind) for _ in range(entries)]
        # In the order of the bytes of the identities.
        parts += sorted(statuses, key=lambda status: base64.b64decode(status.split(" ")[2] + "="))
        footer = ["directory-footer"]
        if not is_vote:
            names = ("Wbd", "Wbe", "Wbg", "Wbm", "Wdb", "Web", "Wed", "Wee", "Weg", "Wem", "Wgb", "Wgd",
                     "Wgg", "Wgm", "Wmb", "Wmd", "Wme", "Wmg", "Wmm")
            footer.append("bandwidth-weights " + " ".join(f"{name}={self.number(10000)}" for name in names))
        for _ in range(1 if is_vote else 9):
            algorithm = " sha256" if kind == "microdesc" else ""
            footer.append(f"directory-signature{algorithm} {self.hex()} {self.hex()}\n"
                          + self.object("SIGNATURE", self.bytes(256)))
        return "".join(parts) + "\n".join(footer) + "\n"

    # Descriptors of onion services.

    def onion_descriptor(self):
        return "\n".join((
            "hs-descriptor 3", f"descriptor-lifetime {self.random.choice((180, 30, 720))}",
            "descriptor-signing-key-cert", self.certificate(8, signer=self.bytes(32)),
            f"revision-counter {self.number()}", "superencrypted",
            self.object("MESSAGE", self.bytes(600)), f"signature {self.base64(64)}",
        )) + "\n"
