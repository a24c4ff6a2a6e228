"""Compares events and answers of a private network."""

import socket
import socketserver
import threading
import time

import stem
import stem.control

import convert
import reasons
import replies
import session
from convert import same
from session import LIMIT, REFUSED


def mark(tor, name):
    """Makes an event that contains this text."""
    tor.set_conf("ContactInfo", f"{name} mark")


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it receives."""

    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)


def through_tor(port, name, target, user):
    """Connects by SOCKS with a user name and a password, and sends some bytes there and back."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        client.sendall(b"\x05\x01\x02")
        client.recv(2)
        client.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(user)]) + user)
        client.recv(2)
        client.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + target.to_bytes(2, "big"))
        if client.recv(10)[1:2] == b"\x00":
            client.sendall(b"x" * 1000)
            client.recv(1000)


def work(tor):
    """Makes events of as many kinds as a client of a private network has."""
    service = None
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        service = tor.create_ephemeral_hidden_service({80: port}, await_publication=True, timeout=LIMIT)
        kept = tor.new_circuit(await_build=True, timeout=LIMIT)
        other = tor.new_circuit(await_build=True, timeout=LIMIT)
        tor.repurpose_circuit(other, "controller")
        tor.close_circuit(other)
        socks = tor.get_ports(stem.control.Listener.SOCKS)[0]
        for name, target, user in ((b"a.test", port, b"one"), (b"a.nx.test", 80, b"t wo\"\\"),
                                   (b"a.test", 1, b"\xff"),
                                   (service.service_id.encode() + b".onion", 80, b"three")):
            through_tor(socks, name, target, user)
        for command in ("RESOLVE a.test", "RESOLVE a.nx.test", "RESOLVE mode=reverse 127.0.0.1"):
            tor.msg(command)
        tor.map_address({"0.0.0.0": "a.test", "b.test": "c.test"})
        for signal in ("NEWNYM", "CLEARDNSCACHE", "HEARTBEAT", "DUMP"):
            tor.signal(signal)
        tor.msg('SETCONF MaxCircuitDirtiness=20 ContactInfo="a \\"b\\" \\\\ # \\n\\303\\251" ExcludeNodes=""')
        tor.reset_conf("MaxCircuitDirtiness")
        tor.close_circuit(kept)
        tor.remove_ephemeral_hidden_service(service.service_id)
        server.shutdown()


# Arguments of keys that are names of several.
SAMPLES = {
    "address-mappings/": ("all", "cache", "config", "control"),
    "net/listeners/": (),
    "ns/purpose/": ("general", "bridge"),
    "ip-to-country/": ("127.0.0.1", "192.0.2.1", "x"),
    "exit-policy/": (),
    "downloads/networkstatus/": ("ns", "microdesc"),
    "downloads/cert/": ("fps",),
    "downloads/bridge/": ("bridges",),
    "downloads/desc/": (),
    "onions/": ("current", "detached"),
    "status/": ("circuit-established", "bootstrap-phase", "nothing"),
    "hs/client/desc/id/": ("x",),
    "hs/service/desc/id/": ("x",),
    "dir/status-vote/current/": ("consensus", "consensus-microdesc"),
    "dir/status-vote/next/": ("consensus",),
    "dir/server/": ("authority",),
    "config/": (),
    "accounting/": (),
}

# tor 0.4.9 aborts at it: torcon sends no such command.
DEADLY = "downloads/desc/descs"


def keys_of(tor, fingerprints):
    """Returns every key of this tor; keys with an argument with some arguments."""
    found = []
    for line in tor.get_info("info/names").splitlines():
        key = line.split(" -- ")[0].split(" ")[0]
        if not key.endswith("*"):
            found.append(key)
            continue
        prefix = key.removesuffix("*")
        if prefix.endswith("/id/") and prefix not in SAMPLES:
            found += [f"{prefix}{fingerprints[0]}", f"{prefix}{'0' * 40}"]
        elif prefix.endswith("/name/"):
            found += [f"{prefix}{name}" for name in ("auth0", "relay0", "relay1", "nobody")]
        else:
            found += [f"{prefix}{word}" for word in SAMPLES.get(prefix, ("x",))]
    return [key for key in dict.fromkeys(found) if key != DEADLY]


