//! The options of a service, and their form as `ADD_ONION` and as lines of the configuration.

use std::fmt;
use std::path::PathBuf;

use super::OnionEndpoint;
use crate::command::{AddOnion, Command, ConfMap};
use crate::controller::{Controller, if_allowed};
use crate::error::{InvalidInput, Result};
use crate::names::{ClientAuthPublicKey, OnionKey, OnionPort, starts_without_case};
use crate::onion::client_auth::{AuthorizedClient, WantedClient, prepare};
use crate::onion::directory::DirectoryPlace;
use crate::onion::filesystem::FilesystemPlan;

const NON_ANONYMOUS: &str = "HiddenServiceNonAnonymousMode";

/// Options of the service.
impl OnionEndpoint {
    /// Adds the service by `ADD_ONION`: it has no directory and ends with the control connection.
    /// This is the default on a running tor. On a tor that this program launched, the default is a
    /// [temporary directory](Self::temporary_dir).
    ///
    /// By default the command is `ADD_ONION ED25519-V3:KEY Port=80,17600` with a key that torcon
    /// generates, without flags: the service can then be removed even if tor's answer is lost. If a
    /// filter in front of tor refuses this, the command is `ADD_ONION NEW:ED25519-V3 Port=80,17600`,
    /// and a service whose answer is lost stays in tor until the connection ends. A listener on
    /// 127.0.0.1 is named by its port alone. For a filter that allows the address only,
    /// [`reached_at`](Self::reached_at) gives it.
    pub fn ephemeral(mut self) -> Self {
        self.service.ephemeral = true;
        self
    }

    /// Sets the directory of the service, which holds its keys.
    ///
    /// A missing directory is created with mode 0700 (its parent must exist). It is not deleted when
    /// the service ends. It must belong to tor's user and be private. If tor already has a service of
    /// this directory, this service replaces it; when it ends, a service of tor's configuration files
    /// is restored, and one that a killed program left is not. A directory that another running
    /// program uses is refused. The default is no directory: see [`ephemeral`](Self::ephemeral).
    #[doc(alias = "create_hidden_service")]
    #[doc(alias = "create_filesystem_onion_service")]
    pub fn hidden_service_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.service.directory = Some(path.into());
        self
    }

    /// Uses a temporary directory, and so a new address each time. tor must see the same file system.
    /// This is the default on a tor that this program launched.
    pub fn temporary_dir(mut self) -> Self {
        self.service.temporary = true;
        self
    }

    /// Sets the key, and with it the address. The default is the key in the directory, or a new one.
    pub fn key(mut self, key: OnionKey) -> Self {
        self.service.key = Some(key);
        self
    }

    /// Enables client authorization and authorizes a client, for which a key pair is generated;
    /// [`OnionListener::clients`](crate::onion::OnionListener::clients) returns it. The name has 1 to
    /// 16 letters, digits, `+`, `-` or `_`. The default is no client authorization, or the clients in
    /// the given directory.
    ///
    /// A client of this name in the given directory keeps its key. Clients in the directory that are
    /// not named lose their authorization.
    #[doc(alias = "create_authenticated_onion_service")]
    #[doc(alias = "stealth_auth")]
    pub fn authorize_client(mut self, name: impl Into<String>) -> Self {
        self.service.clients.push(WantedClient { name: name.into(), public_key: None });
        self
    }

    /// Enables client authorization and authorizes a client by its public key. The default is no
    /// client authorization.
    pub fn authorize_client_key(
        mut self,
        name: impl Into<String>,
        public_key: ClientAuthPublicKey,
    ) -> Self {
        let public_key = Some(public_key);
        self.service.clients.push(WantedClient { name: name.into(), public_key });
        self
    }

    /// Discards the generated key (`DiscardPK`). Only for [ephemeral](Self::ephemeral) services. The
    /// default is that [`private_key`](crate::onion::OnionService::private_key) returns it.
    pub fn discard_key(mut self) -> Self {
        self.service.discard_key = true;
        self
    }

    /// Keeps the service in tor when the listener is closed or dropped (`Detach`), until tor ends or
    /// a controller [deletes](Controller::del_onion) it. Only for [ephemeral](Self::ephemeral)
    /// services. The default is that the service ends.
    pub fn detach(mut self) -> Self {
        self.service.detach = true;
        self
    }

    /// Makes a single onion service: it does not hide its location, and is reached over fewer relays.
    ///
    /// This is a mode of the whole tor, `HiddenServiceNonAnonymousMode`: a tor that is launched for
    /// the service is put into it, unless [`launcher`](Self::launcher) is called; a running tor must
    /// have been started in it. The default is an anonymous service.
    pub fn non_anonymous(mut self) -> Self {
        self.service.non_anonymous = true;
        self
    }

    /// Sets how many streams a rendezvous circuit may have at a time (0 to 65535). The default is 0:
    /// no limit.
    pub fn max_streams(mut self, limit: u16) -> Self {
        self.service.max_streams = Some(limit);
        self
    }

    /// Closes a circuit that exceeds [`max_streams`](Self::max_streams). The default is that only the
    /// stream is refused.
    pub fn max_streams_close_circuit(mut self) -> Self {
        self.service.close_circuit = true;
        self
    }

    /// Enables or disables the proof-of-work defense, by which clients must solve a puzzle when the
    /// service is under load. The default is tor's own: disabled.
    ///
    /// An [ephemeral](Self::ephemeral) service needs tor 0.4.9.2 for this, another one 0.4.8.1.
    pub fn pow_defenses(mut self, enabled: bool) -> Self {
        self.service.pow_defenses = Some(enabled);
        self
    }

    /// Sets the rate of the proof-of-work queue in rendezvous requests per second. The default is
    /// tor's own: 250.
    pub fn pow_queue_rate(mut self, per_second: u32) -> Self {
        self.service.pow_queue_rate = Some(per_second);
        self
    }

    /// Sets the burst of the proof-of-work queue in rendezvous requests. The default is tor's own:
    /// 2500.
    pub fn pow_queue_burst(mut self, requests: u32) -> Self {
        self.service.pow_queue_burst = Some(requests);
        self
    }

    /// Makes tor report the circuit of each connection, for
    /// [`OnionStream::circuit_id`](crate::onion::OnionStream::circuit_id). Not for
    /// [ephemeral](Self::ephemeral) services. The default is `false`.
    ///
    /// The servers of additional [ports](Self::port) receive a PROXY protocol header, version 1.
    pub fn export_circuit_id(mut self) -> Self {
        self.service.export_circuit_id = true;
        self
    }

    /// Adds an option of the service whose name begins with `HiddenService` to tor's configuration.
    /// Not for [ephemeral](Self::ephemeral) services. The default is none.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.options.push((name.into(), value.into()));
        self
    }
}

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
        let is_said = self.ephemeral || self.temporary || self.directory.is_some();
        if !is_said {
            self.ephemeral = !launched;
            self.temporary = launched;
        }
    }

    /// Refuses contradictory options.
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
    let is_of_a_service = starts_without_case(name, "HiddenService")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // tor accepts abbreviated option names.
    let is_of_tor = ["HiddenServiceDir", "HiddenServicePort", "HiddenServiceOptions"]
        .iter()
        .any(|own| starts_without_case(own, name));
    if !is_of_a_service || is_of_tor {
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
