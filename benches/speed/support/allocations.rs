//! The allocator of the bench: that of the system, with a count that can be switched on.
#![allow(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; each call is passed on unchanged"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Off during measurements of time, which the shared counter would slow down.
static ENABLED: AtomicBool = AtomicBool::new(false);

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Returns how often the threads of this process allocate while `work` runs.
pub(crate) fn count(work: impl FnOnce()) -> usize {
    CALLS.store(0, Ordering::Relaxed);
    ENABLED.store(true, Ordering::SeqCst);
    work();
    ENABLED.store(false, Ordering::SeqCst);
    CALLS.load(Ordering::Relaxed)
}

struct Counting;

impl Counting {
    fn add() {
        if ENABLED.load(Ordering::Relaxed) {
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: the arguments and results are those of `System`, which is a correct allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::add();
        // SAFETY: `block` is of `System`; the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is of `System`; the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}
