//! The mount table of a process, from `/proc/PID/mountinfo`, which every user may read.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::PathView;

/// A mount table, in the kernel's order.
pub(super) struct Mounts(Vec<Mount>);

struct Mount {
    /// Major and minor number of the file system, the same for every process of a kernel.
    device: String,
    /// The directory of the file system that is mounted.
    root: PathBuf,
    /// The path at which the process sees that directory.
    point: PathBuf,
    /// Whether this mount is read-only; the file system may be writable elsewhere.
    read_only: bool,
}

impl Mounts {
    pub(super) fn of_this_process() -> Option<Self> {
        Self::read(Path::new("/proc/self/mountinfo"))
    }

    pub(super) fn of_process(pid: u32) -> Option<Self> {
        Self::read(Path::new(&format!("/proc/{pid}/mountinfo")))
    }

    fn read(path: &Path) -> Option<Self> {
        let table = Self::parse(&fs::read(path).ok()?);
        // The table of a process that has ended is empty.
        (!table.0.is_empty()).then_some(table)
    }

    fn parse(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self(lines.filter_map(read_mount).collect())
    }

    /// Returns the mount that an absolute path without links is in.
    fn covering(&self, path: &Path) -> Option<&Mount> {
        let covering = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several mounts at one path the last hides the others.
        covering.max_by_key(|mount| mount.point.components().count())
    }

    /// Returns whether both tables locate each ancestor of a path at the same place, or neither
    /// locates it.
    pub(super) fn agrees_above(&self, other: &Self, path: &Path) -> bool {
        path.ancestors().all(|part| match (self.locate(part), other.locate(part)) {
            (None, None) => true,
            (here, there) => here == there,
        })
    }

    /// Returns whether the mount of an absolute path without links is read-only.
    pub(super) fn is_read_only(&self, path: &Path) -> bool {
        self.covering(path).is_some_and(|mount| mount.read_only)
    }

    /// Returns the file system of an absolute path without links, and the path in it.
    fn locate(&self, path: &Path) -> Option<(&str, PathBuf)> {
        let mount = self.covering(path)?;
        let rest = path.strip_prefix(&mount.point).ok()?;
        Some((&mount.device, mount.root.join(rest)))
    }

    fn agrees(&self, other: &Self, path: &Path) -> Option<bool> {
        Some(self.locate(path)? == other.locate(path)?)
    }
}

/// Compares a path in two mount tables. `resolved` is the path without links. `None` if a table
/// does not locate it: the table of a process in a changed root lacks the root, unless the root is
/// a mount point.
pub(super) fn compare(
    here: &Mounts,
    there: &Mounts,
    path: &Path,
    resolved: &Path,
) -> Option<PathView> {
    Some(match here.agrees(there, resolved)? {
        false => PathView::Different,
        true if path == resolved => PathView::Same,
        // The directories that contain the links must be the same too.
        true => match path.ancestors().all(|part| here.agrees(there, part) == Some(true)) {
            true => PathView::Same,
            false => PathView::Unknown("tor may see other symbolic links on the way"),
        },
    })
}

/// Reads `22 27 0:21 / /proc rw,relatime - proc proc rw`.
fn read_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let device = String::from_utf8(fields.next()?.to_owned()).ok()?;
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let read_only = fields.next()?.split(|byte| *byte == b',').any(|option| option == b"ro");
    Some(Mount { device, root, point, read_only })
}

/// Decodes the kernel's escapes of blanks, tabs, line feeds and backslashes: a backslash and three
/// octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| byte == b'\\');
        let escaped = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Mounts, compare};
    use crate::controller::PathView;

    const HOST: &str = "27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 27 0:25 / /run rw - tmpfs tmpfs rw\n\
        31 27 8:2 / /srv rw - ext4 /dev/sdb1 rw\n";
    /// The mounts of Debian's systemd unit: `PrivateTmp` and a read-only root.
    const SANDBOX: &str = "127 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw\n\
        130 127 0:25 / /run rw - tmpfs tmpfs rw\n\
        131 127 8:2 / /srv rw - ext4 /dev/sdb1 rw\n\
        132 127 8:1 /tmp/systemd-private-1/tmp /tmp rw - ext4 /dev/sda1 rw\n";
    /// A container with one directory of the host.
    const CONTAINER: &str = "227 1 0:50 / / rw,relatime - overlay overlay rw\n\
        231 227 8:2 /shared\\040files /srv/shared\\040files rw - ext4 /dev/sdb1 rw\n\
        232 227 8:2 /other /srv/moved rw - ext4 /dev/sdb1 rw\n";
    /// A process in a changed root that is not a mount point: its root is not listed.
    const CHROOT: &str = "240 27 0:21 / /proc rw - proc proc rw\n";

    fn view(other: &str, path: &str, resolved: &str) -> Option<PathView> {
        let (here, there) = (Mounts::parse(HOST.as_bytes()), Mounts::parse(other.as_bytes()));
        compare(&here, &there, Path::new(path), Path::new(resolved))
    }

    #[test]
    fn a_path_is_compared_by_the_directory_that_is_mounted() {
        for (other, path, expected) in [
            (HOST, "/tmp/a", PathView::Same),
            (SANDBOX, "/var/lib/tor", PathView::Same),
            (SANDBOX, "/run/tor/control", PathView::Same),
            (SANDBOX, "/tmp/a", PathView::Different),
            (SANDBOX, "/tmpfile", PathView::Same),
            (CONTAINER, "/var/lib/tor", PathView::Different),
            (CONTAINER, "/srv/shared files/hs", PathView::Same),
            (CONTAINER, "/srv/moved/hs", PathView::Different),
        ] {
            assert_eq!(view(other, path, path), Some(expected), "{path}");
        }
        assert_eq!(view(CHROOT, "/var/lib/tor", "/var/lib/tor"), None);
        let tables = [CHROOT, CHROOT, HOST].map(|text| Mounts::parse(text.as_bytes()));
        let path = Path::new("/var/lib/tor");
        assert!(tables[0].agrees_above(&tables[1], path));
        assert!(!tables[0].agrees_above(&tables[2], path));
    }

    #[test]
    fn the_directories_of_symbolic_links_are_compared() {
        assert_eq!(view(SANDBOX, "/var/run/tor", "/run/tor"), Some(PathView::Same));
        let unknown = Some(PathView::Unknown("tor may see other symbolic links on the way"));
        assert_eq!(view(SANDBOX, "/tmp/link", "/srv/x"), unknown);
        assert_eq!(view(CONTAINER, "/link/hs", "/srv/shared files/hs"), unknown);
    }

    #[test]
    fn the_last_of_several_mounts_at_one_path_counts() {
        let covered = format!("{HOST}90 31 0:99 / /srv rw - tmpfs tmpfs rw\n");
        assert_eq!(view(&covered, "/srv/x", "/srv/x"), Some(PathView::Different));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_mounts_of_this_process_agree_with_themselves() {
        let (one, other) = (Mounts::of_this_process(), Mounts::of_process(std::process::id()));
        let path = Path::new("/nonexistent/a");
        let (one, other) = (one.unwrap(), other.unwrap());
        // In a changed root the table may not locate the path.
        let expected = one.covering(path).map(|_| PathView::Same);
        assert_eq!(compare(&one, &other, path, path), expected);
        assert!(Mounts::of_process(u32::MAX).is_none());
    }
}
