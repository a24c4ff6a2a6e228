//! The password of a control port, and its hash as tor's configuration holds it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXUPPER;
use parking_lot::ReentrantMutex;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::random;
use crate::error::{AuthError, Result, Timeout, Wait};
use crate::names::AuthMethod;

/// How often the hash is stretched, as tor writes it: see [`STRETCHED`].
const INDICATOR: u8 = 0x60;

/// The number of bytes that are hashed: `(16 + low nibble) << (high nibble + 6)` of
/// [`INDICATOR`], which is the only one that tor itself uses.
const STRETCHED: usize = 65_536;

/// A password for tor's control port: any bytes.
///
/// It is made from text or bytes by `From`, does not show in `Debug`, and is overwritten when it
/// is dropped.
///
/// # Examples
///
/// ```
/// use torcon::Password;
///
/// let password = Password::from("correct horse");
/// assert_eq!(format!("{password:?}"), "Password(..)");
/// ```
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Returns the salted hash of the password as the option `HashedControlPassword` takes it:
    /// `16:` and 58 hexadecimal digits.
    ///
    /// The salt is new each time, and so is the hash. It is what `tor --hash-password` prints.
    ///
    /// # Errors
    ///
    /// [`Error::Auth`](crate::Error::Auth) if the operating system gives no random numbers.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::Password;
    ///
    /// let line = format!("HashedControlPassword {}", Password::from("foo").hashed()?);
    /// assert!(line.starts_with("HashedControlPassword 16:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hashed(&self) -> Result<String> {
        let salt = random()
            .map_err(|problem| AuthError::new(&[], Some(AuthMethod::HashedPassword), problem))?;
        Ok(self.hashed_with(salt))
    }

    /// The iterated and salted S2K of RFC 2440, over SHA-1.
    fn hashed_with(&self, salt: [u8; 8]) -> String {
        let mut hash = Sha1::new();
        let mut left = STRETCHED;
        while left > 0 {
            for part in [&salt, self.as_bytes()] {
                let taken = part.get(..left).unwrap_or(part);
                hash.update(taken);
                left -= taken.len();
            }
        }
        let mut line = String::from("16:");
        HEXUPPER.encode_append(&salt, &mut line);
        HEXUPPER.encode_append(&[INDICATOR], &mut line);
        HEXUPPER.encode_append(&hash.finalize(), &mut line);
        line
    }

    /// Returns the secret itself.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Password {
    fn from(password: &[u8]) -> Self {
        Self(Zeroizing::new(password.to_vec()))
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self::from(password.as_bytes())
    }
}

