//! Threads.

use std::io;

pub use shuttle::thread::{
    JoinHandle, Scope, ScopedJoinHandle, Thread, ThreadId, current, park, scope, sleep, spawn,
    yield_now,
};
pub use std::thread::{Result, panicking};

#[derive(Debug, Default)]
pub struct Builder {
    builder: shuttle::thread::Builder,
}

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn name(self, name: String) -> Self {
        Self { builder: self.builder.name(name) }
    }

    /// All threads of a model have stacks of one size.
    pub fn stack_size(self, _size: usize) -> Self {
        self
    }

    pub fn spawn<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.builder.spawn(body)
    }

    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Ok(scope.spawn(body))
    }
}
