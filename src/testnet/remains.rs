use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use super::PrivateNetwork;
use super::node::Node;
use crate::sync::Mutex;

/// Waits for the end of standard input, which is the end of the program, and then kills the tors
/// and deletes the directories that the lines of standard input have named.
///
/// A relay of tor 0.4.9 sometimes hangs when it ends because its owner has ended. A process is killed
/// only if its command line contains one of the directories, since its number may be used again.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
pids=
set --
while IFS= read -r line; do
    case $line in
    'pid '*) pids="$pids ${line#pid }" ;;
    'dir '*) set -- "$@" "${line#dir }" ;;
    esac
done
for pid in $pids; do
    arguments=$( (tr '\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid") 2>/dev/null )
    for directory; do
        case $arguments in
        *"$directory"*) kill -9 "$pid" ;;
        esac
    done
done
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

/// A shell that cleans up after this program: of a network that is never dropped.
#[derive(Debug)]
pub(super) struct Remains {
    // A leaf lock.
    input: Mutex<ChildStdin>,
}

impl Remains {
    /// Starts the shell. A failure is logged: the next launch then deletes the directories.
    pub(super) fn watch(network: &PrivateNetwork) -> Option<Self> {
        let started = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "torcon-remains"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // A signal to the group of the program, such as that of Ctrl-C, does not end it.
            .process_group(0)
            .spawn();
        let input = match started.map(|child| child.stdin) {
            Ok(input) => input?,
            Err(error) => {
                log::warn!("nothing will clean up after the shared network: {error}");
                return None;
            }
        };
        let remains = Self { input: Mutex::new(input) };
        if let Some(directory) = network.directory.temporary() {
            remains.report(|line| line.directory(directory));
        }
        network.nodes.0.iter().for_each(|node| remains.add(node));
        Some(remains)
    }

    /// Adds the process of a tor, which was started or restarted.
    pub(super) fn add(&self, node: &Node) {
        let Some(process) = node.process() else { return };
        self.report(|lines| {
            process.temporary_directories().iter().for_each(|path| lines.directory(path));
            lines.0.extend_from_slice(format!("pid {}\n", process.pid()).as_bytes());
        });
    }

    fn report(&self, describe: impl FnOnce(&mut Report)) {
        let mut lines = Report(Vec::new());
        describe(&mut lines);
        let written: io::Result<()> = self.input.lock().write_all(&lines.0);
        if let Err(error) = written {
            log::warn!("the shell that cleans up after the shared network has ended: {error}");
        }
    }
}

/// Lines for the shell.
struct Report(Vec<u8>);

impl Report {
    fn directory(&mut self, path: &Path) {
        let path = path.as_os_str().as_bytes();
        // Such a path would be several lines; the next launch deletes the directory.
        if !path.contains(&b'\n') {
            self.0.extend([b"dir ".as_slice(), path, b"\n"].concat());
        }
    }
}
