"""Writes events with random valid values, from a seed. The values of an event do not belong together."""

import re

import stem
import stem.control

import documents

CIRCUIT = ("[ {path}][ BUILD_FLAGS={build_flags}][ PURPOSE={purpose}][ HS_STATE={hs_state}][ REND_QUERY={onion}]"
           "[ TIME_CREATED={time_of_day}]")
CELLS = "{cell}:{number},{cell_later}:{number}"

# The forms of the specification. What is in brackets can be left out.
FORMS = {
    "ADDRMAP": '{host} {host_or_error} {local_time}[ error={word}][ EXPIRES="{time}"][ CACHED="{yes_or_no}"]',
    "BUILDTIMEOUT_SET": "{set_type} TOTAL_TIMES={small} TIMEOUT_MS={small} XM={small} ALPHA={fraction} "
                        "CUTOFF_QUANTILE={fraction}[ TIMEOUT_RATE={fraction} CLOSE_MS={small} CLOSE_RATE={fraction}]",
    "BW": "{number} {number}[ DIR={number},{number}]",
    "CELL_STATS": "[ID={id} ][InboundQueue={small} InboundConn={small} ][InboundAdded=" + CELLS + " ]"
                  "[InboundRemoved=" + CELLS + " InboundTime=" + CELLS + " ]OutboundQueue={small} "
                  "OutboundConn={small} OutboundAdded=" + CELLS,
    "CIRC": "{id} {circ_status}" + CIRCUIT + "[ REASON={circ_closure}][ REMOTE_REASON={circ_closure}]"
            "[ SOCKS_USERNAME={quoted}][ SOCKS_PASSWORD={quoted}][ CONFLUX_ID={hex}]",
    "CIRC_BW": "ID={id} READ={number} WRITTEN={number}[ TIME={time_of_day}][ DELIVERED_READ={number} "
               "OVERHEAD_READ={number}][ DELIVERED_WRITTEN={number} OVERHEAD_WRITTEN={number}]",
    "CIRC_MINOR": "{id} {circ_event}" + CIRCUIT + "[ OLD_PURPOSE={purpose}][ OLD_HS_STATE={hs_state}]",
    "CLIENTS_SEEN": 'TimeStarted="{time}" CountrySummary={country}={small},??={small} IPVersions=v4={small},v6={small}',
    "CONN_BW": "ID={id} TYPE={conn_type} READ={number} WRITTEN={number}",
    "GUARD": "ENTRY {relay} {guard_status}",
    "HS_DESC": "{hs_action} {onion} {auth} {hs_directory}[ {descriptor_id}][ REASON={hs_reason}][ REPLICA={small}]"
               "[ HSDIR_INDEX={hex}]",
    "INFO": "{text}",
    "NETWORK_LIVENESS": "{up_or_down}",
    "NEWDESC": "{relay} {relay}[ {relay}]",
    "ORCONN": "{peer} {or_status}[ REASON={or_closure}][ NCIRCS={small}][ ID={id}]",
    "SIGNAL": "{signal}",
    "STATUS_CLIENT": "{severity} {action}[ HOST={address}][ WARNING={quoted}][ COUNT={small}]",
    "STATUS_GENERAL": "{severity} {action}[ REASON={quoted}]",
    "STATUS_SERVER": "{severity} {action}[ ADDRESS={address}:{port}][ METHOD={word}]",
    "STREAM": "{id} {stream_status} {id} {host}:{port}[ REASON={stream_closure}][ REMOTE_REASON={stream_closure}]"
              "[ SOURCE={stream_source}][ SOURCE_ADDR={address}:{port}][ PURPOSE={stream_purpose}]"
              "[ SOCKS_USERNAME={quoted}][ SESSION_GROUP=-{small}]",
    "STREAM_BW": "{id} {number} {number}[ {time_of_day}]",
    "TB_EMPTY": "{bucket} READ={small} WRITTEN={small} LAST={small}",
    "TRANSPORT_LAUNCHED": "{server_or_client} {word} {plain_address} {used_port}",
}

