//! Restores what a program set up through its supervisor on a new connection, and keeps it there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parts::in_parallel;
use super::shared::{Shared, stopped};
use super::status::{SupervisedPart, SupervisorStatus, UnrestoredPart};
use super::subscription::Subscription;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::{Disconnect, Error, Result};

/// The pause before parts that could not be restored are tried again. It doubles up to the interval
/// of the checks.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The pause between two corrections of options that others change.
const CORRECTION_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Restorer<'a> {
    shared: &'a Arc<Shared>,
    controller: Controller,
    generation: u64,
    /// The time limit of each part of a restore.
    limit: Duration,
    unrestored: Vec<UnrestoredPart>,
    /// Until when options are not set again.
    corrected_until: Option<Instant>,
}

impl<'a> Restorer<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, controller: &Controller, generation: u64) -> Self {
        let limit = shared.options.restore_limit;
        let controller = controller.with_timeout(controller.timeout().min(limit));
        Self {
            shared,
            controller,
            generation,
            limit,
            unrestored: Vec::new(),
            corrected_until: None,
        }
    }

    /// Restores everything. An error means that the connection is of no use.
    pub(super) fn restore_all(&mut self) -> Result<()> {
        self.restore_options(true)?;
        self.restore_client_auths()?;
        self.restore_subscriptions()?;
        self.restore_state()?;
        self.restore_services()?;
        // tor has forgotten them if a service with a directory was added.
        self.restore_client_auths()
    }

    /// Sets the status [`Up`](SupervisorStatus::Up), and keeps everything restored until the
    /// connection has ended. Returns its reason. An error means that tor does not answer.
    pub(super) fn stay_up(&mut self) -> Result<Disconnect> {
        let since = clock::now();
        log::info!("a supervisor is connected to tor, connection {}", self.generation);
        let mut reported = self.report(since, &[]);
        let interval = self.shared.options.check_interval;
        let mut retry = FIRST_RETRY.min(interval);
        let mut checked_at = clock::now();
        loop {
            let next_check = if self.unrestored.is_empty() { interval } else { retry };
            // The events of a busy tor do not delay the next check.
            let left = next_check.saturating_sub(clock::elapsed_since(checked_at));
            let Some(tasks) = self.shared.wait_tasks(left) else { return Err(stopped()) };
            if let Some(reason) = tasks.ended {
                return Ok(reason);
            }
            let is_check = clock::elapsed_since(checked_at) >= next_check;
            if is_check {
                checked_at = clock::now();
                retry = retry.saturating_mul(2).min(interval);
            }
            match self.check(tasks.conf_changed || is_check, tasks.services || is_check) {
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => log::debug!("a check of a supervisor failed: {error}"),
                Ok(()) => {}
            }
            if self.texts() != reported {
                reported = self.report(since, &reported);
                retry = FIRST_RETRY.min(interval);
            }
        }
    }

    fn check(&mut self, options: bool, services: bool) -> Result<()> {
        if options {
            self.correct_options()?;
            self.restore_client_auths()?;
        }
        if services {
            self.restore_services()?;
        }
        let has = |parts: &[UnrestoredPart], wanted: fn(&SupervisedPart) -> bool| {
            parts.iter().any(|part| wanted(&part.part))
        };
        if has(&self.unrestored, |part| matches!(part, SupervisedPart::Events(_))) {
            self.restore_subscriptions()?;
        }
        if has(&self.unrestored, |part| matches!(part, SupervisedPart::State)) {
            self.restore_state()?;
        }
        Ok(())
    }

    /// Sets options again that others have changed. If another program does the same, the pause
    /// keeps the two from busy loops.
    fn correct_options(&mut self) -> Result<()> {
        if let Some(until) = self.corrected_until {
            let left = clock::time_left(until);
            if !left.is_zero() && !self.shared.wait_ended(left) {
                return Ok(());
            }
        }
        if self.restore_options(false)? {
            log::warn!("options that others had changed were set again");
            self.corrected_until = Some(deadline_after(CORRECTION_PAUSE));
        }
        Ok(())
    }

    fn texts(&self) -> Vec<String> {
        self.unrestored.iter().map(ToString::to_string).collect()
    }

    /// Sets the status with the parts that could not be restored, and logs those that were not
    /// logged before. Returns their texts.
    fn report(&self, since: Instant, logged: &[String]) -> Vec<String> {
        let texts = self.texts();
        for text in texts.iter().filter(|text| !logged.contains(text)) {
            log::warn!("{text}");
        }
        self.shared.set_status(SupervisorStatus::Up {
            since,
            generation: self.generation,
            unrestored: self.unrestored.clone().into(),
        });
        texts
    }

    /// Replaces the parts of one kind that could not be restored.
    fn replace(&mut self, is_kind: fn(&SupervisedPart) -> bool, found: Vec<UnrestoredPart>) {
        self.unrestored.retain(|part| !is_kind(&part.part));
        self.unrestored.extend(found);
    }

    fn deadline(&self) -> Instant {
        deadline_after(self.limit)
    }

    /// Returns whether values of others were replaced.
    fn restore_options(&mut self, is_new: bool) -> Result<bool> {
        let (deadline, settings) = (self.deadline(), &self.shared.settings);
        let restored = {
            let _sending = settings.lock("SETCONF", deadline, self.limit)?;
            if !settings.is_empty() {
                // Watch first, so that no change is missed.
                settings.watch(self.shared, &self.controller, self.generation, deadline)?;
            }
            let if_changed = self.shared.options.if_changed;
            settings.restore_options(&self.controller, is_new, if_changed, deadline)?
        };
        self.replace(|part| matches!(part, SupervisedPart::Option(_)), restored.unrestored);
        Ok(restored.has_corrected)
    }

    fn restore_client_auths(&mut self) -> Result<()> {
        let (deadline, settings) = (self.deadline(), &self.shared.settings);
        let found = {
            let _sending = settings.lock("ONION_CLIENT_AUTH_ADD", deadline, self.limit)?;
            settings.restore_client_auths(&self.controller, deadline)?
        };
        self.replace(|part| matches!(part, SupervisedPart::ClientAuth(_)), found);
        Ok(())
    }

    fn restore_subscriptions(&mut self) -> Result<()> {
        let subscriptions: Vec<Arc<Subscription>> = {
            let entries = self.shared.subscriptions.lock();
            entries.entries.iter().map(|entry| Arc::clone(&entry.subscription)).collect()
        };
        // Markers alone first: before the events of the new connection.
        let (markers, events): (Vec<_>, Vec<_>) =
            subscriptions.into_iter().partition(|subscription| subscription.kinds().is_empty());
        let mut found = Vec::new();
        for subscription in markers.into_iter().chain(events) {
            let deadline = self.deadline();
            match subscription.connect(&self.controller, self.generation, deadline) {
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => {
                    let part = SupervisedPart::Events(subscription.kinds().into());
                    found.push(UnrestoredPart { part, error });
                }
                Ok(()) => {}
            }
        }
        self.replace(|part| matches!(part, SupervisedPart::Events(_)), found);
        Ok(())
    }

    fn restore_state(&mut self) -> Result<()> {
        let outcome = {
            let kept = self.shared.lock_state(self.deadline(), self.limit)?;
            let state = kept.borrow().clone();
            state.map_or(Ok(()), |state| state.move_to(&self.controller))
        };
        let found = match outcome {
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => vec![UnrestoredPart { part: SupervisedPart::State, error }],
            Ok(()) => Vec::new(),
        };
        self.replace(|part| matches!(part, SupervisedPart::State), found);
        Ok(())
    }

    fn restore_services(&mut self) -> Result<()> {
        let stale: Vec<_> = {
            let services = self.shared.services.lock();
            let stale = services.entries.iter().filter(|entry| entry.generation != self.generation);
            stale.map(|entry| Arc::clone(&entry.service)).collect()
        };
        let outcomes = in_parallel(&stale, |service| match self.shared.is_stopping() {
            true => Err(stopped()),
            false => service.restore(&self.controller),
        });
        let mut found = Vec::new();
        for (service, outcome) in stale.iter().zip(outcomes) {
            match outcome {
                Ok(true) => self.shared.set_restored(service, self.generation),
                Ok(false) => self.shared.forget_service(service),
                Err(error) if error.is_closed() || self.shared.is_stopping() => return Err(error),
                // A service that tor is slow to add tries again on its own thread.
                Err(error) => {
                    let part = SupervisedPart::Service(service.address());
                    found.push(UnrestoredPart { part, error });
                }
            }
        }
        self.replace(|part| matches!(part, SupervisedPart::Service(_)), found);
        Ok(())
    }
}

/// Returns whether an error ends the restore: the connection has ended, or does not answer.
fn is_fatal(error: &Error) -> bool {
    error.is_closed() || matches!(error, Error::Timeout(_))
}

#[cfg(test)]
mod tests;