def conf_of_stem(tor, name):
    return replies.conf_of_stem(tor.get_conf_map(name, multiple=True))


def answers(live, tor, fingerprints, nicknames):
    """Compares the answers of a client."""
    for key in keys_of(tor, fingerprints):
        live.question(f"GETINFO {key}", (("info", key), same), lambda key=key: tor.get_info(key))
    for line in tor.get_info("config/names").splitlines():
        name = line.split(" ")[0]
        live.question(f"GETCONF {name}", (("conf", name), same), lambda name=name: conf_of_stem(tor, name))
    live.question("protocol info", (("protocol_info",), same), lambda: session.protocol_info(tor.get_protocolinfo()))
    live.question("version", (("version",), same), lambda: str(tor.get_version()))
    live.question("process", (("process",), lambda it: (it["pid"], it["user"])),
                  lambda: (tor.get_pid(), tor.get_user()))
    for kind in stem.control.Listener:
        live.question(f"listeners {kind}", (("listeners", kind.lower()), with_port),
                      lambda kind=kind: [f"{address}:{port}" for address, port in tor.get_listeners(kind)])
    live.question("accounting", (("accounting",), accounting), lambda: stem_accounting(tor))
    live.question("exit policy of a client", (("exit_policy", *live.targets), policy),
                  lambda: stem_policy(tor, live.targets))
    for pair in (("a.test", "b.test"), ("1.2.3.4", "a.test"), ("a b", "c"), ("a.test", "a.test")):
        live.question(f"MAPADDRESS {pair}", (("map", *pair), same),
                      lambda pair=pair: tor.map_address(dict([pair])))
    circuit = live.torcon.ask("extend", fingerprints[0], fingerprints[1])
    other = tor.extend_circuit(path=[fingerprints[0], fingerprints[1]])
    live.comparison.value("question", "EXTENDCIRCUIT", int(circuit) + 1, int(other), reasons.Context(""))
    live.documents("circuits", ("circuits",), "event CIRC", tor.get_circuits)
    live.documents("streams", ("streams",), "event STREAM", tor.get_streams)
    live.documents("relays", ("relays",), "router status", tor.get_network_statuses)
    live.documents("microdescriptors", ("microdescriptors",), "microdescriptor", tor.get_microdescriptors)
    for fingerprint in (*fingerprints, "0" * 40):
        live.documents("relay", ("relay", fingerprint), "router status",
                       lambda fingerprint=fingerprint: [tor.get_network_status(fingerprint)])
        live.documents("microdescriptor", ("microdescriptor", fingerprint), "microdescriptor",
                       lambda fingerprint=fingerprint: [tor.get_microdescriptor(fingerprint)])
    for name in (*nicknames, "nobody"):
        live.documents("relay by name", ("relay_by_name", name), "router status",
                       lambda name=name: [tor.get_network_status(name)])
    tor.create_ephemeral_hidden_service({80: 80}, detached=True)
    live.question("onions", (("onions",), same),
                  lambda: tor.list_ephemeral_hidden_services(our_services=True))
    live.question("detached onions", (("detached_onions",), same),
                  lambda: tor.list_ephemeral_hidden_services(our_services=False, detached=True))


SERVICES = (
    ("HiddenServiceDir", "one"), ("HiddenServicePort", "80"), ("HiddenServicePort", "81 8081"),
    ("HiddenServicePort", "82 127.0.0.2:8082"), ("HiddenServiceMaxStreams", "5"),
    ("HiddenServiceDir", "two words"), ("HiddenServiceVersion", "3"), ("HiddenServicePort", "443 127.0.0.1:4443"),
)


def onion_services(live, tor, directory):
    """Compares the onion services of a configuration."""
    tor.set_options([(name, str(directory / value) if name == "HiddenServiceDir" else value)
                     for name, value in SERVICES])
    live.question("onion services", (("services",), services), lambda: services_of_stem(tor))


