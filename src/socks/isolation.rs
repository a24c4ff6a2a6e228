//! Which streams may share circuits.

use std::fmt;
use std::io;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::target::ShortText;
use crate::error::{InvalidInput, SocksProblem};

/// The user names for tokens and for fresh isolation.
const TOKEN_USER: &str = "torcon";
const FRESH_USER: &str = "torcon-stream";

/// tor 0.4.9 reserves user names with this prefix (proposal 351).
const RESERVED: &str = "<torS0X>";

/// The stream isolation of a [`SocksProxy`](super::SocksProxy), sent as SOCKS user name and password.
///
/// tor does not attach streams with different user names or passwords to the same circuit, unless
/// its `SocksPort` has the flag `NoIsolateSOCKSAuth`. It does not check them.
///
/// `Debug` hides tokens, but `STREAM` events show them to every controller of tor.
///
/// # Examples
///
/// ```
/// use torcon::socks::Isolation;
///
/// let account = Isolation::token("account 7")?;
/// assert_eq!(format!("{account:?}"), "Isolation::Token(..)");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Isolation(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    Token(Arc<Credentials>),
    Fresh,
}

/// A SOCKS user name and password.
pub(super) struct Credentials {
    user: ShortText,
    password: ShortText,
}

impl Credentials {
    pub(super) fn user(&self) -> &ShortText {
        &self.user
    }

    pub(super) fn password(&self) -> &ShortText {
        &self.password
    }
}

impl Isolation {
    /// Sends no user name and no password: streams share circuits with those of every program that
    /// does the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::Isolation;
    ///
    /// assert_eq!(format!("{:?}", Isolation::none()), "Isolation::None");
    /// ```
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Lets streams share circuits only with streams of the same token.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the token does not have 1 to 255 bytes, or holds control characters.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::{Isolation, SocksProxy};
    ///
    /// // The streams of an account share circuits, and those of two accounts do not.
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?;
    /// let alice = proxy.clone().isolation(Isolation::token("alice")?);
    /// let bob = proxy.isolation(Isolation::token("bob")?);
    /// # let _ = (alice, bob);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn token(token: &str) -> Result<Self, InvalidInput> {
        let user = ShortText::new("token", TOKEN_USER)?;
        let password = ShortText::new("token", token)?;
        Ok(Self(Kind::Token(Arc::new(Credentials { user, password }))))
    }

    /// Lets streams share circuits only with streams of the same user name and password, also those
    /// of other programs.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if one of them does not have 1 to 255 bytes or holds control characters,
    /// or if the user name begins with `<torS0X>`, which tor reserves.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::Isolation;
    ///
    /// let isolation = Isolation::credentials("my-program", "session 4711")?;
    /// # let _ = isolation;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn credentials(user: &str, password: &str) -> Result<Self, InvalidInput> {
        if user.starts_with(RESERVED) {
            return Err(InvalidInput::new(
                "user",
                "must not begin with <torS0X>, which tor reserves",
            ));
        }
        let user = ShortText::new("user", user)?;
        let password = ShortText::new("password", password)?;
        Ok(Self(Kind::Token(Arc::new(Credentials { user, password }))))
    }

    /// Isolates every stream, and every name that is resolved, from all others. tor builds a circuit
    /// for each.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::socks::{Isolation, SocksProxy};
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?.isolation(Isolation::fresh());
    /// # let _ = proxy;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn fresh() -> Self {
        Self(Kind::Fresh)
    }

    /// Returns the user name and password for the next stream.
    pub(super) fn next_credentials(&self) -> Result<Option<Arc<Credentials>>, SocksProblem> {
        match &self.0 {
            Kind::None => Ok(None),
            Kind::Token(credentials) => Ok(Some(Arc::clone(credentials))),
            Kind::Fresh => fresh().map(Arc::new).map(Some),
        }
    }
}

fn fresh() -> Result<Credentials, SocksProblem> {
    let no_random = |error| SocksProblem::NoRandom(Arc::new(io::Error::other(error)));
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| no_random(error.to_string()))?;
    let text =
        |text: &str| ShortText::new("token", text).map_err(|error| no_random(error.to_string()));
    Ok(Credentials { user: text(FRESH_USER)?, password: text(&HEXLOWER.encode(&bytes))? })
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::None => "Isolation::None",
            Kind::Token(_) => "Isolation::Token(..)",
            Kind::Fresh => "Isolation::Fresh",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Isolation;

    fn credentials_of(isolation: &Isolation) -> Option<(String, String)> {
        let credentials = isolation.next_credentials().unwrap()?;
        let text = |text: &super::ShortText| String::from_utf8(text.as_bytes().to_vec()).unwrap();
        Some((text(credentials.user()), text(credentials.password())))
    }

    #[test]
    fn a_token_is_always_the_same_and_a_fresh_one_never() {
        assert_eq!(credentials_of(&Isolation::none()), None);
        let token = Isolation::token("account 7").unwrap();
        assert_eq!(credentials_of(&token), credentials_of(&token.clone()));
        assert_eq!(credentials_of(&token), Some(("torcon".to_owned(), "account 7".to_owned())));
        let fresh = Isolation::fresh();
        let (one, other) = (credentials_of(&fresh).unwrap(), credentials_of(&fresh).unwrap());
        assert_ne!(one, other);
        assert_eq!((&*one.0, one.1.len()), ("torcon-stream", 32));
    }

    #[test]
    fn a_value_that_socks_cannot_encode_is_refused_and_names_the_argument() {
        let long = "x".repeat(256);
        let control = "must not contain NUL, line breaks or other control characters";
        for (token, problem) in [
            ("", "must have 1 to 255 bytes"),
            (&long, "must have 1 to 255 bytes"),
            ("a\0b", control),
            ("a\r\nb", control),
        ] {
            let expected = format!("invalid argument \"token\": {problem}");
            assert_eq!(Isolation::token(token).unwrap_err().to_string(), expected);
            let expected = format!("invalid argument \"password\": {problem}");
            let error = Isolation::credentials("user", token).unwrap_err();
            assert_eq!(error.to_string(), expected);
            let expected = format!("invalid argument \"user\": {problem}");
            let error = Isolation::credentials(token, "password").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(
            Isolation::credentials("<torS0X>0", "x").unwrap_err().to_string(),
            "invalid argument \"user\": must not begin with <torS0X>, which tor reserves"
        );
        assert!(Isolation::token(&"x".repeat(255)).is_ok());
        // tor reserves only user names with this prefix, not passwords.
        assert!(Isolation::token("<torS0X>0").is_ok());
    }

    #[test]
    fn tokens_do_not_show_in_debug() {
        let shown = [
            Isolation::none(),
            Isolation::fresh(),
            Isolation::token("secret").unwrap(),
            Isolation::credentials("secret", "secret").unwrap(),
        ]
        .map(|isolation| format!("{isolation:?}"));
        assert_eq!(
            shown,
            ["Isolation::None", "Isolation::Fresh", "Isolation::Token(..)", "Isolation::Token(..)"]
        );
    }
}
