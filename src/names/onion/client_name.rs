//! Names of the clients of onion services.

use std::fmt;
use std::str::FromStr;

use crate::names::InvalidName;

/// The name of a client of an onion service: 1 to 16 letters, digits, `+`, `-` or `_`.
///
/// It names the client's file in `authorized_clients`, and on the client's side the key. It is not
/// sent over the network.
///
/// # Examples
///
/// ```
/// use torcon::names::ClientName;
///
/// let name: ClientName = "alice".parse()?;
/// assert_eq!(name.as_str(), "alice");
/// assert!("alice smith".parse::<ClientName>().is_err());
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName {
    /// Invariant: 1 to 16 of these characters, then zeros.
    text: [u8; 16],
}

impl ClientName {
    /// Returns the name as text.
    ///
    /// # Examples
    ///
    /// ```
    /// let name: torcon::names::ClientName = "alice".parse()?;
    /// println!("authorized_clients/{}.auth", name.as_str());
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.text.iter().position(|byte| *byte == 0).unwrap_or(self.text.len());
        std::str::from_utf8(self.text.get(..length).unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for ClientName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("client name", problem));
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_');
        if !text.bytes().all(is_allowed) {
            return refuse("must be letters, digits, +, - or _");
        }
        let mut name = [0; 16];
        match name.get_mut(..text.len()) {
            Some(place) if !place.is_empty() => place.copy_from_slice(text.as_bytes()),
            _ => return refuse("must have 1 to 16 characters"),
        }
        Ok(Self { text: name })
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientName({})", self.as_str())
    }
}
