//! tor as a relay: its fingerprint and addresses, its statistics, its exit policy.

mod status;

mod exit_policy;
