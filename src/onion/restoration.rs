//! Reports the restoration of a service in another tor, and its publication there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::endpoint::{OnionProgress, ProgressListener};
use super::publish::Publication;
use super::service::ServiceInner;
use crate::link::{drop_quietly, panic_text};

/// The settings of the endpoint with which the publication by another tor is awaited and reported.
#[derive(Clone)]
pub(super) struct Announcement {
    pub(super) wanted: Publication,
    pub(super) limit: Duration,
    pub(super) listener: Option<ProgressListener>,
}

impl ServiceInner {
    /// Reports on a new thread that the tor of a new connection has the service, and then its
    /// publication: the closure of the program may take any time. The thread ends with the
    /// connection.
    pub(super) fn announce(self: &Arc<Self>, generation: u64) {
        let service = Arc::clone(self);
        let thread = thread::Builder::new().name("torcon-progress".to_owned());
        let spawned = thread.spawn(move || {
            let report = AssertUnwindSafe(|| service.report_publication(generation));
            if let Err(panic) = catch_unwind(report) {
                let text = panic_text(&*panic).into_owned();
                drop_quietly(panic);
                log::error!("the progress closure of {} panicked: {text}", service.address);
            }
        });
        if let Err(error) = spawned {
            log::warn!("the publication of {} is not reported: {error}", self.address);
        }
    }

    fn report_publication(&self, generation: u64) {
        let Announcement { wanted, limit, listener } = &self.announcement;
        let report = |progress| {
            if let Some(listener) = listener {
                listener.report(progress);
            }
        };
        report(OnionProgress::Restored(self.address));
        if *wanted == Publication::None || !self.publisher.has_uploads() {
            return;
        }
        let mut report_upload = |upload| report(OnionProgress::Upload(upload));
        match self.status().wait(*wanted, *limit, Some(generation), Some(&mut report_upload)) {
            Ok(()) => {
                log::info!("{} is published again", self.address);
                report(OnionProgress::Published(self.address));
            }
            Err(error) if self.status().is_current(generation) => {
                log::warn!("{} is not published again yet: {error}", self.address);
            }
            Err(_) => {}
        }
    }
}
