//! The options of a service as an `ADD_ONION` command, or as lines of tor's configuration.

use std::fmt;
use std::path::PathBuf;

use crate::command::{AddOnion, Command, ConfMap, is_service_option};
use crate::controller::{Controller, if_allowed};
use crate::error::{InvalidInput, Result};
use crate::names::{OnionKey, OnionPort, starts_without_case};
use crate::onion::client_auth::{AuthorizedClient, WantedClient, prepare};
use crate::onion::directory::DirectoryPlace;
use crate::onion::filesystem::FilesystemPlan;

const NON_ANONYMOUS: &str = "HiddenServiceNonAnonymousMode";

/// The options of a service of either kind.
#[derive(Default)]
pub(super) struct ServiceOptions {
    pub(super) ephemeral: bool,
    pub(super) temporary: bool,
    pub(super) directory: Option<PathBuf>,
    pub(super) key: Option<OnionKey>,
    pub(super) clients: Vec<WantedClient>,
    pub(super) discard_key: bool,
    pub(super) detach: bool,
    pub(super) non_anonymous: bool,
    pub(super) close_circuit: bool,
    pub(super) max_streams: Option<u16>,
    pub(super) pow_defenses: Option<bool>,
    pub(super) pow_queue_rate: Option<u32>,
    pub(super) pow_queue_burst: Option<u32>,
    pub(super) export_circuit_id: bool,
    pub(super) options: Vec<(String, String)>,
}

/// How the service is added.
pub(super) enum Plan {
    Ephemeral { command: Box<AddOnion>, clients: Vec<AuthorizedClient> },
    Filesystem(FilesystemPlan),
}

