//! Starting the child process.
//!
//! A child of `std` inherits the signal mask and the ignored signals of this program: if the program
//! blocks SIGTERM, so does its tor. To reset them between fork and exec would need unsafe code;
//! `posix_spawn` resets them itself.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{AccessFlags, Pid, access};

use crate::error::LaunchProblem;

/// The variables that tor inherits. Others can be secrets or meant for this program only: with
/// `NOTIFY_SOCKET`, tor would report to systemd that this program is ready.
const ENVIRONMENT: [&str; 9] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SSL_CERT_DIR",
];

/// A process that has just been started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: Pid,
    pub(super) stdout: File,
    pub(super) stderr: File,
}

/// Returns the environment of a child: the inherited variables, then those of the user.
pub(super) fn child_environment(own: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let inherited = ENVIRONMENT.iter().filter_map(|name| Some((name.into(), env::var_os(name)?)));
    let mut environment = Vec::new();
    for (name, value) in inherited.chain(own.iter().cloned()) {
        environment.retain(|(known, _)| *known != name);
        environment.push((name, value));
    }
    environment
}

/// Returns the directories in which programs are searched.
pub(super) fn search_path(environment: &[(OsString, OsString)]) -> Option<&OsStr> {
    environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str())
}

/// Starts a program with pipes as its outputs and no signal blocked or ignored. It has its own
/// process group, so that a Ctrl-C on the terminal reaches only this program, which decides how tor
/// ends.
pub(super) fn spawn(
    program: &Path,
    arguments: &[&OsStr],
    environment: &[(OsString, OsString)],
    stdin: OwnedFd,
) -> Result<Spawned, LaunchProblem> {
    try_spawn(program, arguments, environment, stdin).map_err(|error| problem(program, error))
}

fn try_spawn(
    program: &Path,
    arguments: &[&OsStr],
    environment: &[(OsString, OsString)],
    stdin: OwnedFd,
) -> io::Result<Spawned> {
    let path = find(program, search_path(environment))?;
    let arguments = [program.as_os_str()].into_iter().chain(arguments.iter().copied());
    let arguments =
        arguments.map(|text| c_string(text.as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let environment = environment
        .iter()
        .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<io::Result<Vec<_>>>()?;
    let (stdout, child_stdout) = pipe()?;
    let (stderr, child_stderr) = pipe()?;
    let child_ends =
        [above_standard(stdin)?, above_standard(child_stdout)?, above_standard(child_stderr)?];
    let mut actions = PosixSpawnFileActions::init()?;
    for (target, end) in (0..).zip(&child_ends) {
        actions.add_dup2(end.as_raw_fd(), target)?;
    }
    let mut defaults = SigSet::all();
    // Their disposition cannot be set.
    defaults.remove(Signal::SIGKILL);
    defaults.remove(Signal::SIGSTOP);
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&defaults)?;
    let pid = posix_spawn(&*path, &actions, &attributes, &arguments, &environment)?;
    Ok(Spawned { pid, stdout: File::from(stdout), stderr: File::from(stderr) })
}

/// `ENOENT` also stands for the missing interpreter of an existing script.
fn problem(program: &Path, error: io::Error) -> LaunchProblem {
    let named_by_path = program.as_os_str().as_bytes().contains(&b'/');
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let program = program.to_owned();
    if is_missing && !(named_by_path && program.exists()) {
        LaunchProblem::NotFound { program }
    } else {
        LaunchProblem::Spawn { program, source: Arc::new(error) }
    }
}

/// Returns the path of the program. A name without a slash is searched in the `PATH` of the child.
pub(super) fn find(program: &Path, path: Option<&OsStr>) -> io::Result<PathBuf> {
    if program.as_os_str().as_bytes().contains(&b'/') {
        return Ok(program.to_owned());
    }
    let candidates = env::split_paths(path.unwrap_or(OsStr::new("/usr/bin:/bin")));
    let mut candidates =
        candidates.map(|directory| directory.join(program)).filter(|path| path.is_file());
    // Like a shell: a file that is not executable is an error only if no other is found.
    let first = candidates.next().ok_or(io::ErrorKind::NotFound)?;
    let is_executable = |path: &PathBuf| access(path, AccessFlags::X_OK).is_ok();
    Ok([first.clone()].into_iter().chain(candidates).find(is_executable).unwrap_or(first))
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(io::Error::from)
}

/// Returns a descriptor above 0, 1 and 2, which are replaced in the child one after the other. A
/// program that has closed its standard streams gets these numbers for new descriptors.
fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    // `try_clone` returns 3 or higher.
    if fd.as_raw_fd() > 2 { Ok(fd) } else { fd.try_clone() }
}

/// Creates a pipe that no other child inherits.
#[cfg(not(target_vendor = "apple"))]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// Creates a pipe. A child that another thread starts at this moment inherits it.
#[cfg(target_vendor = "apple")]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    let (read, write) = nix::unistd::pipe()?;
    for end in [&read, &write] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((read, write))
}
