//! Commands of the connection: events, signals, features, ownership, `QUIT`; and `DROPGUARDS`,
//! `DROPTIMEOUTS`.

use super::{Command, Names, acknowledged};
use crate::error::{InvalidInput, Result};
use crate::names::Signal;
use crate::wire::{Reply, Request};

/// Subscribes this connection to a set of events, which replaces the former set.
///
/// `SETEVENTS [event ...]`. The names are sent sorted and without repetitions, so that equal sets
/// are equal lines: filters in front of a control port compare text. If tor does not know one of
/// the names, it refuses the command and keeps the former set.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, SetEvents};
///
/// // Replaces all subscriptions of the connection.
/// let command = SetEvents::new(["CIRC", "STREAM"]);
/// assert_eq!(command.request()?.encode()?, b"SETEVENTS CIRC STREAM\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetEvents {
    /// Invariant: sorted, no two the same.
    names: Vec<Box<str>>,
}

impl SetEvents {
    /// Returns the command for exactly the given events, possibly none.
    #[must_use]
    pub fn new<N, Form>(names: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        let mut names = names.into_names();
        names.sort_unstable();
        names.dedup();
        Self { names }
    }
}

impl Command for SetEvents {
    acknowledged!("SETEVENTS");

    fn request(&self) -> Result<Request, InvalidInput> {
        self.names
            .iter()
            .try_fold(Request::new(Self::KEYWORD), |request, name| request.token("event", &**name))
    }
}

/// Sends tor a signal.
///
/// `SIGNAL name`. tor answers before it acts. A [`Signal::Unrecognized`] is refused.
///
/// # Examples
///
/// ```
/// use torcon::Signal;
/// use torcon::command::{Command, SendSignal};
///
/// let command = SendSignal::new(Signal::Newnym);
/// assert_eq!(command.request()?.encode()?, b"SIGNAL NEWNYM\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendSignal {
    signal: Signal,
}

impl SendSignal {
    /// Returns the command for a signal.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        Self { signal }
    }
}

impl Command for SendSignal {
    acknowledged!("SIGNAL");

    fn request(&self) -> Result<Request, InvalidInput> {
        if !Signal::KNOWN.contains(&self.signal) {
            return Err(InvalidInput::new("signal", "is not a signal of tor"));
        }
        Request::new(Self::KEYWORD).token("signal", self.signal.as_str())
    }
}

/// Enables features of the control protocol.
///
/// `USEFEATURE [feature ...]`. In current versions of tor every feature is always on.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, UseFeature};
///
/// let command = UseFeature::new(["EXTENDED_EVENTS", "VERBOSE_NAMES"]);
/// assert_eq!(command.request()?.encode()?, b"USEFEATURE EXTENDED_EVENTS VERBOSE_NAMES\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseFeature {
    features: Vec<Box<str>>,
}

impl UseFeature {
    /// Returns the command for the given features, such as `VERBOSE_NAMES`.
    #[must_use]
    pub fn new<N, Form>(features: N) -> Self
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        Self { features: features.into_names() }
    }
}

impl Command for UseFeature {
    acknowledged!("USEFEATURE");

    fn request(&self) -> Result<Request, InvalidInput> {
        self.features.iter().try_fold(Request::new(Self::KEYWORD), |request, name| {
            request.token("feature", &**name)
        })
    }
}