impl ServiceOptions {
    /// Applies the default kind: filesystem on a tor that this program launched, which sees the same
    /// files; ephemeral on others.
    pub(super) fn resolve(&mut self, launched: bool) {
        let is_chosen = self.ephemeral || self.temporary || self.directory.is_some();
        if !is_chosen {
            self.ephemeral = !launched;
            self.temporary = launched;
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        let only_ephemeral = "is for ephemeral services only";
        let not_ephemeral = "is not for ephemeral services, which are the default on a running tor";
        let contradictions = [
            (!self.ephemeral && self.detach, "detach", only_ephemeral),
            (!self.ephemeral && self.discard_key, "discard_key", only_ephemeral),
            (self.ephemeral && self.directory.is_some(), "hidden_service_dir", not_ephemeral),
            (self.ephemeral && self.temporary, "temporary_dir", not_ephemeral),
            (
                self.temporary && self.directory.is_some(),
                "temporary_dir",
                "is not for a service with a given directory",
            ),
            (self.ephemeral && self.export_circuit_id, "export_circuit_id", not_ephemeral),
            (self.ephemeral && !self.options.is_empty(), "option", not_ephemeral),
        ];
        match contradictions.into_iter().find(|(contradicts, ..)| *contradicts) {
            Some((_, argument, problem)) => Err(InvalidInput::new(argument, problem)),
            None => self.options.iter().try_for_each(|(name, value)| check_option(name, value)),
        }
    }

    pub(super) fn plan(&self, ports: &[OnionPort]) -> Result<Plan> {
        let clients = prepare(&self.clients)?;
        if self.ephemeral {
            let command = self.add_onion(ports, &clients);
            // Reports invalid arguments before a tor is launched.
            command.request()?;
            return Ok(Plan::Ephemeral { command: Box::new(command), clients });
        }
        Ok(Plan::Filesystem(FilesystemPlan {
            directory: match &self.directory {
                Some(path) => DirectoryPlace::Given(path.clone()),
                None => DirectoryPlace::Temporary,
            },
            key: self.key.clone(),
            ports: ports.to_vec(),
            clients,
            options: self.lines(),
        }))
    }

    fn add_onion(&self, ports: &[OnionPort], clients: &[AuthorizedClient]) -> AddOnion {
        let mut command = AddOnion::new(ports.iter().cloned());
        for client in clients {
            command = command.client(client.public_key);
        }
        if let Some(key) = &self.key {
            command = command.key(key.clone());
        }
        if let Some(limit) = self.max_streams {
            command = command.max_streams(limit);
        }
        if let Some(enabled) = self.pow_defenses {
            command = command.pow_defenses(enabled);
        }
        if let Some(rate) = self.pow_queue_rate {
            command = command.pow_queue_rate(rate);
        }
        if let Some(burst) = self.pow_queue_burst {
            command = command.pow_queue_burst(burst);
        }
        if self.discard_key {
            command = command.discard_key();
        }
        if self.detach {
            command = command.detach();
        }
        if self.non_anonymous {
            command = command.non_anonymous();
        }
        if self.close_circuit {
            command = command.max_streams_close_circuit();
        }
        command
    }

    /// Returns the configuration lines besides those of the directory and the ports.
    fn lines(&self) -> Vec<(String, String)> {
        let flag = |enabled: bool| u8::from(enabled).to_string();
        [
            ("HiddenServiceMaxStreams", self.max_streams.map(|limit| limit.to_string())),
            ("HiddenServiceMaxStreamsCloseCircuit", self.close_circuit.then(|| flag(true))),
            ("HiddenServicePoWDefensesEnabled", self.pow_defenses.map(flag)),
            ("HiddenServicePoWQueueRate", self.pow_queue_rate.map(|rate| rate.to_string())),
            ("HiddenServicePoWQueueBurst", self.pow_queue_burst.map(|burst| burst.to_string())),
            ("HiddenServiceExportCircuitID", self.export_circuit_id.then(|| "haproxy".to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .chain(self.options.iter().cloned())
        .collect()
    }

    /// Refuses a single onion service on a tor that is not in that mode. tor itself refuses only
    /// ephemeral ones.
    pub(super) fn check_mode(&self, controller: &Controller) -> Result<()> {
        if self.ephemeral || !self.non_anonymous {
            return Ok(());
        }
        match is_set(controller, NON_ANONYMOUS)? {
            Some(true) | None => Ok(()),
            Some(false) => {
                let problem = "needs a tor that was started with HiddenServiceNonAnonymousMode";
                Err(InvalidInput::new("non_anonymous", problem).into())
            }
        }
    }
}

/// Returns whether an option of tor is 1; `None` if a filter refuses the query.
pub(super) fn is_set(controller: &Controller, option: &str) -> Result<Option<bool>> {
    let conf = if_allowed(controller.get_conf([option]))?;
    let is_one = |conf: ConfMap| {
        let value = conf.get(option).and_then(|value| value.first());
        value.is_some_and(|value| value.trim() == "1")
    };
    Ok(conf.map(is_one))
}

/// Refuses a line that would not belong to this service: `HiddenServiceDir` starts another one.
fn check_option(name: &str, value: &str) -> Result<(), InvalidInput> {
    // tor accepts abbreviated option names.
    let is_of_tor = ["HiddenServiceDir", "HiddenServicePort", "HiddenServiceOptions"]
        .iter()
        .any(|own| starts_without_case(own, name));
    if !is_service_option(name) || is_of_tor {
        return Err(InvalidInput::new("option", "is not an additional option of an onion service"));
    }
    if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(InvalidInput::new("option", "has a line break or NUL in its value"));
    }
    Ok(())
}

impl fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceOptions")
            .field("ephemeral", &self.ephemeral)
            .field("directory", &self.directory)
            .field("key", &self.key)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{ServiceOptions, check_option};

    #[test]
    fn only_options_of_a_service_are_accepted() {
        for name in ["HiddenServiceAllowUnknownPorts", "hiddenserviceNovelty"] {
            assert!(check_option(name, "1").is_ok(), "{name}");
        }
        for name in [
            "HiddenServiceDir",
            "hiddenservicedi",
            "HiddenServicePort",
            "HiddenService",
            // These apply to all services.
            "HiddenServiceStatistics",
            "hiddenservicesinglehopmode",
            "HiddenServiceNonAnon",
            "Nickname",
            "",
            "HiddenServiceX Nickname",
        ] {
            assert_eq!(
                check_option(name, "1").unwrap_err().to_string(),
                "invalid argument \"option\": is not an additional option of an onion service",
                "{name}"
            );
        }
        assert_eq!(
            check_option("HiddenServiceX", "1\nNickname evil").unwrap_err().to_string(),
            "invalid argument \"option\": has a line break or NUL in its value"
        );
    }

    #[test]
    fn a_filesystem_service_has_its_options_as_lines() {
        let options = ServiceOptions {
            max_streams: Some(5),
            close_circuit: true,
            pow_defenses: Some(true),
            pow_queue_rate: Some(1),
            pow_queue_burst: Some(2),
            export_circuit_id: true,
            options: vec![("HiddenServiceNumIntroductionPoints".to_owned(), "4".to_owned())],
            ..ServiceOptions::default()
        };
        let lines: Vec<_> =
            options.lines().iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(
            lines,
            [
                "HiddenServiceMaxStreams 5",
                "HiddenServiceMaxStreamsCloseCircuit 1",
                "HiddenServicePoWDefensesEnabled 1",
                "HiddenServicePoWQueueRate 1",
                "HiddenServicePoWQueueBurst 2",
                "HiddenServiceExportCircuitID haproxy",
                "HiddenServiceNumIntroductionPoints 4",
            ]
        );
    }
}
