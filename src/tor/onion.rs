//! Onion services on a `Tor`.

use super::Tor;
use super::global::shared;
use crate::onion::{KeepAlive, OnionEndpoint, TorSource};

impl OnionEndpoint {
    /// Returns an endpoint on a tor. The service ends with that tor, at the latest.
    pub fn with_tor(tor: &Tor, port: u16) -> Self {
        Self::with_controller(tor.controller(), port)
    }

    /// Returns an endpoint on the tor that all parts of this program share; see [`Tor::global`]. The
    /// listener keeps that tor running.
    pub fn global_tor(port: u16) -> Self {
        let share = |launcher, must_match| {
            let tor = shared(launcher, must_match)?;
            let controller = tor.controller().clone();
            let keep: KeepAlive = tor;
            Ok((controller, keep))
        };
        Self::new(TorSource::Shared(Box::new(share)), port)
    }
}

impl Tor {
    /// Returns an endpoint of an onion service on this tor, as [`OnionEndpoint::with_tor`] does.
    pub fn onion_endpoint(&self, port: u16) -> OnionEndpoint {
        OnionEndpoint::with_tor(self, port)
    }
}
