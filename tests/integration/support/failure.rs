//! Tests of failures.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a closure that must panic, and returns the text of the panic.
#[track_caller]
pub(crate) fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(_) => panic!("this must fail the test"),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast_ref::<&str>().expect("the panic has a text")).to_owned(),
        },
    }
}