impl From<Vec<u8>> for Password {
    fn from(password: Vec<u8>) -> Self {
        Self(Zeroizing::new(password))
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self::from(password.into_bytes())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Where a password comes from, if one is needed: cheap to clone, and good for any number of
/// connections.
#[derive(Clone, Default)]
pub(crate) enum PasswordSource {
    #[default]
    None,
    Known(Arc<Password>),
    /// The closure of a user. The lock is held while it runs: it is the only one for which that
    /// is so, and nothing else is behind it.
    Asked(Arc<ReentrantMutex<RefCell<Ask>>>),
}

type Ask = Box<dyn FnMut() -> Option<Password> + Send>;

impl PasswordSource {
    pub(crate) fn known(password: Password) -> Self {
        Self::Known(Arc::new(password))
    }

    pub(crate) fn asked(ask: impl FnMut() -> Option<Password> + Send + 'static) -> Self {
        Self::Asked(Arc::new(ReentrantMutex::new(RefCell::new(Box::new(ask)))))
    }

    /// Returns whether there is a password, or a closure that may know one.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns the password, or nothing if there is none or the closure declines.
    ///
    /// Waits at most for `patience` while the closure runs for another connection. A closure that
    /// connects by the same options from inside is not asked again, and declines.
    pub(crate) fn password(&self, patience: Duration) -> Result<Option<Password>> {
        match self {
            Self::None => Ok(None),
            Self::Known(password) => Ok(Some(Password::clone(password))),
            Self::Asked(ask) => {
                let Some(ask) = ask.try_lock_for(patience) else {
                    return Err(Timeout::new(Wait::Connect, patience).into());
                };
                Ok(ask.try_borrow_mut().ok().and_then(|mut ask| ask()))
            }
        }
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no password",
            Self::Known(_) => "a password",
            Self::Asked(_) => "a password that is asked for",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::{Password, PasswordSource};

    #[test]
    fn the_hash_is_the_one_that_tor_computes() {
        // `foo` as tor 0.4.9.11 hashed it.
        let salt = [0xF4, 0x42, 0xEE, 0x9B, 0x74, 0x8F, 0xDE, 0x6E];
        assert_eq!(
            Password::from("foo").hashed_with(salt),
            "16:F442EE9B748FDE6E600F9F41E54FCF5EF71CDAF5010BED24036AD51FEC"
        );
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let password = Password::from("foo");
        let (first, second) = (password.hashed().unwrap(), password.hashed().unwrap());
        assert_eq!((first.len(), second.len()), (61, 61));
        assert_ne!(first, second);
    }

    #[test]
    fn an_empty_or_very_long_password_can_be_hashed() {
        let salt = *b"saltsalt";
        let hash = |bytes: Vec<u8>| Password::from(bytes).hashed_with(salt);
        assert_ne!(hash(Vec::new()), hash(vec![b'x'; 100_000]));
        // Only the first 65,536 bytes of salt and password count.
        assert_eq!(hash(vec![b'x'; 65_528]), hash(vec![b'x'; 100_000]));
        assert_ne!(hash(vec![b'x'; 65_527]), hash(vec![b'x'; 100_000]));
    }

    #[test]
    fn a_password_does_not_show_in_debug() {
        assert_eq!(format!("{:?}", Password::from("hunter2")), "Password(..)");
    }

    const LIMIT: Duration = Duration::from_secs(20);

    fn given(source: &PasswordSource) -> Option<Vec<u8>> {
        source.password(LIMIT).unwrap().map(|password| password.as_bytes().to_vec())
    }

    #[test]
    fn a_source_gives_its_password_any_number_of_times() {
        let known = PasswordSource::known("hunter2".into());
        for _ in 0..2 {
            assert_eq!(given(&known.clone()).unwrap(), b"hunter2");
        }
        assert_eq!(given(&PasswordSource::default()), None);

        let mut count = 0;
        let asked = PasswordSource::asked(move || {
            count += 1;
            (count < 3).then(|| Password::from(count.to_string()))
        });
        assert_eq!(given(&asked).unwrap(), b"1");
        assert_eq!(given(&asked.clone()).unwrap(), b"2");
        assert_eq!(given(&asked), None);
        assert!(!format!("{known:?} {asked:?}").contains("hunter2"));
    }

    #[test]
    fn connections_ask_one_after_the_other_and_not_for_ever() {
        let (asking, asked) = bounded(0);
        let (answer, answered) = bounded(0);
        let source = PasswordSource::asked(move || {
            asking.send(()).unwrap();
            answered.recv().unwrap()
        });
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(given(&source).unwrap(), b"slow"));
            asked.recv().unwrap();
            assert_eq!(
                source.password(Duration::from_millis(1)).unwrap_err().to_string(),
                "waited 1ms for a control connection in vain"
            );
            answer.send(Some(Password::from("slow"))).unwrap();
        });
    }

    #[test]
    fn a_closure_that_asks_itself_declines() {
        let (send, receive) = bounded::<PasswordSource>(1);
        let source = PasswordSource::asked(move || {
            assert_eq!(given(&receive.recv().unwrap()), None);
            Some("outer".into())
        });
        send.send(source.clone()).unwrap();
        assert_eq!(given(&source).unwrap(), b"outer");
    }
}
