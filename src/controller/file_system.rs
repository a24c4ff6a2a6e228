//! Whether tor sees the same files as this program.
//!
//! Neither a loopback address nor a unix socket proves it: the control port of a container can be
//! published on 127.0.0.1 or mounted as a socket, a filter or a tunnel can forward the connection
//! to another machine, and a packaged tor has private mounts (`PrivateTmp`). Every check of a path
//! on tor's behalf calls [`Controller::path_view`] first, and refuses only for [`PathView::Same`].

mod mounts;
mod obstacle;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use self::mounts::Mounts;
use super::Controller;
use crate::link::Peer;

/// How tor sees a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum PathView {
    /// The path is proved to be the same file to tor and to this program.
    Same,
    /// The path is proved to be another file to tor.
    Different,
    /// Neither is proved, for this reason, which ends a sentence.
    Unknown(&'static str),
}

/// The process of tor.
#[derive(Clone, Copy, Debug)]
pub(in crate::controller) struct TorProcessId {
    /// The pid in the PID namespace of this program.
    pid: u32,
    /// Whether this program has spawned it.
    is_launched: bool,
}

impl Controller {
    /// Returns whether an absolute path is the same file to tor and to this program.
    ///
    /// The proof needs tor's process: the one that this program launched, or the peer of the unix
    /// socket if its pid is the one that tor reports. The mount tables of both processes then show
    /// whether the path is in the same directory of the same file system. Symbolic links are
    /// followed as this program sees them.
    ///
    /// Sends `GETINFO process/pid`, once per connection, if the connection is a unix socket and tor
    /// was not launched by this program. Blocks for at most the [time limit](Self::with_timeout).
    pub(in crate::controller) fn path_view(&self, path: &Path) -> PathView {
        if !path.is_absolute() {
            return PathView::Unknown("the path is relative to a directory that only tor knows");
        }
        match self.tor_process() {
            Ok(process) => process.view_of(path, &resolved(path), process.mounts().as_ref()),
            Err(reason) => PathView::Unknown(reason),
        }
    }

    /// Returns whether the peer of the connection is on this machine. It need not be tor: see
    /// [`path_view`](Self::path_view).
    pub(crate) fn is_on_this_machine(&self) -> bool {
        self.inner.peer.is_on_this_machine()
    }

    /// Records that this program has spawned tor as the process `pid`.
    pub(in crate::controller) fn set_launched(&self, pid: u32) {
        // Only the first counts: a connection has one tor.
        let _ = self.inner.process.set(TorProcessId { pid, is_launched: true });
    }

    /// Returns tor's process as this program sees it, if it can be proved.
    fn tor_process(&self) -> Result<TorProcessId, &'static str> {
        if let Some(process) = self.inner.process.get() {
            return Ok(*process);
        }
        let peer = match self.inner.peer {
            Peer::Process(Some(peer)) => peer,
            Peer::Process(None) => return Err("the process at the unix socket is not known"),
            Peer::Host { .. } | Peer::Unknown => {
                return Err("a TCP connection does not prove where tor runs");
            }
        };
        let reported = self.get_info_one("process/pid").ok().and_then(|pid| pid.parse().ok());
        let reported: u32 = reported.ok_or("tor does not report its pid")?;
        // Every PID namespace has a process 1, so that pid proves nothing.
        if reported == 1 || innermost_pid(peer) != Some(reported) {
            return Err("the process at the unix socket is not proved to be tor");
        }
        Ok(*self.inner.process.get_or_init(|| TorProcessId { pid: peer, is_launched: false }))
    }
}

impl TorProcessId {
    fn mounts(self) -> Option<Mounts> {
        Mounts::of_process(self.pid)
    }

    /// Returns how the process sees a path. `found` is the path without links, `mounts` are those of
    /// the process.
    fn view_of(self, path: &Path, found: &Path, mounts: Option<&Mounts>) -> PathView {
        let here = Mounts::of_this_process();
        let Some((here, there)) = here.as_ref().zip(mounts) else {
            return self.without_proof("the mounts of tor's process cannot be read");
        };
        if let Some(view) = mounts::compare(here, there, path, found) {
            return view;
        }
        let agree = here.agrees_above(there, path) && here.agrees_above(there, found);
        match agree && has_root_of_this_program(self.pid) {
            true => PathView::Same,
            false => self.without_proof("tor or this program has another root directory"),
        }
    }

    /// A child inherits the mounts of its parent. Not every system shows them, and mount tables may
    /// be incomplete.
    fn without_proof(self, reason: &'static str) -> PathView {
        if self.is_launched { PathView::Same } else { PathView::Unknown(reason) }
    }
}

/// Returns whether a process certainly has the root directory of this program. Only root may see
/// that of another user's tor.
fn has_root_of_this_program(pid: u32) -> bool {
    let identity = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let here = identity("/");
    here.is_some() && here == identity(&format!("/proc/{pid}/root"))
}

/// Returns the pid that a process has in its own PID namespace.
fn innermost_pid(pid: u32) -> Option<u32> {
    let status = process_status(pid)?;
    status_field(&status, "NSpid:")?.split_ascii_whitespace().next_back()?.parse().ok()
}

fn process_status(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// Resolves the symbolic links in the part of a path that exists.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return found.join(rest);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{innermost_pid, resolved};

    #[test]
    fn the_links_of_a_path_are_resolved_as_far_as_it_exists() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().canonicalize().unwrap();
        std::fs::create_dir(directory.join("run")).unwrap();
        std::os::unix::fs::symlink("run", directory.join("var-run")).unwrap();
        let found = resolved(&directory.join("var-run/missing/hs"));
        assert_eq!(found, directory.join("run/missing/hs"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_has_a_pid_in_its_own_namespace() {
        assert_eq!(innermost_pid(std::process::id()), Some(std::process::id()));
        assert_eq!(innermost_pid(u32::MAX), None);
    }
}