SOURCES = {
    "circ_status": stem.CircStatus, "purpose": stem.CircPurpose, "hs_state": stem.HiddenServiceState,
    "circ_closure": stem.CircClosureReason, "circ_event": stem.CircEvent, "guard_status": stem.GuardStatus,
    "hs_action": stem.HSDescAction, "auth": stem.HSAuth, "hs_reason": stem.HSDescReason,
    "or_status": stem.ORStatus, "or_closure": stem.ORClosureReason, "signal": stem.Signal,
    "stream_status": stem.StreamStatus, "stream_closure": stem.StreamClosureReason,
    "stream_source": stem.StreamSource, "stream_purpose": stem.StreamPurpose,
    "set_type": stem.TimeoutSetType, "conn_type": stem.ConnectionType, "severity": ("NOTICE", "WARN", "ERR"),
    "up_or_down": ("UP", "DOWN", "LATER"), "yes_or_no": ("YES", "NO"),
    "server_or_client": ("server", "client"), "cell": ("create", "relay", "destroy"),
    "cell_later": ("created_fast", "padding_negotiate", "x1"), "country": documents.COUNTRIES[1:],
    "action": ("BOOTSTRAP", "DANGEROUS_SOCKS", "CLOCK_SKEW", "LATER"), "word": ("yes", "obfs4", "x-1_2"),
}


class Writer(documents.Writer):
    """Random events."""

    def event(self, kind):
        form = re.sub(r"\[([^]]*)\]", lambda found: found[1] if self.maybe(0.6) else "", FORMS[kind])
        return f"650 {kind} {re.sub(r'{(.*?)}', lambda found: self.word(found[1]), form)}".rstrip(" ")

    def word(self, name):
        if name in SOURCES:
            return self.random.choice(list(SOURCES[name]))
        return str(getattr(self, f"a_{name}")())

    def a_id(self):
        return self.random.choice((0, 1, 17, 4294967295, "a1B2"))

    def a_number(self):
        return self.number(1 << 63)

    def a_small(self):
        return self.number(1 << 31)

    def a_fraction(self):
        return self.random.choice(("0.000000", "0.600000", f"{self.random.random():.6f}"))

    def a_hex(self):
        return self.hex(self.random.choice((16, 32)))

    def a_time(self):
        return self.time()

    def a_local_time(self):
        return self.random.choice(("NEVER", f'"{self.time()}"'))

    def a_time_of_day(self):
        part = self.random.choice(("", f".{self.random.randrange(10 ** 6):06}"))
        return f"{self.time().isoformat()}{part}"

    def a_relay(self):
        return f"${self.hex()}" + self.random.choice((f"~{self.nickname()}", f"={self.nickname()}", ""))

    def a_path(self):
        return ",".join(self.a_relay() for _ in range(self.random.randint(1, 5)))

    def a_build_flags(self):
        flags = list(stem.CircBuildFlag)
        return ",".join(self.random.sample(flags, self.random.randint(1, len(flags))))

    def a_onion(self):
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz234567", k=56))

    def a_address(self):
        return self.random.choice((self.ipv4(), f"[{self.ipv6()}]"))

    def a_port(self):
        return self.port(zero=True)

    def a_plain_address(self):
        return self.random.choice((self.ipv4(), self.ipv6()))

    def a_used_port(self):
        return self.port()

    def a_host(self):
        return self.random.choice(("a.test", "(Tor_internal)", f"{self.a_onion()}.onion", self.ipv4()))

    def a_host_or_error(self):
        return self.random.choice((self.a_host(), "<error>", f"[{self.ipv6()}]"))

    def a_peer(self):
        return self.random.choice((self.a_relay(), f"{self.ipv4()}:{self.port()}", f"[{self.ipv6()}]:{self.port()}"))

    def a_hs_directory(self):
        return self.random.choice((self.a_relay(), "UNKNOWN"))

    def a_descriptor_id(self):
        return self.base64(32)

    def a_bucket(self):
        return self.random.choice(("GLOBAL", "RELAY", f"ORCONN ID={self.a_id()}"))

    def a_quoted(self):
        letters = ("a", "b ", " c", "=", '\\"', "\\\\", "\\n", "\\t", "\\303\\251", "\\001", ",", "'", "X=Y ")
        return '"' + "".join(self.random.choices(letters, k=self.random.randint(0, 8))) + '"'

    def a_text(self):
        letters = ("a", " ", "  ", "=", '"', "\\", "OK", "(x)", "\u00e9", "\t", ": ", "0")
        return "x" + "".join(self.random.choices(letters, k=self.random.randint(0, 12)))
