//! `GETINFO` of any key, and the parts that the typed queries of the other files share.

use super::Controller;
use crate::command::{GetInfo, InfoKeys};
use crate::error::{Error, ProtocolError, Result};
use crate::info::{Answers, read_flag};
use crate::names::TorVersion;
use crate::wire::Reply;

/// # Information
impl Controller {
    /// Returns tor's version, which `PROTOCOLINFO` reported when the connection was made.
    #[doc(alias = "get_version")]
    #[must_use]
    pub fn version(&self) -> &TorVersion {
        &self.inner.protocol_info.tor_version
    }

    /// Queries one `GETINFO` key, or several in one round trip.
    ///
    /// Returns the value of one key as a `String`, in which bytes that are not UTF-8 are replaced,
    /// and the values of several keys as an [`InfoMap`](crate::command::InfoMap).
    ///
    /// Sends `GETINFO key [key ...]`. If tor refuses one key, it answers none. Blocks for at most
    /// the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if tor does not know a key (552) or has no answer (551); otherwise those
    /// of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// println!("tor {}", controller.get_info("version")?);
    /// let info = controller.get_info(["traffic/read", "traffic/written"])?;
    /// println!("read {} bytes", info.get("traffic/read").unwrap_or_default());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get_info<K, Answer>(&self, keys: K) -> Result<Answer>
    where
        K: InfoKeys<Answer>,
    {
        Ok(K::answer(self.execute(&GetInfo::new(keys))?))
    }

    /// Queries one `GETINFO` key, as [`get_info`](Self::get_info) does.
    #[doc = sends!("GETINFO key")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} bytes read", controller.get_info_one("traffic/read")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_info_single")]
    pub fn get_info_one(&self, key: &str) -> Result<String> {
        self.get_info(key)
    }

    /// Queries `GETINFO` keys, and returns the unparsed reply.
    #[doc = sends!("GETINFO key [key ...]")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.get_info_raw(["version"])?.text());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get_info_raw<K, Answer>(&self, keys: K) -> Result<Reply>
    where
        K: InfoKeys<Answer>,
    {
        let command = GetInfo::new(keys);
        let reply = self.send(&command)?;
        self.checked(command.check(reply))
    }

    /// Returns the `GETINFO` keys of this version of tor: each key, or pattern of keys such as
    /// `desc/id/<OR identity>`, with its description.
    #[doc = sends!("GETINFO info/names")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for (key, description) in controller.info_names()? {
    ///     println!("{key}: {description}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "TorInfo")]
    pub fn info_names(&self) -> Result<Vec<(String, String)>> {
        self.read_pairs("info/names", " -- ")
    }

    /// Queries one key, and parses its value.
    pub(in crate::controller) fn read_info<T>(
        &self,
        key: &str,
        read: impl FnOnce(&[u8]) -> Result<T, ProtocolError>,
    ) -> Result<T> {
        let info = self.execute(&GetInfo::new([key]))?;
        Ok(read(info.bytes(key).unwrap_or_default())?)
    }

    /// Queries several keys at once, and parses their values.
    pub(in crate::controller) fn read_infos<T>(
        &self,
        keys: &[&str],
        read: impl FnOnce(Answers<'_>) -> Result<T, ProtocolError>,
    ) -> Result<T> {
        let info = self.execute(&GetInfo::new(keys))?;
        Ok(read(Answers::new(&|key| info.bytes(key).unwrap_or_default()))?)
    }

    /// Queries a key whose value is 0 or 1.
    pub(in crate::controller) fn read_flag(&self, key: &str) -> Result<bool> {
        self.read_info(key, |value| read_flag(key, value))
    }

    /// Queries a key whose value is one pair a line.
    pub(in crate::controller) fn read_pairs(
        &self,
        key: &str,
        separator: &str,
    ) -> Result<Vec<(String, String)>> {
        let text = self.get_info_one(key)?;
        let pairs = text.lines().map(|line| line.split_once(separator).unwrap_or((line, "")));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// Returns `None` for the refusal by which tor reports that there is no value.
///
/// It is identified by its code and the beginning of its text, since tor uses the same codes for
/// failures.
pub(in crate::controller) fn none_if_refused<T>(
    outcome: Result<T>,
    code: u16,
    beginning: &str,
) -> Result<Option<T>> {
    match outcome {
        Err(Error::Rejected(refusal))
            if refusal.code() == code && refusal.text().starts_with(beginning) =>
        {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

/// Returns `None` for any refusal: a filter in front of tor may refuse an optional query or event.
pub(crate) fn if_allowed<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(Error::Rejected(_)) => Ok(None),
        outcome => outcome.map(Some),
    }
}
