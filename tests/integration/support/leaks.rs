//! The leaks of a test: threads, children, files in the temporary directory, descriptors.
//!
//! All of them belong to the whole process, and tests run beside each other. So a test of this kind
//! runs [`exclusive`](super::exclusive::exclusive), in a separate process and temporary directory.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::exclusive::is_exclusive;
use super::watchdog::eventually;

/// The resources of this process, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// The names of torcon's threads.
    pub(crate) threads: Vec<String>,
    /// Number, name and state of each child: `alive`, or `Z` for a zombie.
    pub(crate) children: Vec<String>,
    /// The entries of the temporary directory.
    pub(crate) files: Vec<PathBuf>,
    /// The number of open files and sockets.
    pub(crate) descriptors: usize,
}

impl Holdings {
    /// Counts when nothing has changed for a moment: a new thread takes its name late, and one that
    /// ends holds its descriptors for a while. Panics if the test does not run alone, since the
    /// result would mean nothing.
    #[track_caller]
    pub(crate) fn now() -> Self {
        assert!(is_exclusive(), "leaks can be counted only within exclusive()");
        let end = Instant::now() + Duration::from_secs(10);
        let (mut holdings, mut equal) = (Self::count(), 0);
        while equal < 10 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
            let next = Self::count();
            equal = if next == holdings { equal + 1 } else { 0 };
            holdings = next;
        }
        holdings
    }

    /// Counts as [`now`](Self::now) does, once the process has a thread with this name, which a new
    /// thread gives itself.
    #[track_caller]
    pub(crate) fn with_thread(name: &str) -> Self {
        eventually(Duration::from_secs(60), "the thread runs", || threads(name).len() == 1);
        Self::now()
    }

    fn count() -> Self {
        let mut files: Vec<_> = fs::read_dir(std::env::temp_dir())
            .expect("the temporary directory can be read")
            .map(|entry| entry.expect("an entry can be read").path())
            .collect();
        files.sort();
        let descriptors = fs::read_dir("/proc/self/fd").expect("/proc is mounted").count();
        Self { threads: threads("torcon-"), children: children(), files, descriptors }
    }

    /// Returns whether `other` has nothing that is not in these holdings.
    fn contains(&self, other: &Self) -> bool {
        fn is_part<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
            let count = |of: &[T], wanted: &T| of.iter().filter(|entry| *entry == wanted).count();
            part.iter().all(|entry| count(part, entry) <= count(whole, entry))
        }
        is_part(&other.threads, &self.threads)
            && is_part(&other.children, &self.children)
            && is_part(&other.files, &self.files)
            && other.descriptors <= self.descriptors
    }

    /// Requires that the process has nothing more than these holdings within `limit`.
    #[track_caller]
    pub(crate) fn assert_restored(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let now = Self::count();
            if self.contains(&now) {
                return;
            }
            assert!(
                Instant::now() < end,
                "something was left behind\nbefore: {self:#?}\nnow: {now:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns the names of this process's threads that begin with `prefix`, sorted.
pub(crate) fn threads(prefix: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir("/proc/self/task")
        .expect("/proc is mounted")
        // A thread may end after the listing.
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names
}

/// Returns number, name and state of each child of this process, sorted.
pub(crate) fn children() -> Vec<String> {
    let parent = std::process::id().to_string();
    let mut children: Vec<_> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            // The name stands in parentheses and may hold anything, parentheses too.
            let (front, back) = stat.rsplit_once(')')?;
            let mut fields = back.split_whitespace();
            // Whether it runs or sleeps is random.
            let state = if fields.next()? == "Z" { "Z" } else { "alive" };
            (fields.next()? == parent).then(|| format!("{front}) {state}"))
        })
        .collect();
    children.sort();
    children
}

/// Returns the most memory that this process has ever had in use, in bytes.
pub(crate) fn peak_memory() -> u64 {
    memory("VmHWM:")
}

/// Returns by how many bytes [`peak_memory`] has grown. The kernel adds up counts of each processor,
/// so a later number can be a little less.
pub(crate) fn peak_growth(before: u64) -> u64 {
    peak_memory().saturating_sub(before)
}

/// Returns the memory that this process has in use, in bytes.
pub(crate) fn resident_memory() -> u64 {
    memory("VmRSS:")
}

fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let line = line.expect("the kernel counts memory");
    let number = line.trim().trim_end_matches("kB").trim().parse::<u64>();
    number.expect("the size is a number") * 1024
}

/// Returns a listing of the resources, for the message of an assertion.
pub(crate) fn describe() -> String {
    let mut text = String::new();
    writeln!(text, "threads: {:?}", threads("")).unwrap();
    writeln!(text, "children: {:?}", children()).unwrap();
    text
}

#[test]
fn a_thread_a_child_and_a_directory_are_found() {
    use super::failure::panic_of;

    super::exclusive::exclusive(|| {
        let before = Holdings::now();
        assert_eq!(before.threads, Vec::<String>::new(), "{}", describe());
        assert_eq!(before.children, Vec::<String>::new(), "{}", describe());
        assert_eq!(before.files, Vec::<PathBuf>::new());

        let (trigger, signal) = super::signal::signal();
        let thread = std::thread::Builder::new()
            .name("torcon-left".to_owned())
            .spawn(move || signal.wait())
            .unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = fs::File::open("/dev/null").unwrap();

        // A new thread takes its name a moment after it was started.
        eventually(Duration::from_secs(30), "the thread has its name", || {
            threads("torcon-") == ["torcon-left"]
        });
        let now = Holdings::now();
        assert_eq!(now.children.len(), 1, "{now:?}");
        assert!(now.children[0].contains("(sleep)"), "{now:?}");
        assert_eq!(now.files, [directory.path()]);
        assert_eq!(now.descriptors, before.descriptors + 1);

        child.kill().unwrap();
        // Killed but not waited for: a zombie.
        let message = panic_of(|| before.assert_restored(Duration::from_millis(20)));
        assert!(message.contains("(sleep) Z"), "{message}");
        child.wait().unwrap();
        trigger.fire();
        thread.join().unwrap();
        drop((directory, file));
        before.assert_restored(Duration::from_secs(30));
    });
}

#[test]
fn the_peak_of_memory_grows_with_what_is_used() {
    super::exclusive::exclusive(|| {
        let before = peak_memory();
        let block = vec![1_u8; 64 << 20];
        assert_eq!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 64 << 20);
        assert!(peak_memory() > before + (60 << 20));
    });
}
