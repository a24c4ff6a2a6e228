//! Generated keys, and key files.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::key_file::{KeyFile, read_private};
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{ClientAuthKey, InvalidName, OnionAddress, OnionKey};

/// The type of a key that is stored as text, as `ADD_ONION` writes it.
const BLOB_TYPE: &[u8] = b"ED25519-V3:";

/// # Generated keys and key files
///
/// A key file is private: mode 0600, or less. A file that others can access is refused, and so is
/// everything but a regular file: a link is not followed. tor's own file `hs_ed25519_secret_key` is
/// read, and the text `ED25519-V3:BASE64` of `ADD_ONION`; the former is written, so that the file
/// can be put into a `HiddenServiceDir`.
impl OnionKey {
    /// Generates a key from the operating system's random numbers, and with it an address.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Random`] if the operating system returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let key = OnionKey::generate()?;
    /// println!("the address will be {}", key.address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "GenKey")]
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(&mut *seed)?;
        Ok(Self::from_seed(*seed))
    }

    /// Reads a key from its file; generates a key and creates the file if there is none.
    ///
    /// The first run of a program creates the address of its service, and every later one keeps it.
    /// If several processes or threads call this at once for the same file, one of them creates it,
    /// and all return the same key: the name appears only when the contents are complete and
    /// synchronized with the disk. A process that is killed meanwhile can leave a file
    /// `.torcon-NUMBER.tmp`, which may be deleted. The directory must exist, must be writable by no
    /// other user, and its file system must have hard links.
    ///
    /// Blocks the current thread until the file has been read or written.
    ///
    /// # Errors
    ///
    /// Those of [`read_file`](Self::read_file), [`write_file`](Self::write_file) and
    /// [`generate`](Self::generate); an existing file is never changed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    /// use torcon::names::OnionKey;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let key = OnionKey::read_or_create_file("web.key")?;
    /// let listener = tor.onion_endpoint(80).key(key).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "load_or_create")]
    pub fn read_or_create_file(path: impl AsRef<Path>) -> Result<Self> {
        let file = KeyFile::at(path.as_ref())?;
        if let Some(bytes) = file.read()? {
            return file.parse(&bytes, read_any);
        }
        let key = Self::generate()?;
        if file.create(&*Zeroizing::new(key.reveal_file_bytes()))? {
            return Ok(key);
        }
        // Another process has created it meanwhile.
        file.parse(&file.read_existing()?, read_any)
    }

    /// Reads a key from a file: tor's `hs_ed25519_secret_key`, or the text `ED25519-V3:BASE64`.
    ///
    /// Blocks the current thread until the file has been read.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::File`] if it cannot be read, [`OnionProblem::Unsafe`] if it is not a regular
    /// file or not private, [`OnionProblem::Key`] if its contents are not a key.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::OnionKey;
    ///
    /// let key = OnionKey::read_file("/var/lib/tor/web/hs_ed25519_secret_key")?;
    /// println!("{}", key.address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self> {
        let file = KeyFile::at(path.as_ref())?;
        file.parse(&file.read_existing()?, read_any)
    }

    /// Writes the key into a new file of mode 0600, in the format of `hs_ed25519_secret_key`.
    ///
    /// Blocks the current thread until the file has been written.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::File`] if it exists or cannot be written.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::OnionKey;
    ///
    /// OnionKey::generate()?.write_file("web.key")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn write_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = Zeroizing::new(self.reveal_file_bytes());
        KeyFile::at(path.as_ref())?.create_new(&*bytes)
    }
}

/// # Generated keys and key files
impl ClientAuthKey {
    /// Generates a key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Random`] if the operating system returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let key = ClientAuthKey::generate()?;
    /// println!("for the service: {}", key.public());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn generate() -> Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        fill(&mut *secret)?;
        Ok(Self::from_bytes(*secret)?)
    }

    /// Reads a file `.auth_private` of `ClientOnionAuthDir`: the address of the service and the
    /// key.
    ///
    /// Blocks the current thread until the file has been read.
    ///
    /// # Errors
    ///
    /// Those of [`OnionKey::read_file`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::ClientAuthKey;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let (service, key) = ClientAuthKey::read_auth_private_file("web.auth_private")?;
    /// controller.add_onion_client_auth(service, key)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn read_auth_private_file(path: impl AsRef<Path>) -> Result<(OnionAddress, Self)> {
        let file = KeyFile::at(path.as_ref())?;
        file.parse(&file.read_existing()?, |bytes| {
            Self::from_auth_private(std::str::from_utf8(bytes).unwrap_or_default())
        })
    }

    /// Writes a new file `.auth_private` of mode 0600 for `ClientOnionAuthDir`. tor reads the files
    /// of that directory whose names end so when it starts and reloads.
    ///
    /// Blocks the current thread until the file has been written.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::File`] if it exists or cannot be written.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::ClientAuthKey;
    ///
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion".parse()?;
    /// ClientAuthKey::generate()?.write_auth_private_file("duck.auth_private", service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn write_auth_private_file(
        &self,
        path: impl AsRef<Path>,
        service: OnionAddress,
    ) -> Result<()> {
        let line = Zeroizing::new(self.reveal_auth_private(service));
        KeyFile::at(path.as_ref())?.create_new(line.as_bytes())
    }
}

/// Reads a key from an open file of a service's directory, in the format of tor.
pub(super) fn read_key(opened: File, path: &Path) -> Result<OnionKey> {
    let bytes = read_private(opened, path)?;
    let unread = |source| OnionError::new(OnionProblem::Key { path: path.to_owned(), source });
    Ok(OnionKey::from_file_bytes(&bytes).map_err(unread)?)
}

fn read_any(bytes: &[u8]) -> Result<OnionKey, InvalidName> {
    match bytes.get(..BLOB_TYPE.len()).is_some_and(|it| it.eq_ignore_ascii_case(BLOB_TYPE)) {
        true => OnionKey::from_blob(std::str::from_utf8(bytes).unwrap_or_default().trim_end()),
        false => OnionKey::from_file_bytes(bytes),
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        let error = io::Error::other(error.to_string());
        OnionError::new(OnionProblem::Random(Arc::new(error))).into()
    })
}
