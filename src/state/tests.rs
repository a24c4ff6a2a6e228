//! The fake tor of the tests of a state.

pub(super) mod fake_tor;
