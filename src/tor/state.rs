//! The state of a tor.

use super::Tor;
use crate::error::Result;
use crate::link::lock_within;
use crate::state::State;

impl Tor {
    /// Returns what this tor is doing, kept up to date by its events. It is made when it is first
    /// asked for; later calls return the same.
    ///
    /// The first call sends what [`State::new`] sends, later ones nothing.
    ///
    /// Blocks the current thread until the state is made, by this call or by another thread's, for
    /// at most three times the [time limit](crate::Controller::with_timeout) of the controller; for
    /// more if tor refuses a part, see [`State::new`].
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
        let mut state = lock_within(&self.state, "GETINFO", self.controller.timeout())?;
        if let Some(state) = &*state {
            return Ok(state.clone());
        }
        let made = State::new(&self.controller)?;
        *state = Some(made.clone());
        Ok(made)
    }
}
