use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Timeout, Wait};
use crate::names::quoted_path;

/// A private network could not be brought up, or one of its relays could not be restarted.
///
/// When a network does not come up nothing of it is left: no process, no thread, no temporary
/// directory.
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

/// A step on the way to a usable private network, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TestnetStep {
    /// The directory, the name server and the ports are got ready.
    Prepare,
    /// The authorities' keys are made.
    Keys,
    /// Every tor is started, and its control connection made.
    Launch,
    /// The authorities wait for the descriptors of all relays.
    Descriptors,
    /// The authorities make the first consensus.
    Vote,
    /// Every relay fetches the consensus and what belongs to it.
    Spread,
    /// The network can be used.
    Ready,
    /// A relay is started again.
    Restart,
}

/// What went wrong with a private network.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestnetProblem {
    /// A program is missing.
    #[error(
        "the program {} does not exist; on Debian and Ubuntu, `apt-get install tor` \
         installs tor and tor-gencert", quoted_path(.program))]
    NotFound {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// A program that makes keys did not start.
    #[error("the program {} cannot be started", quoted_path(.program))]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A program that makes keys failed; the last lines are its own.
    #[error("the program {} failed ({status})", quoted_path(.program))]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program, or a tor, did not say what it must say.
    #[error("{what} cannot be read")]
    Unreadable {
        /// What was looked for.
        what: Box<str>,
    },
    /// A directory or file cannot be made or read.
    #[error("{} cannot be made ready", quoted_path(.path))]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// The given directory holds something already.
    #[error("the directory {} is not empty", quoted_path(.path))]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A port of 127.0.0.1 or a thread is not to be had.
    #[error("{what} is not to be had")]
    Resource {
        /// What was asked for.
        what: &'static str,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A tor of the network could not be launched or refused something.
    #[error(transparent)]
    Tor(Box<Error>),
    /// A tor of the network ended by itself; its own last lines may say why.
    #[error("it ended ({status})")]
    Exited {
        /// How it ended.
        status: ExitStatus,
    },
    /// The time was over.
    #[error(transparent)]
    Timeout(Timeout),
}

impl TestnetStep {
    /// Returns how much of the usual time is over when the step begins, in percent.
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
            Self::Prepare => "making ready",
            Self::Keys => "making the keys of the authorities",
            Self::Launch => "starting the relays",
            Self::Descriptors => "collecting the descriptors",
            Self::Vote => "voting on the first consensus",
            Self::Spread => "spreading the consensus",
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

    /// Returns the nickname of the relay or authority that failed, if it was one of them.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.inner.node.as_deref()
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn problem(&self) -> &TestnetProblem {
        &self.inner.problem
    }

    /// Returns the last lines that the program which failed printed, at most a hundred, oldest
    /// first.
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
