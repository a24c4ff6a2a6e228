pub(crate) mod allocations;
pub(crate) mod counts;
pub(crate) mod memory;
pub(crate) mod race;
pub(crate) mod raw;
pub(crate) mod real_tor;
pub(crate) mod replay;
pub(crate) mod report;
