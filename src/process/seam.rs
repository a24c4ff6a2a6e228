//! Stands for the controller until it is there.
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{ConnectAttempt, ConnectError, ConnectProblem, Disconnect, Result};

#[derive(Clone, Debug)]
pub struct Controller;
#[derive(Clone, Copy, Debug)]
pub struct ListenerId;
#[derive(Clone, Debug)]
pub struct Endpoint;
#[derive(Debug)]
pub struct StatusEvent;
#[derive(Debug)]
pub struct Bootstrap {
    pub progress: u8,
}
#[derive(Debug)]
pub struct ConnectOptions;

impl Endpoint {
    pub fn unix(_: impl Into<PathBuf>) -> Self {
        Self
    }
}
impl From<SocketAddr> for Endpoint {
    fn from(_: SocketAddr) -> Self {
        Self
    }
}
impl ConnectOptions {
    pub fn new() -> Self {
        Self
    }
    pub fn timeout(self, _: Duration) -> Self {
        self
    }
    pub fn connect(self, _: Endpoint) -> Result<Controller> {
        let source = std::sync::Arc::new(std::io::Error::from(std::io::ErrorKind::NotFound));
        Err(ConnectError::new(vec![ConnectAttempt::new("x", ConnectProblem::Io(source))]).into())
    }
}
impl Controller {
    pub fn on_disconnect(&self, _: impl FnOnce(&Disconnect) + Send + 'static) {}
    pub fn on(&self, _: impl FnMut(&StatusEvent) + Send + 'static) -> Result<ListenerId> {
        Ok(ListenerId)
    }
    pub fn remove_event_listener(&self, _: ListenerId) -> Result<()> {
        Ok(())
    }
    pub fn bootstrap_phase(&self) -> Result<Bootstrap> {
        Ok(Bootstrap { progress: 0 })
    }
    pub fn take_ownership(&self) -> Result<()> {
        Ok(())
    }
    pub fn own(&self, _: u32) {}
    pub fn reset_conf<const N: usize>(&self, _: [&str; N]) -> Result<()> {
        Ok(())
    }
    pub fn is_alive(&self) -> bool {
        true
    }
    pub fn closed_reason(&self) -> Option<Disconnect> {
        None
    }
    pub fn wait_closed(&self, _: Duration) -> Result<()> {
        Ok(())
    }
    pub fn close(&self) {}
    pub fn with_timeout(&self, _: Duration) -> Self {
        self.clone()
    }
    pub fn shutdown_signal(&self) -> Result<()> {
        Ok(())
    }
}
impl super::Progress {
    pub(super) fn from_status(_: &StatusEvent) -> Option<Self> {
        None
    }
}
impl From<&Bootstrap> for super::Progress {
    fn from(b: &Bootstrap) -> Self {
        Self { percent: b.progress, ..Self::default() }
    }
}
