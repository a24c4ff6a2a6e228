//! The mounts that a process sees, from `/proc/PID/mountinfo`, which every user may read.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::PathView;

/// A mount table, in the kernel's order.
pub(super) struct Mounts(Vec<Mount>);

struct Mount {
    /// Major and minor number of the file system, which is the same for every process of a kernel.
    device: String,
    /// The directory of the file system that is mounted.
    root: PathBuf,
    /// Where the process sees that directory.
    point: PathBuf,
    /// Whether the process may only read there, whatever others may do.
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
        // A process that has ended shows an empty table.
        (!table.0.is_empty()).then_some(table)
    }

    fn parse(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self(lines.filter_map(read_mount).collect())
    }

    /// Returns the mount that an absolute path without links is in.
    fn covering(&self, path: &Path) -> Option<&Mount> {
        let covering = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several mounts at one place the last covers the others.
        covering.max_by_key(|mount| mount.point.components().count())
    }

    /// Whether neither table tells where any part of a path leads, or both tell the same.
    pub(super) fn contradicts_nowhere(&self, other: &Self, path: &Path) -> bool {
        path.ancestors().all(|part| match (self.locate(part), other.locate(part)) {
            (None, None) => true,
            (here, there) => here == there,
        })
    }

    /// Whether the process may only read at an absolute path without links.
    pub(super) fn is_read_only(&self, path: &Path) -> bool {
        self.covering(path).is_some_and(|mount| mount.read_only)
    }

    /// Returns the file system and the path in it to which an absolute path without links leads.
    fn locate(&self, path: &Path) -> Option<(&str, PathBuf)> {
        let mount = self.covering(path)?;
        let rest = path.strip_prefix(&mount.point).ok()?;
        Some((&mount.device, mount.root.join(rest)))
    }

    fn agrees(&self, other: &Self, path: &Path) -> Option<bool> {
        Some(self.locate(path)? == other.locate(path)?)
    }
}

/// Compares where a path leads in two mount tables. `resolved` is the path without links. `None`
/// if a table does not tell: that of a process in a changed root lacks the root, unless the root
/// is a mount point.
pub(super) fn compare(
    here: &Mounts,
    there: &Mounts,
    path: &Path,
    resolved: &Path,
) -> Option<PathView> {
    Some(match here.agrees(there, resolved)? {
        false => PathView::Different,
        true if path == resolved => PathView::Same,
        // The links must be the same ones, wherever on the way they are.
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

/// Undoes the kernel's escapes: a blank, a tab, a line feed and a backslash are written as a
/// backslash and three octal digits.
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
    /// As Debian's unit has it: `PrivateTmp` and a read-only root.
    const SANDBOX: &str = "127 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw\n\
        130 127 0:25 / /run rw - tmpfs tmpfs rw\n\
        131 127 8:2 / /srv rw - ext4 /dev/sdb1 rw\n\
        132 127 8:1 /tmp/systemd-private-1/tmp /tmp rw - ext4 /dev/sda1 rw\n";
    /// A container with one directory of the host.
    const CONTAINER: &str = "227 1 0:50 / / rw,relatime - overlay overlay rw\n\
        231 227 8:2 /shared\\040files /srv/shared\\040files rw - ext4 /dev/sdb1 rw\n\
        232 227 8:2 /other /srv/moved rw - ext4 /dev/sdb1 rw\n";
    /// A process in a changed root that is no mount point: its own root is not listed.
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
        assert!(tables[0].contradicts_nowhere(&tables[1], path));
        assert!(!tables[0].contradicts_nowhere(&tables[2], path));
    }

    #[test]
    fn links_on_the_way_count_where_they_are() {
        assert_eq!(view(SANDBOX, "/var/run/tor", "/run/tor"), Some(PathView::Same));
        let unknown = Some(PathView::Unknown("tor may see other symbolic links on the way"));
        assert_eq!(view(SANDBOX, "/tmp/link", "/srv/x"), unknown);
        assert_eq!(view(CONTAINER, "/link/hs", "/srv/shared files/hs"), unknown);
    }

    #[test]
    fn the_last_of_several_mounts_at_one_place_counts() {
        let covered = format!("{HOST}90 31 0:99 / /srv rw - tmpfs tmpfs rw\n");
        assert_eq!(view(&covered, "/srv/x", "/srv/x"), Some(PathView::Different));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_sees_what_it_sees() {
        let (one, other) = (Mounts::of_this_process(), Mounts::of_process(std::process::id()));
        let path = Path::new("/nonexistent/a");
        let (one, other) = (one.unwrap(), other.unwrap());
        // Nothing is told in a changed root.
        let expected = one.covering(path).map(|_| PathView::Same);
        assert_eq!(compare(&one, &other, path, path), expected);
        assert!(Mounts::of_process(u32::MAX).is_none());
    }
}
