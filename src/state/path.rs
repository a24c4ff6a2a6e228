//! The paths of circuits: relays that the program names, or rules by which they are chosen.

mod choice;
mod descriptors;
mod documents;
mod spec;
mod weights;

use std::str::FromStr;
use std::sync::Arc;

pub(super) use self::documents::DocumentCache;
pub use self::spec::PathSpec;
use crate::names::{Fingerprint, InvalidName, Nickname, RelaySpec, Target, read_from_text};

/// The path of a circuit: named relays, rules by which a [`State`](super::State) chooses them, or
/// tor's choice.
///
/// - [`Path::any`] leaves the choice to tor.
/// - [`Path::to`] and [`Path::builder`] return a [`PathSpec`], by which
///   [`State::build_circuit`](super::State::build_circuit) chooses relays, weighted by bandwidth.
/// - `From` and `TryFrom` make a path of a relay, or of an array, a slice or a `Vec` of relays:
///   fingerprints, nicknames, [`RelaySpec`]s, [`RouterStatus`](crate::descriptor::RouterStatus)es,
///   references to them, or texts. [`Path::of`] takes any other collection or iterator.
/// - `FromStr` reads relays between commas, as tor writes a path.
///
/// # Examples
///
/// ```
/// use torcon::names::Fingerprint;
/// use torcon::state::Path;
///
/// let guard: Fingerprint = "$e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse()?;
/// let exit: Fingerprint = "$a65f314c8459ae7eea37a8bbdf50d7668516965d".parse()?;
/// let path = Path::from([guard, exit]);
/// assert_eq!(path.relays().map(<[_]>::len), Some(2));
/// assert_eq!(Path::try_from(["moria1", "tor26"])?, "moria1,tor26".parse()?);
/// assert!(Path::try_from(["not a relay"]).is_err());
/// assert_eq!(Path::any().relays(), None);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    choice: Choice,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Tor,
    Relays(Arc<[RelaySpec]>),
    Spec(Arc<PathSpec>),
}

impl Path {
    /// Returns the path that leaves the choice of the relays to tor.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(torcon::state::Path::any().relays(), None);
    /// ```
    #[must_use]
    pub fn any() -> Self {
        Self { choice: Choice::Tor }
    }

    /// Returns the path along the given relays, first the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// use torcon::names::Fingerprint;
    /// use torcon::state::Path;
    ///
    /// let relays = VecDeque::from([Fingerprint::from([1; 20]), Fingerprint::from([2; 20])]);
    /// assert_eq!(Path::of(&relays).relays().map(<[_]>::len), Some(2));
    /// ```
    #[must_use]
    pub fn of<I>(relays: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<RelaySpec>,
    {
        Self { choice: Choice::Relays(relays.into_iter().map(Into::into).collect()) }
    }

    /// Returns the rules for a path whose exit allows connections to a target, `host:port`.
    ///
    /// A text that is not `host:port` is an error of the call that uses the rules.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use std::time::Duration;
    ///
    /// use torcon::state::{Path, State};
    ///
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let path = Path::to("example.com:443").exit_countries(["de", "fr"]);
    /// let circuit = state.build_circuit_timeout(path, Duration::from_secs(60))?;
    /// let stream = circuit.connect_stream("example.com:443")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn to<T>(target: T) -> PathSpec
    where
        T: TryInto<Target>,
        InvalidName: From<T::Error>,
    {
        PathSpec::new().to(target)
    }

    /// Returns the rules for a path to any target: a guard, a middle relay and an exit.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::RelayFlag;
    /// use torcon::state::Path;
    ///
    /// let rules = Path::builder().flag(RelayFlag::Stable).exclude_countries("us");
    /// assert_eq!(Path::from(rules).relays(), None);
    /// ```
    pub fn builder() -> PathSpec {
        PathSpec::new()
    }

    /// Returns the relays; `None` if tor or a [`PathSpec`] chooses them.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::state::Path;
    ///
    /// let path: Path = "moria1,tor26".parse()?;
    /// assert_eq!(path.relays().unwrap()[1].to_string(), "tor26");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn relays(&self) -> Option<&[RelaySpec]> {
        match &self.choice {
            Choice::Relays(relays) => Some(relays),
            Choice::Tor | Choice::Spec(_) => None,
        }
    }

    pub(super) fn into_choice(self) -> Choice {
        self.choice
    }

    /// Returns the relays, if the path names them.
    pub(super) fn into_relays(self) -> Option<Arc<[RelaySpec]>> {
        match self.choice {
            Choice::Relays(relays) => Some(relays),
            Choice::Tor | Choice::Spec(_) => None,
        }
    }
}

impl From<PathSpec> for Path {
    fn from(spec: PathSpec) -> Self {
        Self { choice: Choice::Spec(Arc::new(spec)) }
    }
}

impl From<&PathSpec> for Path {
    fn from(spec: &PathSpec) -> Self {
        Self::from(spec.clone())
    }
}

impl<R: Into<RelaySpec>, const N: usize> From<[R; N]> for Path {
    fn from(relays: [R; N]) -> Self {
        Self::of(relays)
    }
}

impl<R: Into<RelaySpec> + Clone, const N: usize> From<&[R; N]> for Path {
    fn from(relays: &[R; N]) -> Self {
        Self::from(relays.as_slice())
    }
}

