//! The events that the monitor subscribes to.

use std::time::SystemTime;

use crossbeam_channel::Sender;
use torcon::event::{
    BwEvent, ConfChangedEvent, Event, HsDescEvent, LogEvent, NetworkLivenessEvent, OrConnEvent,
    StatusEvent,
};
use torcon::names::{HsDescAction, Severity};
use torcon::{EventKind, ListenerId, Result, State, Supervisor};

use super::targets::Targets;
use super::{Command, Message};
use crate::model::{DescriptorEvent, Entry, Update};
use crate::text::printable;

/// The subscriptions of the monitor; those of the log change with its level.
pub(super) struct Subscriptions {
    messages: Sender<Message>,
    /// Tor's state has changed. It holds one token at most.
    changed: Sender<()>,
    /// The listeners of `INFO` and `DEBUG`, which are subscribed to only while they are shown.
    verbose: Vec<(Severity, ListenerId)>,
    targets: Targets,
}

impl Subscriptions {
    /// Subscribes to everything but the changes of the state.
    pub(super) fn start(
        supervisor: &Supervisor,
        messages: Sender<Message>,
        commands: Sender<Command>,
        changed: Sender<()>,
    ) -> Result<Self> {
        let subscriptions =
            Self { messages, changed, verbose: Vec::new(), targets: Targets::default() };
        let requests = commands.clone();
        supervisor.on_status(move |status| {
            let _ = requests.send(Command::Status(status.clone()));
        })?;
        let updates = subscriptions.updates();
        supervisor.on(move |event: &BwEvent| {
            updates(Update::Bandwidth(event.bytes_read(), event.bytes_written()));
        })?;
        let updates = subscriptions.updates();
        supervisor.on(move |event: &LogEvent| updates(entry(event)))?;
        let updates = subscriptions.updates();
        let requests = commands.clone();
        supervisor.on(move |event: &HsDescEvent| {
            updates(descriptor(event));
            // A service has been added.
            if event.action() == HsDescAction::Created {
                let _ = requests.send(Command::Reload);
            }
        })?;
        supervisor.on(move |_: &ConfChangedEvent| {
            let _ = commands.send(Command::Reload);
        })?;
        let changed = subscriptions.changed();
        supervisor.on(move |_: &OrConnEvent| changed())?;
        let changed = subscriptions.changed();
        supervisor.on(move |_: &StatusEvent| changed())?;
        let changed = subscriptions.changed();
        supervisor.on(move |_: &NetworkLivenessEvent| changed())?;
        let updates = subscriptions.updates();
        supervisor.on_reconnected(move |gap| {
            updates(Update::Gap(usize::try_from(gap.as_secs()).unwrap_or(usize::MAX)));
        })?;
        let updates = subscriptions.updates();
        supervisor.on_lagged(move |count| {
            updates(note(&format!("{count} events were lost, since the monitor was too slow")));
        })?;
        Ok(subscriptions)
    }

    /// Watches the circuits and streams of a state.
    pub(super) fn watch(&self, state: &State) -> Result<()> {
        let changed = self.changed();
        state.on_circuit(move |_| changed())?;
        let (changed, targets) = (self.changed(), self.targets.clone());
        state.on_stream(move |update| {
            targets.apply(update);
            changed();
        })?;
        Ok(())
    }

    /// Subscribes to the less severe messages that a level includes, and to no others.
    pub(super) fn set_log_level(&mut self, supervisor: &Supervisor, level: Severity) {
        let listeners = std::mem::take(&mut self.verbose).into_iter();
        let (superfluous, needed) = listeners.partition(|(severity, _)| *severity < level);
        self.verbose = needed;
        let superfluous: Vec<(Severity, ListenerId)> = superfluous;
        for (_, listener) in superfluous {
            // The supervisor may have ended.
            let _ = supervisor.remove_event_listener(listener);
        }
        for (severity, kind) in
            [(Severity::Info, EventKind::Info), (Severity::Debug, EventKind::Debug)]
        {
            if severity < level || self.verbose.iter().any(|(known, _)| *known == severity) {
                continue;
            }
            let updates = self.updates();
            let listener = supervisor.add_event_listener(kind, move |event| {
                if let Event::Log(event) = event {
                    updates(entry(event));
                }
            });
            match listener {
                Ok(listener) => self.verbose.push((severity, listener)),
                Err(error) => self.updates()(note(&format!("{error:#}"))),
            }
        }
    }

    /// Returns the targets that applications have asked for.
    pub(super) fn targets(&self) -> Targets {
        self.targets.clone()
    }

    fn updates(&self) -> impl Fn(Update) + Send + use<> {
        let messages = self.messages.clone();
        move |update| {
            let _ = messages.send(Message::Update(update));
        }
    }

    fn changed(&self) -> impl Fn() + Send + use<> {
        let changed = self.changed.clone();
        move || {
            let _ = changed.try_send(());
        }
    }
}

/// Returns a message of the monitor itself.
pub(super) fn note(message: &str) -> Update {
    Update::Log(Entry { time: SystemTime::now(), severity: None, message: printable(message) })
}

fn entry(event: &LogEvent) -> Update {
    Update::Log(Entry {
        time: SystemTime::now(),
        severity: Some(event.severity()),
        message: printable(event.message().to_str_lossy()),
    })
}

fn descriptor(event: &HsDescEvent) -> Update {
    let directory = event.hsdir().map(|relay| match relay.nickname() {
        Some(nickname) => nickname.to_string(),
        None => relay.to_string(),
    });
    Update::Descriptor(DescriptorEvent {
        time: SystemTime::now(),
        action: printable(event.action().as_str()),
        address: event.address().map(|address| printable(address.to_str_lossy())),
        directory: directory.map(printable),
        reason: event.reason().map(|reason| printable(reason.as_str())),
    })
}

#[cfg(test)]
mod tests {
    use torcon::event::{Event, EventText};

    use super::{descriptor, entry};
    use crate::model::Update;

    #[test]
    fn messages_of_tor_are_escaped() {
        let Event::Log(event) = Event::parse(EventText::new(b"NOTICE a\x1b[2Jb \xe2\x80\xae"))
        else {
            panic!("no message");
        };
        let Update::Log(entry) = entry(&event) else { panic!("no entry") };
        assert_eq!(entry.message, r"a\u{1b}[2Jb \u{202e}");
    }

    #[test]
    fn a_descriptor_event_names_address_and_directory() {
        let text = b"HS_DESC FAILED abc NO_AUTH $0123456789012345678901234567890123456789~dir \
                     REASON=NOT_FOUND";
        let Event::HsDesc(event) = Event::parse(EventText::new(text)) else { panic!("no event") };
        let Update::Descriptor(event) = descriptor(&event) else { panic!("no descriptor") };
        assert_eq!(event.action, "FAILED");
        assert_eq!(event.address.as_deref(), Some("abc"));
        assert_eq!(event.directory.as_deref(), Some("dir"));
        assert_eq!(event.reason.as_deref(), Some("NOT_FOUND"));
    }
}
