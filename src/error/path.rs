use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::names::RelayFlag;

/// The error of a path whose relays could not be chosen. Nothing was sent to build a circuit.
///
/// # Examples
///
/// ```no_run
/// use torcon::Error;
/// use torcon::error::PathProblem;
/// use torcon::state::Path;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// match state.build_circuit(Path::to("example.com:443")) {
///     Err(Error::Path(error)) => match error.problem() {
///         PathProblem::NoCandidate { role, excluded, .. } => eprintln!("no {role}: {excluded:?}"),
///         problem => eprintln!("{problem}"),
///     },
///     outcome => println!("circuit {}", outcome?.id()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    problem: Arc<PathProblem>,
}

/// Why the relays of a path could not be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathProblem {
    /// tor has no consensus, and so knows no relay.
    NoConsensus,
    /// No relay fits one position of the path.
    #[non_exhaustive]
    NoCandidate {
        /// The position, counted from 1, the guard.
        hop: usize,
        /// The role of the relay at the position.
        role: HopRole,
        /// The number of relays in the consensus.
        relays: usize,
        /// The obstacles, each with the number of relays that it excluded. A relay with several
        /// obstacles counts once, for the first of them in the order of [`PathObstacle`].
        excluded: Vec<(PathObstacle, usize)>,
    },
}

/// The role of a relay in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HopRole {
    /// The first relay.
    Guard,
    /// A relay between the first and the last.
    Middle,
    /// The last relay.
    Exit,
}

/// Why a relay does not fit a position of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PathObstacle {
    /// It lacks a flag.
    Lacks(RelayFlag),
    /// It has a flag that forbids the role.
    Has(RelayFlag),
    /// It is excluded by the specification of the path.
    Excluded,
    /// It is none of the relays that are wanted for the role.
    NotWanted,
    /// It is in the path already.
    InPath,
    /// tor has no descriptor of it.
    NoDescriptor,
    /// Its exit policy does not allow the target.
    ExitPolicy,
    /// Its country is excluded, not wanted, or unknown.
    Country,
    /// It is in the family of a relay of the path.
    Family,
    /// It is in the network of a relay of the path: the same /16 of IPv4, or /32 of IPv6.
    Subnet,
}

impl PathError {
    pub(crate) fn new(problem: PathProblem) -> Self {
        Self { problem: Arc::new(problem) }
    }

    /// Returns why the path could not be chosen.
    #[must_use]
    pub fn problem(&self) -> &PathProblem {
        &self.problem
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problem {
            PathProblem::NoConsensus => f.write_str("cannot choose a path"),
            PathProblem::NoCandidate { hop, role, .. } => {
                write!(f, "cannot choose hop {hop} of the path, the {role}")
            }
        }
    }
}

impl StdError for PathError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.problem)
    }
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConsensus => f.write_str("tor has no consensus"),
            Self::NoCandidate { relays, excluded, .. } => {
                write!(f, "none of {relays} relays fits")?;
                for (n, (obstacle, count)) in excluded.iter().enumerate() {
                    write!(f, "{} {count} {obstacle}", if n == 0 { ":" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl StdError for PathProblem {}

impl fmt::Display for HopRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Guard => "guard",
            Self::Middle => "middle relay",
            Self::Exit => "exit",
        })
    }
}

impl fmt::Display for PathObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(flag) => write!(f, "without flag {flag}"),
            Self::Has(flag) => write!(f, "with flag {flag}"),
            Self::Excluded => f.write_str("excluded"),
            Self::NotWanted => f.write_str("not among the wanted relays"),
            Self::InPath => f.write_str("in the path already"),
            Self::NoDescriptor => f.write_str("without descriptor"),
            Self::ExitPolicy => f.write_str("whose exit policy does not allow the target"),
            Self::Country => f.write_str("in an unknown or unwanted country"),
            Self::Family => f.write_str("in the family of another hop"),
            Self::Subnet => f.write_str("in the network of another hop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HopRole, PathError, PathObstacle, PathProblem};
    use crate::error::Error;
    use crate::names::RelayFlag;

    #[test]
    fn the_text_says_which_hop_has_no_candidate_and_why() {
        let problem = PathProblem::NoCandidate {
            hop: 3,
            role: HopRole::Exit,
            relays: 9,
            excluded: vec![(PathObstacle::Lacks(RelayFlag::Exit), 4), (PathObstacle::Country, 5)],
        };
        assert_eq!(
            Error::from(PathError::new(problem)).to_string(),
            "cannot choose hop 3 of the path, the exit: none of 9 relays fits: 4 without flag Exit, \
             5 in an unknown or unwanted country"
        );
        assert_eq!(
            Error::from(PathError::new(PathProblem::NoConsensus)).to_string(),
            "cannot choose a path: tor has no consensus"
        );
    }
}