impl<R: Into<RelaySpec> + Clone> From<&[R]> for Path {
    fn from(relays: &[R]) -> Self {
        Self::of(relays.iter().cloned())
    }
}

impl<R: Into<RelaySpec>> From<Vec<R>> for Path {
    fn from(relays: Vec<R>) -> Self {
        Self::of(relays)
    }
}

impl<R: Into<RelaySpec> + Clone> From<&Vec<R>> for Path {
    fn from(relays: &Vec<R>) -> Self {
        Self::from(relays.as_slice())
    }
}

/// Implements the conversions from a single relay.
macro_rules! path_of_one {
    ($($relay:ty),*) => { $(
        /// Returns the path along this relay alone.
        impl From<$relay> for Path {
            fn from(relay: $relay) -> Self {
                Self::of([relay])
            }
        }
    )* };
}

path_of_one!(Fingerprint, &Fingerprint, Nickname, &Nickname, RelaySpec, &RelaySpec);
path_of_one!(crate::descriptor::RouterStatus, &crate::descriptor::RouterStatus);

/// Implements the conversions from collections of texts.
macro_rules! path_of_texts {
    ($($text:ty),*) => { $(
        impl<const N: usize> TryFrom<[$text; N]> for Path {
            type Error = InvalidName;

            fn try_from(relays: [$text; N]) -> Result<Self, InvalidName> {
                parse(&relays)
            }
        }

        impl<const N: usize> TryFrom<&[$text; N]> for Path {
            type Error = InvalidName;

            fn try_from(relays: &[$text; N]) -> Result<Self, InvalidName> {
                parse(relays)
            }
        }

        impl TryFrom<&[$text]> for Path {
            type Error = InvalidName;

            fn try_from(relays: &[$text]) -> Result<Self, InvalidName> {
                parse(relays)
            }
        }

        impl TryFrom<Vec<$text>> for Path {
            type Error = InvalidName;

            fn try_from(relays: Vec<$text>) -> Result<Self, InvalidName> {
                parse(&relays)
            }
        }

        impl TryFrom<&Vec<$text>> for Path {
            type Error = InvalidName;

            fn try_from(relays: &Vec<$text>) -> Result<Self, InvalidName> {
                parse(relays)
            }
        }
    )* };
}

path_of_texts!(&str, String);

fn parse<T: AsRef<str>>(relays: &[T]) -> Result<Path, InvalidName> {
    let relays = relays.iter().map(|relay| relay.as_ref().parse());
    Ok(Path::of(relays.collect::<Result<Vec<RelaySpec>, _>>()?))
}

read_from_text!(Path, InvalidName);

impl FromStr for Path {
    type Err = InvalidName;

    /// Reads relays between commas, as tor writes a path: `$FP~nickname,$FP`, or nicknames.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        parse(&text.split(',').collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_borrows_for_generic_args, reason = "references are accepted too")]

    use super::Path;
    use crate::descriptor::RouterStatus;
    use crate::error::{Error, Result};
    use crate::names::{Fingerprint, Nickname, RelaySpec};

    /// The bound of the methods that take a path.
    fn path<P>(path: P) -> Result<Path>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        Ok(path.try_into()?)
    }

    #[test]
    fn a_path_is_made_of_relays_in_every_form_and_collection() {
        let status = "r test004r 6PeNDK0uSrN68tulQ+U+hPeyBqw 2038-01-01 00:00:00 127.0.0.1 5004 0";
        let status = RouterStatus::parse(status).unwrap();
        let fingerprint = status.identity();
        let spec = RelaySpec::from(fingerprint);
        let expected = Path::of([fingerprint]);
        for made in [
            path([fingerprint]),
            path(&[fingerprint]),
            path(&[fingerprint][..]),
            path([&fingerprint]),
            path(vec![fingerprint]),
            path(&vec![fingerprint]),
            path(fingerprint),
            path(&status),
            path([&status]),
            path(&[&status]),
            path(vec![&status]),
            path(vec![status.clone()]),
            path([spec.clone()]),
            path(&spec),
            path([&spec]),
            path(&expected),
            path(format!("${fingerprint}")),
            path([format!("${fingerprint}")]),
            path(&vec![format!("${fingerprint}")]),
            path(&*format!("${fingerprint}")),
        ] {
            assert_eq!(made.unwrap(), expected);
        }
        let names = ["moria1", "tor26"];
        let expected = Path::of(names.map(|name| name.parse::<Nickname>().unwrap()));
        for made in [path(names), path(&names), path(&names[..]), path(vec!["moria1", "tor26"])] {
            assert_eq!(made.unwrap(), expected);
        }
        assert_eq!(path("moria1,tor26").unwrap(), expected);
        assert_eq!(Path::of([Fingerprint::from([1; 20])]).relays().unwrap().len(), 1);
    }

    #[test]
    fn malformed_text_is_refused_with_a_typed_error() {
        let text = "invalid argument \"relay\": must be $fingerprint, $fingerprint~nickname, a \
                    fingerprint or a nickname";
        for refused in [path(["moria1", "a b"]), path(["", "tor26"]), Ok(Path::any())] {
            match refused {
                Err(error) => assert_eq!(error.to_string(), text),
                Ok(path) => assert_eq!(path.relays(), None),
            }
        }
        for refused in ["", "moria1,", "a\r\nQUIT"] {
            assert_eq!(path(refused).unwrap_err().to_string(), text);
        }
    }
}