macro_rules! without_arguments {
    ($( $(#[$attribute:meta])* $name:ident = $keyword:literal; )*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            #[non_exhaustive]
            pub struct $name;

            impl $name {
                /// Returns the command.
                #[must_use]
                pub fn new() -> Self {
                    Self
                }
            }

            impl Command for $name {
                acknowledged!($keyword);

                fn request(&self) -> Result<Request, InvalidInput> {
                    Ok(Request::new(Self::KEYWORD))
                }
            }
        )*
    };
}

without_arguments! {
    /// Drops tor's entry guards, so that it chooses others.
    ///
    /// `DROPGUARDS`. Each choice is another chance to choose a malicious guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::command::{Command, DropGuards};
    ///
    /// assert_eq!(DropGuards::new().request()?.encode()?, b"DROPGUARDS\r\n");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    DropGuards = "DROPGUARDS";
    /// Resets the circuit build times that tor has measured, and so its circuit build timeout.
    ///
    /// `DROPTIMEOUTS`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::DropTimeouts;
    ///
    /// // The path to the internet is another one: the measured times no longer apply.
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.execute(&DropTimeouts::new())?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    DropTimeouts = "DROPTIMEOUTS";
    /// Makes this connection the owner of tor, which exits when the connection ends.
    ///
    /// `TAKEOWNERSHIP`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::TakeOwnership;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.execute(&TakeOwnership::new())?;
    /// // tor exits.
    /// drop(controller);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    TakeOwnership = "TAKEOWNERSHIP";
    /// Ends the ownership of [`TakeOwnership`].
    ///
    /// `DROPOWNERSHIP`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::DropOwnership;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.execute(&DropOwnership::new())?;
    /// // tor keeps running.
    /// drop(controller);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    DropOwnership = "DROPOWNERSHIP";
}

/// Makes tor close the connection.
///
/// `QUIT`. tor answers and closes the connection; it does not answer commands behind this one. A
/// tor that the connection owns exits.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::Quit;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// // tor closes the connection behind its reply.
/// controller.execute(&Quit::new())?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quit;

impl Quit {
    /// Returns the command.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Command for Quit {
    type Reply = ();

    const KEYWORD: &'static str = "QUIT";

    fn request(&self) -> Result<Request, InvalidInput> {
        Ok(Request::new(Self::KEYWORD))
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        // The text `closing connection` is not checked: the connection ends anyway.
        reply.into_result(Self::KEYWORD)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        DropGuards, DropOwnership, DropTimeouts, Quit, SendSignal, SetEvents, TakeOwnership,
        UseFeature,
    };
    use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
    use crate::names::Signal;

    #[test]
    fn events_are_sorted_and_sent_once() {
        // zwuevi and bine sent them in the order of a hash map (peers 12).
        let command = SetEvents::new(["STREAM", "BW", "CIRC", "BW"]);
        assert_eq!(sent(&command), "SETEVENTS BW CIRC STREAM\r\n");
        assert_eq!(sent(&SetEvents::new([""; 0])), "SETEVENTS\r\n");
        assert!(answered(&command, b"250 OK\r\n").is_ok());
        assert_eq!(
            error(&command, b"552 Unrecognized event \"NOPE\"\r\n").to_string(),
            r#"tor refused SETEVENTS: 552 "Unrecognized event \"NOPE\"""#
        );
    }

    #[test]
    fn an_event_must_be_one_word() {
        for (name, problem) in [
            ("CIRC\r\nSIGNAL HALT", "contains a carriage return"),
            ("CIRC\nSIGNAL HALT", "contains a line feed"),
            ("CIRC\0", "contains NUL"),
            ("CIRC STREAM", "contains a blank"),
            ("", "is empty"),
        ] {
            let message = format!("invalid argument \"event\": {problem}");
            assert_eq!(refusal(&SetEvents::new([name])), message);
            let message = format!("invalid argument \"feature\": {problem}");
            assert_eq!(refusal(&UseFeature::new([name])), message);
        }
    }

    #[test]
    fn known_signals_are_sent_and_others_are_not() {
        for signal in Signal::KNOWN {
            let command = SendSignal::new(signal.clone());
            assert_eq!(sent(&command), format!("SIGNAL {signal}\r\n"));
        }
        // txtorcon takes any part of its list of signals for a signal: `NYM`, or a blank.
        for word in ["NYM", "", " ", "1", "NEWNYM HALT", "HALT\r\nQUIT"] {
            assert_eq!(
                refusal(&SendSignal::new(Signal::Unrecognized(word.into()))),
                "invalid argument \"signal\": is not a signal of tor"
            );
        }
    }

    #[test]
    fn features_are_sent_in_the_order_given() {
        let command = UseFeature::new(["VERBOSE_NAMES", "EXTENDED_EVENTS"]);
        assert_eq!(sent(&command), "USEFEATURE VERBOSE_NAMES EXTENDED_EVENTS\r\n");
        assert_eq!(
            error(&command, b"552 Unrecognized feature \"NOPE\"\r\n").status_code(),
            Some(552)
        );
    }

    #[test]
    fn commands_without_arguments_are_their_keyword() {
        assert_eq!(sent(&DropGuards), "DROPGUARDS\r\n");
        assert_eq!(sent(&DropTimeouts), "DROPTIMEOUTS\r\n");
        assert!(answered(&DropTimeouts, b"250 OK\r\n").is_ok());
        assert_eq!(sent(&TakeOwnership), "TAKEOWNERSHIP\r\n");
        assert_eq!(sent(&DropOwnership), "DROPOWNERSHIP\r\n");
        assert_eq!(sent(&Quit), "QUIT\r\n");
        assert!(answered(&Quit, b"250 closing connection\r\n").is_ok());
        // By a filter: the connection stays open.
        assert_eq!(error(&Quit, b"510 Command filtered\r\n").status_code(), Some(510));
        assert!(answered(&TakeOwnership, b"250 OK\r\n").is_ok());
    }

    #[test]
    fn the_reply_to_another_command_is_not_taken_for_an_acknowledgement() {
        // torut: one event in front of a reply shifted every later reply by one (peers 2).
        assert_eq!(
            misrouted(&TakeOwnership, b"250-version=0.4.9.11\r\n250 OK\r\n"),
            r#"cannot read the reply to TAKEOWNERSHIP: expected OK, got "version=""#
        );
        assert_eq!(
            misrouted(&SetEvents::new(["BW"]), b"250 ContactInfo\r\n"),
            r#"cannot read the reply to SETEVENTS: expected OK, got "..""#
        );
        assert_eq!(
            misrouted(&DropOwnership, b"250+config-text=\r\nNickname x\r\n.\r\n250 OK\r\n"),
            r#"cannot read the reply to DROPOWNERSHIP: expected OK, got "config-text=""#
        );
        let stray = misrouted(&TakeOwnership, b"250-PrivateKey=ED25519-V3:c2VjcmV0\r\n250 OK\r\n");
        assert!(!stray.contains("ED25519"), "a secret is shown: {stray}");
    }
}
