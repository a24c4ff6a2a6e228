//! The password of a control port, and its hash for `HashedControlPassword`.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXUPPER;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::random;
use crate::clock::{self, deadline_after};
use crate::error::{AuthError, Result, Timeout, Wait};
use crate::names::AuthMethod;
use crate::sync::ReentrantMutex;

/// The iteration count of the hash, encoded as in RFC 2440: see [`HASHED_BYTES`].
const INDICATOR: u8 = 0x60;

/// The number of bytes that are hashed: `(16 + low nibble) << (high nibble + 6)` of
/// [`INDICATOR`], the only value that tor writes.
const HASHED_BYTES: usize = 65_536;

/// How often a connection that waits for the closure of another one asks whether it is canceled:
/// the wait for a lock cannot be ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The password of a control port, which can be any bytes.
///
/// `From` makes it from text or bytes. `Debug` does not show it, and it is overwritten when
/// dropped.
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
    /// Returns the salted hash of the password for the option `HashedControlPassword`: `16:` and 58
    /// hexadecimal digits, as `tor --hash-password` prints it.
    ///
    /// Each call uses a new salt.
    ///
    /// # Errors
    ///
    /// [`Error::Auth`](crate::Error::Auth) if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Password;
    ///
    /// let line = format!("HashedControlPassword {}", Password::from("foo").hashed()?);
    /// assert!(line.starts_with("HashedControlPassword 16:"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn hashed(&self) -> Result<String> {
        let salt = random()
            .map_err(|problem| AuthError::new(&[], Some(AuthMethod::HashedPassword), problem))?;
        Ok(self.hashed_with(salt))
    }

    /// Computes the iterated and salted S2K of RFC 2440 with SHA-1.
    fn hashed_with(&self, salt: [u8; 8]) -> String {
        let mut hash = Sha1::new();
        let mut left = HASHED_BYTES;
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

    /// Returns the secret.
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

/// The source of a password, for any number of connections.
#[derive(Clone, Default)]
pub(crate) enum PasswordSource {
    #[default]
    None,
    Known(Arc<Password>),
    /// A closure of the user. It runs under this lock, which protects nothing else.
    Closure(Arc<ReentrantMutex<RefCell<Ask>>>),
}

type Ask = Box<dyn FnMut() -> Option<Password> + Send>;

impl PasswordSource {
    pub(crate) fn known(password: Password) -> Self {
        Self::Known(Arc::new(password))
    }

    pub(crate) fn closure(ask: impl FnMut() -> Option<Password> + Send + 'static) -> Self {
        Self::Closure(Arc::new(ReentrantMutex::new(RefCell::new(Box::new(ask)))))
    }

    /// Returns whether there is a password or a closure.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns the password, or `None` if there is none or the closure returns none.
    ///
    /// Waits for at most `limit` while the closure runs for another connection. For a connection
    /// that the closure itself opens, it is not called again, and the password is `None`. An error
    /// of `check` ends the wait, and the closure is not called.
    pub(crate) fn password(
        &self,
        limit: Duration,
        check: impl Fn() -> Result<()>,
    ) -> Result<Option<Password>> {
        let ask = match self {
            Self::None => return Ok(None),
            Self::Known(password) => return Ok(Some(Password::clone(password))),
            Self::Closure(ask) => ask,
        };
        let deadline = deadline_after(limit);
        let locked = loop {
            let locked = ask.try_lock_for(clock::wait_length(deadline).min(PAUSE));
            check()?;
            if locked.is_some() || clock::has_passed(deadline) {
                break locked;
            }
        };
        let ask = locked.ok_or_else(|| Timeout::new(Wait::Connect, limit))?;
        Ok(ask.try_borrow_mut().ok().and_then(|mut ask| ask()))
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no password",
            Self::Known(_) => "a password",
            Self::Closure(_) => "a password closure",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Password, PasswordSource};
    use crate::error::{Canceled, Wait};

    #[test]
    fn a_source_says_whether_it_has_a_password_and_never_shows_it() {
        let known = PasswordSource::Known(Arc::new(Password::from("secret")));
        for (source, is_some, text) in [
            (PasswordSource::None, false, "no password"),
            (known, true, "a password"),
            (PasswordSource::closure(|| None), true, "a password closure"),
        ] {
            assert_eq!(source.is_some(), is_some);
            assert_eq!(format!("{source:?}"), text);
        }
    }
    use crate::sync::channel::{Receiver, Sender, bounded};

    #[test]
    fn the_hash_is_that_of_tor() {
        // `foo` as tor 0.4.9.11 hashed it.
        let salt = [0xF4, 0x42, 0xEE, 0x9B, 0x74, 0x8F, 0xDE, 0x6E];
        assert_eq!(
            Password::from("foo").hashed_with(salt),
            "16:F442EE9B748FDE6E600F9F41E54FCF5EF71CDAF5010BED24036AD51FEC"
        );
    }

    #[test]
    fn every_hash_has_a_new_salt() {
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
        source.password(LIMIT, || Ok(())).unwrap().map(|password| password.as_bytes().to_vec())
    }

    #[test]
    fn a_source_returns_its_password_any_number_of_times() {
        let known = PasswordSource::known("hunter2".into());
        for _ in 0..2 {
            assert_eq!(given(&known.clone()).unwrap(), b"hunter2");
        }
        assert_eq!(given(&PasswordSource::default()), None);

        let mut count = 0;
        let closure = PasswordSource::closure(move || {
            count += 1;
            (count < 3).then(|| Password::from(count.to_string()))
        });
        assert_eq!(given(&closure).unwrap(), b"1");
        assert_eq!(given(&closure.clone()).unwrap(), b"2");
        assert_eq!(given(&closure), None);
        assert!(!format!("{known:?} {closure:?}").contains("hunter2"));
    }

    /// Returns a closure that tells when it is called, and returns what it is sent then.
    fn slow_closure() -> (PasswordSource, Receiver<()>, Sender<Option<Password>>) {
        let (asking, asked) = bounded(1);
        let (answer, answered) = bounded(0);
        let source = PasswordSource::closure(move || {
            asking.send(()).unwrap();
            answered.recv().unwrap()
        });
        (source, asked, answer)
    }

    #[test]
    fn connections_call_the_closure_one_after_the_other_until_a_limit() {
        let (source, asked, answer) = slow_closure();
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(given(&source).unwrap(), b"slow"));
            asked.recv().unwrap();
            assert_eq!(
                source.password(Duration::from_millis(1), || Ok(())).unwrap_err().to_string(),
                "timed out after 1ms waiting for a control connection"
            );
            answer.send(Some(Password::from("slow"))).unwrap();
        });
    }

    #[test]
    fn a_wait_for_the_closure_ends_at_the_cancellation_and_asks_for_nothing() {
        let canceled = || Err(Canceled::new(Wait::Connect).into());
        let (source, asked, answer) = slow_closure();
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(given(&source), None));
            asked.recv().unwrap();
            assert!(source.password(LIMIT, canceled).unwrap_err().is_canceled());
            answer.send(None).unwrap();
        });
        assert!(source.password(LIMIT, canceled).unwrap_err().is_canceled());
        assert!(asked.is_empty(), "it is not called");
    }

    #[test]
    fn a_closure_is_not_called_from_itself() {
        let (send, receive) = bounded::<PasswordSource>(1);
        let source = PasswordSource::closure(move || {
            assert_eq!(given(&receive.recv().unwrap()), None);
            Some("outer".into())
        });
        send.send(source.clone()).unwrap();
        assert_eq!(given(&source).unwrap(), b"outer");
    }
}
