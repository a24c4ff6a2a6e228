//! Generated keys, and key files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{ClientAuthKey, OnionKey};

/// How much of a key file is read; tor's have 96 bytes.
const LONGEST: u64 = 128;

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
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(&mut *seed)?;
        Ok(Self::from_seed(*seed))
    }

    /// Reads a key from a file such as `hs_ed25519_secret_key` in a service's directory.
    ///
    /// Blocks the current thread until the file has been read.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::File`] if it cannot be read, [`OnionProblem::Unsafe`] if it is not a regular
    /// file or not private, [`OnionProblem::Key`] if its contents are not a key.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let opened = open_without_waiting(path).map_err(|error| OnionError::file(path, error))?;
        read_key(opened, path)
    }

    /// Writes the key into a new file, in the format of `hs_ed25519_secret_key`.
    ///
    /// Blocks the current thread until the file has been written.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::File`] if it exists or cannot be written.
    pub fn write_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let bytes = Zeroizing::new(self.reveal_file_bytes());
        write_new(path.as_ref(), &*bytes)
    }
}

impl ClientAuthKey {
    /// Generates a key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Random`] if the operating system returns an error.
    pub fn generate() -> Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        fill(&mut *secret)?;
        Ok(Self::from_bytes(*secret)?)
    }
}

/// Reads a key from an open file.
pub(super) fn read_key(opened: File, path: &Path) -> Result<OnionKey> {
    let file = |error| OnionError::file(path, error);
    let found = opened.metadata().map_err(file)?;
    if !found.is_file() {
        return Err(OnionError::unsafe_path(path, "is not a regular file").into());
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let detail = format!("has mode {mode:04o}, and a key file must be private (0600)");
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    opened.take(LONGEST).read_to_end(&mut bytes).map_err(file)?;
    let key = OnionKey::from_file_bytes(&bytes);
    let unread = |source| OnionError::new(OnionProblem::Key { path: path.to_owned(), source });
    Ok(key.map_err(unread)?)
}

/// Writes a new file that only its owner can read.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    Ok(written.map_err(|error| OnionError::file(path, error))?)
}

/// Opens a file without blocking, even if it is a named pipe.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        let error = io::Error::other(error.to_string());
        OnionError::new(OnionProblem::Random(Arc::new(error))).into()
    })
}
