pub(crate) mod race;
pub(crate) mod raw;
pub(crate) mod real_tor;
pub(crate) mod replay;
