//! Obstacles that keep tor from using a directory of an onion service.
//!
//! tor exits if it cannot create or use the directory. `preflight` refuses a directory only if this
//! is certain. Before this program creates a directory itself, it also excludes the likely causes:
//! another mount, a read-only mount, a security profile, a parent directory that tor's user may not
//! enter.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{PathView, TorProcessId, process_status, resolved, status_field};
use crate::controller::Controller;

impl Controller {
    /// Returns why tor may be unable to use a directory, as the end of a sentence about the path.
    /// `reported` is the pid and the uid that tor reports.
    ///
    /// Sends what [`path_view`](Self::path_view) sends, and `GETCONF DataDirectory` if a security
    /// profile confines tor.
    pub(crate) fn directory_obstacle(
        &self,
        path: &Path,
        reported: (Option<i32>, Option<u32>),
    ) -> Option<&'static str> {
        if !cfg!(target_os = "linux") {
            // Other systems have no mounts per process.
            return None;
        }
        let process = self.tor_process();
        let process = match process.or_else(|reason| probable_process(reported).ok_or(reason)) {
            Ok(process) => process,
            Err(reason) => return Some(reason),
        };
        let (found, mounts) = (resolved(path), process.mounts());
        match process.view_of(path, &found, mounts.as_ref()) {
            PathView::Same => {}
            PathView::Different => return Some("tor sees another file system there"),
            PathView::Unknown(reason) => return Some(reason),
        }
        if mounts.is_some_and(|mounts| mounts.is_read_only(&found)) {
            return Some("tor may only read there");
        }
        if is_confined(process.pid) && !self.is_in_data_directory(path) {
            return Some("a security profile confines tor to other directories");
        }
        let ids = FileIds::of_process(process.pid);
        if found.ancestors().skip(1).any(|parent| !ids.may_enter(parent)) {
            return Some("tor's user may not enter the parent directory");
        }
        None
    }

    fn is_in_data_directory(&self, path: &Path) -> bool {
        let conf = self.get_conf(["DataDirectory"]);
        let directory =
            conf.ok().and_then(|conf| Some(conf.get("DataDirectory")?.first()?.trim().to_owned()));
        directory.is_some_and(|directory| !directory.is_empty() && path.starts_with(&directory))
    }
}

/// Returns the process of the reported pid, if it is called `tor` and has the reported uid. In another
/// PID namespace the pid may be that of another program.
fn probable_process(reported: (Option<i32>, Option<u32>)) -> Option<TorProcessId> {
    let (Some(pid), Some(user)) = reported else { return None };
    let pid = u32::try_from(pid).ok()?;
    let status = process_status(pid)?;
    let is_tor = status_field(&status, "Name:")?.trim() == "tor";
    let real_user = status_field(&status, "Uid:")?.split_ascii_whitespace().next()?.parse().ok();
    let is_probable = pid > 1 && is_tor && real_user == Some(user);
    is_probable.then_some(TorProcessId { pid, is_launched: false })
}

/// Returns whether tor has an enforced security profile that this program does not have: in a
/// container every process has that of the container.
fn is_confined(pid: u32) -> bool {
    let label = security_label(&pid.to_string());
    is_enforced(&label) && label != security_label("self")
}

/// Returns whether a security label is that of an enforced AppArmor or SELinux profile.
fn is_enforced(label: &str) -> bool {
    label.ends_with("(enforce)") || label.contains(":tor_t:")
}

fn security_label(process: &str) -> String {
    let label = fs::read_to_string(format!("/proc/{process}/attr/current")).unwrap_or_default();
    label.trim_end_matches('\0').trim().to_owned()
}

/// The ids that decide which files a process may access.
struct FileIds {
    user: Option<u32>,
    groups: Vec<u32>,
}

impl FileIds {
    fn of_process(pid: u32) -> Self {
        let status = process_status(pid).unwrap_or_default();
        let ids = |name| -> Vec<u32> {
            let words = status_field(&status, name).unwrap_or_default().split_ascii_whitespace();
            words.filter_map(|word| word.parse().ok()).collect()
        };
        // The file system ids are the last of four.
        let (user, group) = (ids("Uid:").pop(), ids("Gid:").pop());
        Self { user, groups: ids("Groups:").into_iter().chain(group).collect() }
    }

    /// Returns whether the process may enter a directory, by its mode.
    fn may_enter(&self, directory: &Path) -> bool {
        let found = match directory.metadata() {
            Ok(found) => found,
            // A missing directory is reported when it is opened.
            Err(error) => return error.kind() == ErrorKind::NotFound,
        };
        let class = match self.user {
            Some(0) => return true,
            Some(user) if user == found.uid() => 0o100,
            _ if self.groups.contains(&found.gid()) => 0o010,
            _ => 0o001,
        };
        found.mode() & class != 0
    }
}
