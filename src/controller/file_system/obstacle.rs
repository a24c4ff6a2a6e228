//! Obstacles that keep tor from using a directory of an onion service.
//!
//! tor exits if it cannot create or use the directory. `preflight` refuses what is certain to fail;
//! before this program creates a directory itself, it also excludes what is likely to: another
//! mount, a read-only mount, a security profile, a parent that tor's user may not enter.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::mounts::Mounts;
use super::{PathView, resolved, view_of_process};
use crate::controller::Controller;

const NO_PROCESS: &str = "tor's process cannot be seen";

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
        let proved = self.tor_process().ok().map(|tor| tor.pid);
        let Some(pid) = proved.or_else(|| probable_process(reported)) else {
            return Some(match self.path_view(path) {
                PathView::Unknown(reason) => reason,
                PathView::Same | PathView::Different => NO_PROCESS,
            });
        };
        let view = match proved {
            Some(_) => self.path_view(path),
            None => view_of_process(pid, path).unwrap_or_else(PathView::Unknown),
        };
        match view {
            PathView::Same => {}
            PathView::Different => return Some("tor sees another file system there"),
            PathView::Unknown(reason) => return Some(reason),
        }
        let found = resolved(path);
        if Mounts::of_process(pid).is_some_and(|mounts| mounts.is_read_only(&found)) {
            return Some("tor may only read there");
        }
        if is_confined(pid) && !self.is_in_data_directory(path) {
            return Some("a security profile confines tor to other directories");
        }
        if found.ancestors().skip(1).any(|parent| !may_enter(pid, parent)) {
            return Some("the user that tor runs as may not enter the directory above it");
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

/// Returns the reported pid, if the process of this pid is called `tor` and has the reported uid.
/// In another PID namespace the pid may be that of another program.
fn probable_process(reported: (Option<i32>, Option<u32>)) -> Option<u32> {
    let (Some(pid), Some(user)) = reported else { return None };
    let pid = u32::try_from(pid).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let is_tor = field(&status, "Name:")?.trim() == "tor";
    let real_user = field(&status, "Uid:")?.split_ascii_whitespace().next()?.parse().ok();
    (pid > 1 && is_tor && real_user == Some(user)).then_some(pid)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
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

/// Returns whether the user of a process may enter a directory, by its mode.
fn may_enter(pid: u32, directory: &Path) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = |name| -> Vec<u32> {
        let words = field(&status, name).unwrap_or_default().split_ascii_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    // The file system ids are the last of four.
    let (user, group) = (ids("Uid:").pop(), ids("Gid:").pop());
    let found = match directory.metadata() {
        Ok(found) => found,
        // A missing directory is reported when it is opened.
        Err(error) => return error.kind() == ErrorKind::NotFound,
    };
    let class = match user {
        Some(0) => return true,
        Some(user) if user == found.uid() => 0o100,
        _ if group == Some(found.gid()) || ids("Groups:").contains(&found.gid()) => 0o010,
        _ => 0o001,
    };
    found.mode() & class != 0
}
