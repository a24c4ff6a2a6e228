//! The descriptors of relays: their exit policies and families.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::spec::ExitTarget;
use crate::descriptor::{
    DescriptorIndex, Microdescriptor, Microdescriptors, RouterStatus, ServerDescriptor,
    ServerDescriptors,
};
use crate::names::{Fingerprint, RelaySpec};

/// An address for which a summary of an exit policy speaks.
const PUBLIC_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));

/// tor's descriptors: microdescriptors, or server descriptors if it uses these.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptors {
    micro: DescriptorIndex<Microdescriptor>,
    server: HashMap<Fingerprint, ServerDescriptor>,
}

/// The descriptor of one relay.
#[derive(Clone, Copy, Debug)]
pub(super) enum RelayDescriptor<'a> {
    Micro(&'a Microdescriptor),
    Server(&'a ServerDescriptor),
}

impl Descriptors {
    /// Leaves out descriptors that cannot be parsed.
    pub(super) fn of_micro(list: &Microdescriptors) -> Self {
        Self { micro: DescriptorIndex::new(list), server: HashMap::new() }
    }

    /// Leaves out descriptors that cannot be parsed.
    pub(super) fn of_server(list: &ServerDescriptors) -> Self {
        let list = list.iter().flatten();
        let server = list.filter_map(|descriptor| Some((descriptor.fingerprint()?, descriptor)));
        Self { micro: DescriptorIndex::default(), server: server.collect() }
    }

    pub(super) fn get(&self, relay: &RouterStatus) -> Option<RelayDescriptor<'_>> {
        let server = || self.server.get(&relay.identity()).map(RelayDescriptor::Server);
        self.micro.of(relay).map(RelayDescriptor::Micro).or_else(server)
    }
}

impl RelayDescriptor<'_> {
    /// Returns whether the relay, as an exit, allows connections to a target.
    pub(super) fn allows(self, relay: &RouterStatus, target: ExitTarget) -> bool {
        let ExitTarget { address, port } = target;
        if let (None, Some(summary)) = (address, relay.exit_ports()) {
            return summary.allows(PUBLIC_ADDRESS, port);
        }
        let address = address.unwrap_or(PUBLIC_ADDRESS);
        match self {
            Self::Micro(descriptor) => descriptor.allows_exit_to(address, port),
            Self::Server(descriptor) => descriptor.allows_exit_to(address, port),
        }
    }

    fn family(self) -> Vec<RelaySpec> {
        match self {
            Self::Micro(descriptor) => descriptor.family().collect(),
            Self::Server(descriptor) => descriptor.family().collect(),
        }
    }

    fn family_ids(self) -> Vec<Cow<'static, str>> {
        match self {
            Self::Micro(descriptor) => {
                descriptor.family_ids().map(|id| Cow::Owned(id.into_owned())).collect()
            }
            Self::Server(_) => Vec::new(),
        }
    }
}

/// The families of one relay.
#[derive(Clone, Debug)]
pub(super) struct Family {
    ids: Vec<Cow<'static, str>>,
    declared: Vec<RelaySpec>,
}

impl Family {
    pub(super) fn of(descriptor: RelayDescriptor<'_>) -> Self {
        Self { ids: descriptor.family_ids(), declared: descriptor.family() }
    }

    /// Returns whether two relays are in one family: both have the ID of a certified family, or each
    /// declares the other.
    pub(super) fn is_shared(
        &self,
        relay: &RouterStatus,
        other: &Self,
        peer: &RouterStatus,
    ) -> bool {
        self.ids.iter().any(|id| other.ids.contains(id))
            || self.declares(peer) && other.declares(relay)
    }

    fn declares(&self, relay: &RouterStatus) -> bool {
        self.declared.iter().any(|declared| names(declared, relay))
    }
}

/// Returns whether a name is that of a relay.
pub(super) fn names(name: &RelaySpec, relay: &RouterStatus) -> bool {
    match (name.fingerprint(), name.nickname()) {
        (Some(fingerprint), _) => fingerprint == relay.identity(),
        (None, Some(nickname)) => nickname.as_str().eq_ignore_ascii_case(relay.nickname().as_str()),
        (None, None) => false,
    }
}
