use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::AT_FDCWD;

use super::node::Node;
use crate::error::TestnetProblem;
use crate::private_files;
use crate::temporary::{self, TemporaryDirectory};

/// The directory of a network. A temporary one is removed when this is dropped.
#[derive(Debug)]
pub(super) struct NetworkDirectory {
    path: PathBuf,
    temporary: Option<TemporaryDirectory>,
}

impl NetworkDirectory {
    pub(super) fn create(given: Option<&Path>) -> Result<Self, TestnetProblem> {
        let Some(given) = given else {
            let parent = temporary::root();
            let problem = |error| directory_problem(&parent, error);
            temporary::sweep(&parent);
            let temporary = TemporaryDirectory::create_in(&parent, "net-").map_err(problem)?;
            // Beside the lock file, which `clear` must not remove.
            let path = temporary.path().join("network");
            create(&path)?;
            return Ok(Self { path, temporary: Some(temporary) });
        };
        let path = path::absolute(given).map_err(|error| directory_problem(given, error))?;
        match fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(TestnetProblem::NotEmpty { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path)?,
            Err(error) => return Err(directory_problem(&path, error)),
        }
        Ok(Self { path, temporary: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the temporary directory, or `None` for a given one, which is never deleted.
    pub(super) fn temporary(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TemporaryDirectory::path)
    }

    /// Writes a file and returns its path.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, TestnetProblem> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(|error| directory_problem(&path, error))?;
        Ok(path)
    }

    /// Keeps a temporary directory from being removed while a tor of the network runs.
    pub(super) fn record_process(&self, node: &Node) {
        let Some((temporary, process)) = self.temporary.as_ref().zip(node.process()) else {
            return;
        };
        if let Err(error) = temporary.record_process(process.pid()) {
            log::warn!("tor cannot be recorded in {:?}: {error}", temporary.path());
        }
    }

    /// Removes the content.
    pub(super) fn clear(&self) -> Result<(), TestnetProblem> {
        let cleared = fs::read_dir(&self.path).and_then(|mut entries| {
            entries.try_for_each(|entry| {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())
                } else {
                    fs::remove_file(entry.path())
                }
            })
        });
        cleared.map_err(|error| directory_problem(&self.path, error))
    }
}

/// Creates a private directory.
pub(super) fn create(path: &Path) -> Result<(), TestnetProblem> {
    let exists = || io::Error::from(io::ErrorKind::AlreadyExists);
    let created = private_files::create_directory(AT_FDCWD, path, None);
    let created = created.and_then(|directory| directory.ok_or_else(exists));
    created.map(drop).map_err(|error| directory_problem(path, error))
}

pub(super) fn directory_problem(path: &Path, error: io::Error) -> TestnetProblem {
    TestnetProblem::Directory { path: path.to_owned(), source: Arc::new(error) }
}
