//! The description of a relay, for `/info`.

use std::net::IpAddr;

use torcon::Controller;
use torcon::descriptor::{RouterStatus, ServerDescriptor};
use torcon::names::{Fingerprint, Nickname};

use crate::execution::Failure;

/// Describes a relay, given by fingerprint or nickname, or else the relay that this tor is.
pub(crate) fn describe(
    controller: &Controller,
    name: Option<&str>,
    line: &dyn Fn(&str),
) -> Result<(), Failure> {
    let status = match name {
        Some(name) => find(controller, name)?,
        None => match controller.fingerprint()? {
            Some(fingerprint) => controller.relay_status(fingerprint)?,
            None => {
                let problem = "this tor is not a relay; name one: /info RELAY";
                return Err(Failure::Problem(problem.to_owned()));
            }
        },
    };
    let Some(status) = status else {
        let shown = name.unwrap_or("of this tor");
        return Err(Failure::Problem(format!("the relay {shown} is not in the consensus")));
    };
    show_status(controller, &status, line);
    // A client has descriptors of relays only if it was configured to fetch them.
    if let Ok(Some(descriptor)) = controller.server_descriptor(status.identity()) {
        show_descriptor(&descriptor, line);
    }
    Ok(())
}

fn find(controller: &Controller, name: &str) -> Result<Option<RouterStatus>, Failure> {
    if let Ok(fingerprint) = name.parse::<Fingerprint>() {
        return Ok(controller.relay_status(fingerprint)?);
    }
    let nickname = name.parse::<Nickname>().map_err(|_| {
        Failure::Problem(format!(
            "{name:?} is neither a fingerprint of 40 hexadecimal digits nor a nickname"
        ))
    })?;
    Ok(controller.relay_status_by_name(nickname)?)
}

fn show_status(controller: &Controller, status: &RouterStatus, line: &dyn Fn(&str)) {
    let row = |name: &str, value: String| line(&format!("{name:>12}  {value}"));
    row("nickname", status.nickname().to_string());
    row("fingerprint", status.identity().to_string());
    for address in status.or_addresses() {
        row("address", address.to_string());
    }
    // A tor without GeoIP data refuses the query.
    if let Ok(Some(country)) = controller.country(IpAddr::V4(status.address())) {
        row("country", country.to_string());
    }
    if let Some(version) = status.version() {
        row("version", version.to_string());
    }
    let flags: Vec<_> = status.flags().map(|flag| flag.to_string()).collect();
    row("flags", flags.join(" "));
    if let Some(bandwidth) = status.bandwidth() {
        row("bandwidth", format!("{bandwidth} kB/s"));
    }
    let microdescriptor = controller.microdescriptor(status.identity()).ok().flatten();
    if let Some(policy) = microdescriptor.and_then(|descriptor| descriptor.exit_ports()) {
        row("exit ports", policy.to_string());
    }
}

fn show_descriptor(descriptor: &ServerDescriptor, line: &dyn Fn(&str)) {
    let row = |name: &str, value: String| line(&format!("{name:>12}  {value}"));
    if let Some(platform) = descriptor.platform() {
        row("platform", platform.into_owned());
    }
    if let Some(uptime) = descriptor.uptime() {
        row("uptime", format!("{uptime:?}"));
    }
    if let Some(contact) = descriptor.contact() {
        row("contact", contact.into_owned());
    }
}
