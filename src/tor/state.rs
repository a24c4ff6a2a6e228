//! The state of a `Tor`.

use super::Tor;
use crate::clock::deadline_after;
use crate::error::Result;
use crate::state::State;

impl Tor {
    /// Returns a live picture of this tor. The first call makes it; later calls return the same one.
    ///
    /// The first call sends what [`State::new`] does, later ones nothing. Blocks for at most the
    /// controller's [time limit](crate::Controller::with_timeout), also while another thread makes
    /// the state.
    ///
    /// # Errors
    ///
    /// Those of [`State::new`]; the next call tries again.
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
        let mut state = self.state.lock_before("GETINFO", deadline, limit)?;
        if let Some(state) = &*state {
            return Ok(state.clone());
        }
        let made = State::new_before(&self.controller, deadline)?;
        *state = Some(made.clone());
        Ok(made)
    }
}
