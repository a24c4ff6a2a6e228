//! What is reported after a service was moved to another tor.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::endpoint::{OnionProgress, ProgressListener};
use super::publish::Publication;
use super::service::ServiceInner;

/// How the publication on another tor is awaited and reported: as the endpoint's own.
#[derive(Clone)]
pub(super) struct Announcement {
    pub(super) wanted: Publication,
    pub(super) limit: Duration,
    pub(super) listener: Option<ProgressListener>,
}

impl ServiceInner {
    /// Reports that the tor of a new connection has the service, and its publication, on a thread of
    /// its own, since the closure of the program may take any time. The thread ends with the
    /// connection.
    pub(super) fn announce(self: &Arc<Self>, generation: u64) {
        let service = Arc::clone(self);
        let thread = thread::Builder::new().name("torcon-progress".to_owned());
        let spawned = thread.spawn(move || service.report_publication(generation));
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
        let mut tell = |upload| report(OnionProgress::Upload(upload));
        match self.status().wait(*wanted, *limit, Some(generation), Some(&mut tell)) {
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