def services(value):
    """Returns the ports and the other options of each service, by its directory."""
    found = {}
    for service in value:
        ports = []
        for port in service["ports"]:
            virtual, _, target = port.partition(",")
            target = target or virtual
            address, _, number = target.rpartition(":")
            ports.append([int(virtual), address or "127.0.0.1", int(number)])
        options = {name: one for name, one in service["lines"]
                   if name not in ("HiddenServiceDir", "HiddenServicePort")}
        found[service["directory"]] = {"HiddenServicePort": ports, **options}
    return found


def services_of_stem(tor):
    return {directory: {**options, "HiddenServicePort": [list(port) for port in options["HiddenServicePort"]]}
            for directory, options in tor.get_hidden_service_conf().items()}


def answers_of_relay(live, tor, fingerprints):
    """Compares the answers of an exit relay."""
    for rules in ("", "accept *:80,reject *:*", "reject private:*,accept *:443,reject *:1-79,accept 200.0.0.0/6:*",
                  "accept6 [2001:db8::]/32:80,reject6 *6:*,reject *4:*"):
        if rules:
            tor.set_conf("ExitPolicy", rules)
        wait_for_policy(tor)
        live.question("exit policy", (("exit_policy", *live.targets), policy),
                      lambda: stem_policy(tor, live.targets))
    for fingerprint in (*fingerprints, "0" * 40):
        live.documents("server descriptor", ("server_descriptor", fingerprint), "server-descriptor",
                       lambda fingerprint=fingerprint: [tor.get_server_descriptor(fingerprint)])
    for limit in ("1 GByte", "0"):
        tor.set_conf("AccountingMax", limit)
        live.question("accounting", (("accounting",), accounting), lambda: stem_accounting(tor))
    live.documents("server descriptors", ("server_descriptors",), "server-descriptor",
                   tor.get_server_descriptors)
    for key in ("address", "fingerprint", "exit-policy/full", "exit-policy/ipv4", "exit-policy/ipv6"):
        live.question(f"GETINFO {key}", (("info", key), same), lambda key=key: tor.get_info(key))


def wait_for_policy(tor):
    """Waits until tor has made a descriptor with its policy; it refuses the question until then."""
    end = time.monotonic() + LIMIT
    while tor.get_info("exit-policy/full", None) is None and time.monotonic() < end:
        time.sleep(0.1)


def with_port(value):
    return [one for one in value if not one.startswith("unix:")]


def accounting(value):
    interval = value["interval"]
    if interval is None:
        return REFUSED
    end = convert.canonical(interval["end"])
    return (value["hibernation"].lower(), end, interval["read"], interval["read_left"],
            interval["written"], interval["written_left"])


def stem_accounting(tor):
    found = tor.get_accounting_stats()
    return (found.status, convert.seconds(found.interval_end), found.read_bytes, found.read_bytes_left,
            found.written_bytes, found.write_bytes_left)


def policy(value):
    return value and value["allowed"]


def stem_policy(tor, targets):
    return convert.allowed(tor.get_exit_policy(), targets)


def compare(live, directory):
    """Compares events and answers of a private network, whose files are in this directory."""
    ports = live.torcon.ask("network", str(directory))
    path = ports["client"].removeprefix("unix:")
    live.torcon.ask("connect", ports["client"])
    events = session.StemEvents(path)
    live.torcon.ask("subscribe")
    with stem.control.Controller.from_socket_file(path) as tor:
        tor.authenticate()
        tor.set_caching(False)
        # Events of the time between both subscriptions reach one client only.
        mark(tor, "first")
        live.torcon.ask("events", "first mark")
        events.up_to("first mark")
        work(tor)
        mark(tor, "second")
        live.events("network", live.torcon.ask("events", "second mark"), events.up_to("second mark"))
        answers(live, tor, ports["fingerprints"], ports["nicknames"])
        onion_services(live, tor, directory / "client")
    exit_path = ports["exit"].removeprefix("unix:")
    live.torcon.ask("connect", ports["exit"])
    with stem.control.Controller.from_socket_file(exit_path) as tor:
        tor.authenticate()
        tor.set_caching(False)
        answers_of_relay(live, tor, ports["fingerprints"])
