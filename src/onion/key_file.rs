//! A private file that holds one key.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{OnionError, OnionProblem, Result};
use crate::names::InvalidName;
use crate::private_files as files;

/// How much of a key file is read; tor's have 96 bytes, those of clients 127.
const LONGEST: u64 = 256;

/// The place of a key file: its open directory and its name there.
pub(super) struct KeyFile<'a> {
    path: &'a Path,
    directory: File,
    name: &'a Path,
}

impl<'a> KeyFile<'a> {
    pub(super) fn at(path: &'a Path) -> Result<Self> {
        let failed = |error| OnionError::file(path, error);
        let bytes = path.as_os_str().as_bytes();
        if bytes.contains(&0) {
            let problem = "a path must not contain NUL";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, problem)).into());
        }
        let (Some(parent), Some(name), false) =
            (path.parent(), path.file_name(), bytes.ends_with(b"/"))
        else {
            return Err(failed(io::ErrorKind::IsADirectory.into()).into());
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let directory = files::open_parent(parent).map_err(failed)?;
        Ok(Self { path, directory, name: Path::new(name) })
    }

    fn failed(&self, error: io::Error) -> OnionError {
        OnionError::file(self.path, error)
    }

    /// Reads the file. Returns `None` if it does not exist.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match files::open_file(&self.directory, self.name) {
            Ok(None) => Ok(None),
            Ok(Some(opened)) => read_private(opened, self.path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let detail = "is not a regular file, and a link is not followed";
                Err(OnionError::unsafe_path(self.path, detail).into())
            }
            Err(error) => Err(self.failed(error).into()),
        }
    }

    pub(super) fn read_existing(&self) -> Result<Zeroizing<Vec<u8>>> {
        let missing = || self.failed(io::ErrorKind::NotFound.into()).into();
        self.read()?.ok_or_else(missing)
    }

    /// Creates the file at once with its contents. Returns `false` if it exists.
    pub(super) fn create(&self, bytes: &[u8]) -> Result<bool> {
        let created = files::publish_file(&self.directory, self.name, bytes);
        Ok(created.map_err(|error| self.failed(error))?)
    }

    /// Creates the file, which must not exist.
    pub(super) fn create_new(&self, bytes: &[u8]) -> Result<()> {
        match self.create(bytes)? {
            true => Ok(()),
            false => Err(self.failed(io::ErrorKind::AlreadyExists.into()).into()),
        }
    }

    pub(super) fn parse<T>(
        &self,
        bytes: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, InvalidName>,
    ) -> Result<T> {
        let path = self.path.to_owned();
        Ok(read(bytes).map_err(|source| OnionError::new(OnionProblem::Key { path, source }))?)
    }
}

/// Reads an open file, unless others can access it.
pub(super) fn read_private(opened: File, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error| OnionError::file(path, error);
    let mode = opened.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let detail = format!("has mode {mode:04o}, and a key file must be private (0600)");
        return Err(OnionError::unsafe_path(path, detail).into());
    }
    // In one allocation, so that none is left behind with a part of the key.
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    opened.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
