use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Timeout, Wait};
use crate::names::quoted_path;

/// The error of a private network that could not be started, or of a relay that could not be
/// restarted.
///
/// A network that fails to start leaves no process, thread or temporary directory behind.
///
/// # Examples
///
/// ```no_run
/// use torcon::Error;
/// use torcon::testnet::PrivateNetwork;
///
/// match PrivateNetwork::launch() {
///     Err(Error::Testnet(error)) => {
///         eprintln!("step {} of {}: {}", error.step(), error.node().unwrap_or("all"), error.problem());
///         error.last_lines().iter().for_each(|line| eprintln!("{line}"));
///     }
///     outcome => println!("{} relays", outcome?.relays().len()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TestnetError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    step: TestnetStep,
    node: Option<Box<str>>,
    problem: TestnetProblem,
    last_lines: Vec<String>,
}

/// A step of starting a private network, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TestnetStep {
    /// The directory, the name server and the ports are prepared.
    Prepare,
    /// The authorities' keys are generated.
    Keys,
    /// Every tor is launched, and its control connection opened.
    Launch,
    /// The authorities wait for the descriptors of all relays.
    Descriptors,
    /// The authorities vote on the first consensus.
    Vote,
    /// Every relay downloads the consensus and the descriptors.
    Spread,
    /// The network can be used.
    Ready,
    /// A relay is restarted.
    Restart,
}

/// Why a private network failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestnetProblem {
    /// A program is missing.
    #[error(
        "the program {} does not exist; on Debian and Ubuntu, `apt-get install tor` \
         installs tor and tor-gencert", quoted_path(.program))]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// A program that generates keys cannot be started.
    #[error("the program {} cannot be started", quoted_path(.program))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// A program that generates keys failed; the last lines are its output.
    #[error("the program {} failed ({status})", quoted_path(.program))]
    Failed {
        /// The program.
        program: PathBuf,
        /// The exit status.
        status: ExitStatus,
    },
    /// The output of a program or of a tor cannot be read.
    #[error("{what} cannot be read")]
    Unreadable {
        /// The expected information.
        what: Box<str>,
    },
    /// A directory or file cannot be created or read.
    #[error("{} cannot be created or read", quoted_path(.path))]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// The given directory is not empty.
    #[error("the directory {} is not empty", quoted_path(.path))]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A port of 127.0.0.1 or a thread is not available.
    #[error("{what} is not available")]
    Resource {
        /// The resource.
        what: &'static str,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// A tor of the network could not be launched or refused a command.
    #[error(transparent)]
    Tor(Box<Error>),
    /// A tor of the network exited; its last lines may give the reason.
    #[error("tor exited ({status})")]
    Exited {
        /// The exit status.
        status: ExitStatus,
    },
    /// The time limit passed.
    #[error(transparent)]
    Timeout(Timeout),
}

impl TestnetStep {
    /// Returns the usual progress at the beginning of the step, in percent of the time.
    #[must_use]
    pub fn percent(self) -> u8 {
        match self {
            Self::Prepare | Self::Restart => 0,
            Self::Keys => 1,
            Self::Launch => 10,
            Self::Descriptors => 30,
            Self::Vote => 50,
            Self::Spread => 90,
            Self::Ready => 100,
        }
    }
}

impl fmt::Display for TestnetStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing",
            Self::Keys => "generating the keys of the authorities",
            Self::Launch => "launching the relays",
            Self::Descriptors => "collecting the descriptors",
            Self::Vote => "voting on the first consensus",
            Self::Spread => "distributing the consensus",
            Self::Ready => "ready",
            Self::Restart => "restarting a relay",
        })
    }
}

impl TestnetError {
    pub(crate) fn new(step: TestnetStep, problem: TestnetProblem) -> Self {
        let inner = Inner { step, node: None, problem, last_lines: Vec::new() };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn of_node(
        step: TestnetStep,
        node: &str,
        problem: TestnetProblem,
        last_lines: Vec<String>,
    ) -> Self {
        let inner = Inner { step, node: Some(node.into()), problem, last_lines };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the step that failed.
    #[must_use]
    pub fn step(&self) -> TestnetStep {
        self.inner.step
    }

    /// Returns the nickname of the relay or authority that failed, if one did.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.inner.node.as_deref()
    }

    /// Returns why the network failed.
    #[must_use]
    pub fn problem(&self) -> &TestnetProblem {
        &self.inner.problem
    }

    /// Returns the last lines of the program that failed, at most a hundred, oldest first.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        &self.inner.last_lines
    }

    pub(crate) fn is_timeout(&self) -> bool {
        match &self.inner.problem {
            TestnetProblem::Timeout(_) => true,
            TestnetProblem::Tor(error) => error.is_timeout(),
            _ => false,
        }
    }
}

impl TestnetProblem {
    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::Timeout(Timeout::new(Wait::Network, limit))
    }
}

impl fmt::Display for TestnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the private network failed in {}", self.inner.step)?;
        match &self.inner.node {
            Some(node) => write!(f, " ({node})"),
            None => Ok(()),
        }
    }
}

impl StdError for TestnetError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}
