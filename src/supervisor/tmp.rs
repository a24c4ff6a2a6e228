//! Parts that the rows below do not have yet.
#![allow(clippy::unnecessary_wraps, reason = "the real ones fail")]
#![allow(clippy::unused_self, reason = "the real ones use it")]
use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::names::OnionAddress;
pub(crate) trait SupervisedService: Send + Sync {
    fn address(&self) -> OnionAddress;
    fn restore(&self, controller: &Controller) -> Result<bool>;
    fn end(&self, reason: &Error);
}

impl crate::state::State {
    pub(crate) fn supervised(controller: &Controller) -> Result<Self> {
        Self::new(controller)
    }
    pub(crate) fn move_to(&self, _: &Controller) -> Result<()> {
        Ok(())
    }
    pub(crate) fn end(&self, _: &crate::error::Disconnect) {}
}
