//! The onion services of a tor.

use std::fs;
use std::path::Path;

use torcon::Tor;
use torcon::config::ConfiguredService;
use torcon::names::OnionAddress;

use crate::model::Service;
use crate::text::printable;

/// Returns the ephemeral services of this connection, the detached ones, and those of the
/// configuration. tor does not report the ephemeral services of other controllers.
pub(super) fn read(tor: &Tor) -> Vec<Service> {
    let controller = tor.controller();
    let ephemeral = |addresses: torcon::Result<Vec<OnionAddress>>, origin: &str| {
        let service = |address: OnionAddress| Service {
            address: Some(address.service_id().to_owned()),
            origin: origin.to_owned(),
            ports: Vec::new(),
        };
        addresses.unwrap_or_default().into_iter().map(service).collect::<Vec<_>>()
    };
    let mut services = ephemeral(controller.onions(), "ephemeral, of this connection");
    services.extend(ephemeral(controller.detached_onions(), "ephemeral, detached"));
    let configured = tor.config().onion_services().unwrap_or_default();
    services.extend(configured.iter().map(of_configuration));
    services
}

fn of_configuration(service: &ConfiguredService) -> Service {
    let directory = service.directory();
    let ports = service.ports();
    Service {
        address: address_in(directory),
        origin: printable(format!("configured, {}", directory.display())),
        ports: ports.iter().map(|port| port.virtual_port().to_string()).collect(),
    }
}

/// Reads the address of a service from its directory, which usually only tor's user may read.
fn address_in(directory: &Path) -> Option<String> {
    let name = fs::read_to_string(directory.join("hostname")).ok()?;
    let address: OnionAddress = name.trim().parse().ok()?;
    Some(address.service_id().to_owned())
}
