//! The commands of the control protocol and of the prompt: usage, explanation, and the words that
//! complete their arguments.

/// The words that complete the arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    None,
    Circuits,
    /// The topics of `help`.
    Commands,
    Events,
    Features,
    InfoKeys,
    /// New keys of onion services.
    NewKeys,
    OnionServices,
    Options,
    Relays,
    /// Options, each with `=` and a value.
    Settings,
    Signals,
    Streams,
    /// A stream, then a circuit.
    StreamAndCircuit,
}

pub(crate) struct Command {
    /// The first word. A command of the prompt begins with a slash.
    pub(crate) name: &'static str,
    /// The arguments.
    pub(crate) usage: &'static str,
    pub(crate) explanation: &'static str,
    pub(crate) words: Words,
}

const fn command(
    name: &'static str,
    usage: &'static str,
    words: Words,
    explanation: &'static str,
) -> Command {
    Command { name, usage, explanation, words }
}

/// All commands, those of the prompt first.
pub(crate) const COMMANDS: &[Command] = &[
    command(
        "/events",
        "[EVENT ... | none]",
        Words::Events,
        "Shows events above the line as they arrive. Each has its time in UTC. Without arguments it lists the events that are shown; none ends it.",
    ),
    command(
        "/help",
        "[TOPIC]",
        Words::Commands,
        "Explains a command, a GETINFO key or an option. Without a topic it lists the commands.",
    ),
    command(
        "/info",
        "[RELAY]",
        Words::Relays,
        "Describes a relay. It is given by its fingerprint or its nickname; the default is this relay.",
    ),
    command("/quit", "", Words::None, "Leaves, as Ctrl-D does."),
    command(
        "ADD_ONION",
        "TYPE:KEY [Flags=FLAG,...] [MaxStreams=N] Port=PORT[,TARGET] ... [ClientAuthV3=KEY]",
        Words::NewKeys,
        "Adds an onion service. It ends with this connection unless Flags=Detach is given. NEW:BEST makes a new key. A line with a key is not kept in the history.",
    ),
    command(
        "ATTACHSTREAM",
        "STREAM CIRCUIT [HOP=N]",
        Words::StreamAndCircuit,
        "Attaches a stream to a circuit. For the circuit 0, tor chooses one. Needs __LeaveStreamsUnattached.",
    ),
    command(
        "AUTHCHALLENGE",
        "SAFECOOKIE NONCE",
        Words::None,
        "Begins the authentication by cookie. The prompt has authenticated already.",
    ),
    command(
        "AUTHENTICATE",
        "[PASSWORD | COOKIE]",
        Words::None,
        "Authenticates again. tor closes the connection if it fails. The line is not kept in the history.",
    ),
    command(
        "CLOSECIRCUIT",
        "CIRCUIT [IfUnused]",
        Words::Circuits,
        "Closes a circuit. With IfUnused, only a circuit without streams.",
    ),
    command(
        "CLOSESTREAM",
        "STREAM REASON",
        Words::Streams,
        "Closes a stream. The reason is a number of RELAY_END, such as 1.",
    ),
    command(
        "DEL_ONION",
        "SERVICE",
        Words::OnionServices,
        "Removes an onion service that ADD_ONION has added.",
    ),
    command("DROPGUARDS", "", Words::None, "Discards the entry guards; tor chooses new ones."),
    command("DROPOWNERSHIP", "", Words::None, "Takes back TAKEOWNERSHIP."),
    command(
        "DROPTIMEOUTS",
        "",
        Words::None,
        "Discards the circuit build times that tor has learned.",
    ),
    command(
        "EXTENDCIRCUIT",
        "0 | CIRCUIT [RELAY,...] [purpose=PURPOSE]",
        Words::Circuits,
        "Builds a circuit, or extends one. The circuit 0 is a new one. The reply has the circuit's identifier; CIRC events report its progress.",
    ),
    command("GETCONF", "OPTION ...", Words::Options, "Shows the values of options."),
    command(
        "GETINFO",
        "KEY ...",
        Words::InfoKeys,
        "Shows information of tor. /help KEY explains a key. Ctrl-C ends a long reply.",
    ),
    command(
        "HSFETCH",
        "ADDRESS [SERVER=RELAY ...]",
        Words::None,
        "Fetches the descriptor of an onion service. HS_DESC and HS_DESC_CONTENT events have the result.",
    ),
    command(
        "HSPOST",
        "[SERVER=RELAY ...] [HSADDRESS=ADDRESS]",
        Words::None,
        "Uploads a descriptor of an onion service. The descriptor follows on the next lines, up to a line with only a dot.",
    ),
    command(
        "LOADCONF",
        "",
        Words::None,
        "Replaces the whole configuration. The text of a torrc follows on the next lines, up to a line with only a dot.",
    ),
    command(
        "MAPADDRESS",
        "ADDRESS=TARGET ...",
        Words::None,
        "Maps addresses of streams to others. For the address 0.0.0.0 or . tor chooses one. A target that equals the address removes the mapping.",
    ),
    command(
        "ONION_CLIENT_AUTH_ADD",
        "ADDRESS x25519:KEY [ClientName=NAME] [Flags=Permanent]",
        Words::None,
        "Adds a private key for an onion service. tor uses it for the client authorization of the service. The line is not kept in the history.",
    ),
    command(
        "ONION_CLIENT_AUTH_REMOVE",
        "ADDRESS",
        Words::None,
        "Removes the private key for an onion service.",
    ),
    command(
        "ONION_CLIENT_AUTH_VIEW",
        "[ADDRESS]",
        Words::None,
        "Shows the private keys for onion services.",
    ),
    command(
        "POSTDESCRIPTOR",
        "[purpose=PURPOSE] [cache=yes | no]",
        Words::None,
        "Gives tor a server descriptor. It follows on the next lines, up to a line with only a dot.",
    ),
    command(
        "PROTOCOLINFO",
        "[VERSION]",
        Words::None,
        "Shows tor's version and its authentication methods.",
    ),
    command("QUIT", "", Words::None, "Closes the connection and leaves."),
    command(
        "REDIRECTSTREAM",
        "STREAM ADDRESS [PORT]",
        Words::Streams,
        "Changes the target of a stream that is not attached.",
    ),
    command(
        "RESETCONF",
        "OPTION[=VALUE] ...",
        Words::Options,
        "Sets options to their defaults, or to values.",
    ),
    command(
        "RESOLVE",
        "[mode=reverse] NAME",
        Words::None,
        "Resolves a name through Tor. ADDRMAP events have the result.",
    ),
    command("SAVECONF", "[FORCE]", Words::None, "Writes the configuration to the torrc."),
    command(
        "SETCIRCUITPURPOSE",
        "CIRCUIT purpose=PURPOSE",
        Words::Circuits,
        "Changes the purpose of a circuit. The purposes are general and controller.",
    ),
    command(
        "SETCONF",
        "OPTION[=VALUE] ...",
        Words::Settings,
        "Sets options. An option without a value becomes 0 or nothing. A line with a password is not kept in the history.",
    ),
    command(
        "SETEVENTS",
        "[EVENT ...]",
        Words::Events,
        "Shows these events and no others, as /events does.",
    ),
    command(
        "SIGNAL",
        "SIGNAL",
        Words::Signals,
        "Sends a signal to tor. NEWNYM lets new streams use new circuits, RELOAD reads the torrc again, SHUTDOWN ends tor.",
    ),
    command("TAKEOWNERSHIP", "", Words::None, "Lets tor exit when this connection ends."),
    command(
        "USEFEATURE",
        "FEATURE ...",
        Words::Features,
        "Enables features. In current versions of tor all are always on.",
    ),
];

/// Returns the command with a name, in any case, with `+`, or without the slash of the prompt's.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    let name = name.strip_prefix('+').unwrap_or(name);
    let is_named = |known: &str| known.eq_ignore_ascii_case(name);
    let find = |is_match: &dyn Fn(&Command) -> bool| COMMANDS.iter().find(|known| is_match(known));
    find(&|known| is_named(known.name))
        .or_else(|| find(&|known| known.name.strip_prefix('/').is_some_and(is_named)))
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, find};

    #[test]
    fn commands_are_sorted_and_found() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
        for (name, expected) in [
            ("getinfo", "GETINFO"),
            ("+LOADCONF", "LOADCONF"),
            ("Help", "/help"),
            ("/INFO", "/info"),
        ] {
            assert_eq!(find(name).map(|command| command.name), Some(expected), "{name}");
        }
        assert!(find("version").is_none());
        assert!(find("").is_none());
    }
}
