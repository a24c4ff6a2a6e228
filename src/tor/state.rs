//! The state of a tor.

use super::Tor;
use crate::error::Result;
use crate::link::{deadline_after, lock_before};
use crate::state::State;

impl Tor {
    /// Returns what this tor is doing, kept up to date by its events. It is made when it is first
    /// asked for; later calls return the same.
    ///
    /// The first call sends what [`State::new`] sends, later ones nothing.
    ///
    /// Blocks the current thread until the state is made, by this call or by another thread's, for
    /// at most the [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// Those of [`State::new`]. The next call tries again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let tor = torcon::Tor::connect("127.0.0.1:9051")?;
    /// println!("{} circuits", tor.state()?.circuits().len());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "create_state")]
    pub fn state(&self) -> Result<State> {
        let limit = self.controller.timeout();
        let deadline = deadline_after(limit);
        let mut state = lock_before(&self.state, "GETINFO", deadline, limit)?;
        if let Some(state) = &*state {
            return Ok(state.clone());
        }
        let made = State::new_before(&self.controller, deadline)?;
        *state = Some(made.clone());
        Ok(made)
    }
}
