//! Adds the service of an endpoint to its tor, and waits for its publication.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::plan::{Plan, is_set};
use super::progress::ProgressListener;
use super::tor_source::obtain;
use super::{OnionEndpoint, OnionProgress};
use crate::config::Identity;
use crate::controller::Controller;
use crate::error::{Error, InvalidInput, OnionError, OnionProblem, Result, Wait};
use crate::names::{OnionPort, PortTarget};
use crate::onion::ephemeral::EphemeralService;
use crate::onion::filesystem::FilesystemService;
use crate::onion::local::LocalSocket;
use crate::onion::publish::{EventNeeds, Publication, Publisher};
use crate::onion::registration::{AddedService, Registration};
use crate::onion::restoration::Announcement;
use crate::onion::service::{OnionService, ServiceInner};
use crate::onion::status::AtDisconnection;

impl OnionEndpoint {
    pub(super) fn add(
        self,
        target: PortTarget,
        local: Option<&LocalSocket>,
        end: Option<UnixStream>,
    ) -> Result<OnionService> {
        let mut ports = ports_to(self.port, target, &self.more_ports)?;
        // Invalid input must fail before a tor is launched.
        let mut plan = self.service.plan(&ports)?;
        let Self { source, connect, launcher, on_progress, service, more_ports, cancel, .. } = self;
        let check_canceled =
            || cancel.as_ref().map_or(Ok(()), |token| token.check(Wait::Publication));
        let (controller, lease, register) = obtain(
            source,
            connect,
            launcher,
            on_progress.as_ref(),
            service.non_anonymous,
            cancel.as_ref(),
        )?;
        service.check_mode(&controller)?;
        if let Some(local) = local.filter(|local| local.is_file()) {
            local.admit(Identity::read(&controller)?.user.unwrap_or_default());
        }
        let needs_other_target = self.reached_at.is_none() && !controller.is_on_this_machine();
        if let Some(local) = local.filter(|_| needs_other_target) {
            ports = ports_to(self.port, reached(&controller, local.address())?, &more_ports)?;
            plan = service.plan(&ports)?;
        }
        // Subscribe before the service is added, so that no event is missed.
        let publication = self.publication.unwrap_or_default();
        let needs = EventNeeds {
            uploads: self.publication.is_some_and(|wanted| wanted != Publication::None),
            changes: matches!(plan, Plan::Filesystem(_)),
            at_disconnection: match register {
                Some(_) => AtDisconnection::AwaitSupervisor,
                None if service.detach => AtDisconnection::Outlive,
                None => AtDisconnection::End,
            },
        };
        let publisher = Publisher::start(&controller, needs, end)?;
        check_canceled()?;
        let added = match plan {
            Plan::Ephemeral { command, clients } => {
                let (service, added) = EphemeralService::add(&controller, command, service.detach)?;
                let registration = Registration::Ephemeral(service);
                AddedService { registration, address: added.address, key: added.key, clients }
            }
            Plan::Filesystem(plan) => FilesystemService::add(&controller, plan)?,
        };
        let announcement = Announcement {
            wanted: publication,
            limit: self.timeout,
            listener: on_progress.clone().filter(|_| register.is_some()),
        };
        let service = ServiceInner::new(
            controller,
            lease,
            publisher,
            added,
            ports,
            self.monitoring,
            announcement,
        );
        let service = OnionService::new(service, cancel.as_ref())?;
        if let Some(register) = register {
            register(service.supervised());
        }
        if let Some(listener) = &on_progress {
            listener.report(OnionProgress::Added(service.onion_address()));
        }
        let published =
            await_publication(&service, publication, self.timeout, on_progress.as_ref());
        let published = check_canceled().map_err(Error::from).and(published);
        match published {
            // At least one directory has the descriptor, so some clients can reach the service.
            Err(Error::Timeout(_)) if service.is_uploaded() => {
                log::warn!("an onion service was not published on every directory in time");
            }
            Err(error) => {
                service.take_back();
                return Err(error);
            }
            Ok(is_published) => {
                if let Some(listener) = on_progress.filter(|_| is_published) {
                    listener.report(OnionProgress::Published(service.onion_address()));
                }
            }
        }
        service.keep();
        Ok(service)
    }
}

fn ports_to(
    port: u16,
    target: PortTarget,
    more_ports: &[OnionPort],
) -> Result<Vec<OnionPort>, InvalidInput> {
    let mut ports = vec![OnionPort::new(port, target)];
    for port in more_ports {
        // tor would choose it twice as often.
        if ports.contains(port) {
            return Err(InvalidInput::new("port", "is given twice with the same target"));
        }
        ports.push(port.clone());
    }
    Ok(ports)
}

/// Waits for the publication. Returns `false` if tor does not report it, or the caller does not
/// want it.
fn await_publication(
    service: &OnionService,
    wanted: Publication,
    limit: Duration,
    on_progress: Option<&ProgressListener>,
) -> Result<bool> {
    if wanted == Publication::None {
        return Ok(false);
    }
    if !service.has_uploads() {
        log::warn!(
            "HS_DESC events were refused, so the publication of an onion service cannot be waited for"
        );
        return Ok(false);
    }
    // With the network disabled tor sends no event at all.
    if is_set(&service.controller(), "DisableNetwork")? == Some(true) {
        return Err(OnionError::new(OnionProblem::NetworkDisabled).into());
    }
    let published = match on_progress {
        None => service.publish(wanted, limit, None),
        Some(listener) => {
            let mut report = |upload| listener.report(OnionProgress::Upload(upload));
            service.publish(wanted, limit, Some(&mut report))
        }
    };
    published.map(|()| true)
}

/// Returns the target at which a tor on another machine reaches a local listener.
fn reached(controller: &Controller, listener: &PortTarget) -> Result<PortTarget> {
    controller.target_of_listener(listener).ok_or_else(|| {
        let problem = format!(
            "is {listener}, which the tor at {} on another machine cannot reach: listen on an \
             address that it reaches, or name one with OnionEndpoint::reached_at",
            controller.endpoint()
        );
        InvalidInput::new("local address", problem).into()
    })
}
