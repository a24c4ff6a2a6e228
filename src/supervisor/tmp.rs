//! Parts that the rows below do not have yet.
use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::names::OnionAddress;
pub(crate) trait SupervisedService: Send + Sync {
    fn address(&self) -> OnionAddress;
    fn restore(&self, controller: &Controller) -> Result<bool>;
    fn end(&self, reason: &Error);
}
