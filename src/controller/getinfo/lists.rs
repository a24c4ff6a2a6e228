//! What tor is doing now: circuits, streams, connections, guards and mappings.

use crate::controller::Controller;
use crate::error::Result;
use crate::event::{CircEvent, OrConnEvent, StreamEvent};
use crate::info::{AddressMapping, EntryGuard, MappingOrigin};

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns tor's circuits, each as the event that would tell of it.
    ///
    /// Sends `GETINFO circuit-status`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for circuit in controller.circuit_status()? {
    ///     println!("{} {}", circuit.id, circuit.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn circuit_status(&self) -> Result<Vec<CircEvent>> {
        self.read_info("circuit-status", CircEvent::read_status)
    }

    /// Returns tor's streams, each as an event with its state, circuit and target, which is all
    /// that tor tells. A stream that waits for a controller is told as a new one.
    ///
    /// Sends `GETINFO stream-status`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn stream_status(&self) -> Result<Vec<StreamEvent>> {
        self.read_info("stream-status", StreamEvent::read_status)
    }

    /// Returns tor's connections to relays, each as an event with its peer and state.
    ///
    /// Sends `GETINFO orconn-status`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn orconn_status(&self) -> Result<Vec<OrConnEvent>> {
        self.read_info("orconn-status", OrConnEvent::read_status)
    }

    /// Returns the guards through which tor enters the network.
    ///
    /// Sends `GETINFO entry-guards`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn entry_guards(&self) -> Result<Vec<EntryGuard>> {
        self.read_info("entry-guards", EntryGuard::read_list)
    }

    /// Returns the names and addresses that stand for others: those of the configuration, those
    /// that tor remembers from resolving, and those of [`map_address`](Self::map_address).
    ///
    /// Sends `GETINFO address-mappings/all`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn address_mappings(&self) -> Result<Vec<AddressMapping>> {
        const KEY: &str = "address-mappings/all";
        self.read_info(KEY, |answer| AddressMapping::read_list(KEY, answer))
    }

    /// Returns those of [these](Self::address_mappings) that come from one place.
    ///
    /// Sends `GETINFO address-mappings/origin`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor knows no such place; otherwise those of
    /// [`circuit_status`](Self::circuit_status).
    pub fn address_mappings_from(&self, origin: &MappingOrigin) -> Result<Vec<AddressMapping>> {
        let key = format!("address-mappings/{}", origin.as_str());
        self.read_info(&key, |answer| AddressMapping::read_list(&key, answer))
    }
}
