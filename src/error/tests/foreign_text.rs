//! Foreign text in every kind of error: it is shown escaped.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{
    AuthError, AuthProblem, BufferError, BufferProblem, Canceled, CircuitEnd, CircuitError,
    CircuitProblem, ConfigError, ConnectAttempt, ConnectError, ConnectProblem, Disconnect, Error,
    HopRole, HsDirFailure, HsDirUpload, InvalidInput, LaunchError, LaunchProblem, LaunchReport,
    OnionError, OnionProblem, PathError, PathObstacle, PathProblem, ProtocolError, ReadError,
    ReadProblem, Rejection, RejectionLine, RemovedBy, ResolveError, ResolveProblem, SocksError,
    SocksProblem, SupervisorError, SupervisorProblem, Timeout, UploadOutcome, Wait, excerpt,
};
#[cfg(feature = "onion-descriptor")]
use crate::error::{OnionDescriptorError, OnionDescriptorProblem};
#[cfg(feature = "verify")]
use crate::error::{RefusedSignature, VerifyError, VerifyProblem};
#[cfg(feature = "testnet")]
use crate::error::{TestnetError, TestnetProblem, TestnetStep};
use crate::names::{
    AuthMethod, CircuitPurpose, CircuitReason, CircuitStatus, HsDescReason, OnionKey, RelayFlag,
    RelaySpec, StreamReason, printable,
};

/// Forges a line of a log, colors the terminal, and reverses the direction of the text.
const TEXT: &str = "a\n[notice] forged\x1b[31m\u{202e}";

/// The part of [`TEXT`] that stays as it is.
const MARK: &str = "[notice] forged";

/// The text with a byte that is not UTF-8.
fn bytes() -> Vec<u8> {
    [TEXT.as_bytes(), b"\xff"].concat()
}

fn path() -> PathBuf {
    OsString::from_vec([b"/", &*bytes()].concat()).into()
}

fn text() -> Box<str> {
    TEXT.into()
}

/// The text of a field that is escaped before the error is made.
fn escaped() -> Box<str> {
    printable(TEXT).into()
}

/// Returns `Display` of the value, and checks it and `Debug`.
#[track_caller]
fn checked(value: &(impl Display + Debug + ?Sized)) -> String {
    let is_raw = |letter: char| letter.is_control() || "\u{202e}\u{fffd}".contains(letter);
    let shown = value.to_string();
    let pretty = format!("{value:#?}");
    assert!(!pretty.replace('\n', "").contains(is_raw), "{pretty:?}");
    assert!(!pretty.lines().any(|line| line.trim_start().starts_with(MARK)), "{pretty}");
    for text in [&shown, &format!("{value:#}"), &format!("{value:?}")] {
        assert!(!text.contains(is_raw), "{text:?}");
    }
    shown
}

/// Returns how many foreign texts the error and its reasons show, and checks each.
#[track_caller]
fn texts_of(error: &(dyn StdError + 'static)) -> usize {
    let mut chain = Vec::new();
    let mut link = Some(error);
    while let Some(error) = link {
        chain.push(checked(error));
        link = error.source();
    }
    chain.concat().matches(MARK).count()
}

/// The variants of an enumeration, and how many foreign texts a value of each shows.
trait Variants {
    const ALL: &'static [(&'static str, usize)];

    fn name(&self) -> &'static str;
}

/// A new variant does not compile until it has a number here; if that is not 0, the tests fail until
/// it has a row.
macro_rules! variants {
    ($($type:ident { $($(#[$cfg:meta])? $variant:ident $count:literal,)* })*) => {$(
        impl Variants for $type {
            const ALL: &'static [(&'static str, usize)] =
                &[$($(#[$cfg])? (stringify!($variant), $count),)*];

            fn name(&self) -> &'static str {
                match self {
                    $($(#[$cfg])? Self::$variant { .. } => stringify!($variant),)*
                }
            }
        }
    )*};
}

mod counts;

/// Checks one row for each variant with foreign text; `count` returns how many texts a row shows.
#[track_caller]
fn check_rows<T: Variants + Debug>(rows: &[T], count: impl Fn(&T) -> usize) {
    for (name, expected) in T::ALL.iter().filter(|(_, expected)| *expected > 0) {
        assert!(rows.iter().any(|row| row.name() == *name), "no row for {name}, {expected} texts");
    }
    for row in rows {
        let expected = T::ALL.iter().find(|(name, _)| *name == row.name()).unwrap().1;
        assert_eq!(count(row), expected, "texts in {row:?}");
    }
}

/// Checks problems alone, and inside the error of their area, which shows `more` texts.
#[track_caller]
fn check_problems<P, E>(rows: Vec<P>, more: usize, error: impl Fn(P) -> E)
where
    P: Variants + StdError + Clone + 'static,
    E: StdError + Into<Error> + 'static,
{
    check_rows(&rows, |row| texts_of(row));
    for row in rows {
        let expected = texts_of(&row) + more;
        let error = error(row);
        assert_eq!(texts_of(&error), expected, "{error:?}");
        let error = error.into();
        assert_eq!(texts_of(&error), expected, "{error:?}");
        assert_eq!(format!("{error:#}").matches(MARK).count(), expected, "{error:?}");
    }
}

fn rejection() -> Rejection {
    let line = RejectionLine::new(510, &bytes());
    assert_eq!(format!("{line:?}").matches(MARK).count(), 1);
    Rejection::new(TEXT, vec![line.clone(), line])
}

fn protocol() -> ProtocolError {
    let error = ProtocolError::in_line(TEXT, 3, "a word", &bytes());
    assert_eq!(texts_of(&error.at_line(4)), 2);
    error
}

fn timeout() -> Timeout {
    Timeout::new(Wait::Reply(text()), Duration::from_secs(1))
}

fn reason() -> Arc<io::Error> {
    Arc::new(io::ErrorKind::PermissionDenied.into())
}

fn relay() -> RelaySpec {
    RelaySpec::from_bytes(TEXT.as_bytes())
}

fn auth(problem: AuthProblem) -> AuthError {
    let method = AuthMethod::from(TEXT);
    AuthError::new(&[AuthMethod::Null, method.clone()], Some(method), problem)
}

fn connect(problem: ConnectProblem) -> ConnectError {
    ConnectError::new(vec![ConnectAttempt::new(TEXT, problem)])
}

#[test]
fn every_kind_of_error_escapes_foreign_text() {
    let names = [TEXT, "Log"];
    let read = ReadProblem::Unexpected { excerpt: excerpt(&bytes()) };
    let rows: Vec<Error> = vec![
        rejection().into(),
        Disconnect::Protocol(protocol()).into(),
        ConfigError::new(Some(TEXT), &names, rejection()).into(),
        ConfigError::new(None, &names, rejection()).into(),
        timeout().into(),
        Canceled::new(Wait::Reply(text())).into(),
        protocol().into(),
        ReadError::new(1, 2, 3, read).into(),
        BufferError::new(TEXT, BufferProblem::Full { limit: 1 }).into(),
        connect(ConnectProblem::Timeout(timeout())).into(),
        auth(AuthProblem::WrongServerProof { path: path() }).into(),
        LaunchError::new(LaunchProblem::NotTor { program: path() }).into(),
        SocksError::new(TEXT, TEXT, SocksProblem::Timeout(timeout())).into(),
        CircuitError::new(
            7.into(),
            TEXT,
            CircuitProblem::NotBuilt { status: CircuitStatus::from(TEXT) },
        )
        .into(),
        PathError::new(no_candidate()).into(),
        OnionError::new(OnionProblem::DirectoryInUse { path: path() }).into(),
        #[cfg(feature = "onion-descriptor")]
        OnionDescriptorError::new(
            OnionKey::from_seed([1; 32]).address(),
            OnionDescriptorProblem::Syntax(protocol()),
        )
        .into(),
        ResolveError::new(TEXT, ResolveProblem::Failed { error: Some(text()) }).into(),
        SupervisorError::new(SupervisorProblem::Panicked { message: escaped() }).into(),
        InvalidInput::new(TEXT, TEXT).into(),
        #[cfg(feature = "testnet")]
        TestnetError::new(TestnetStep::Prepare, TestnetProblem::NotEmpty { path: path() }).into(),
        #[cfg(feature = "verify")]
        VerifyError::new(TEXT, VerifyProblem::Algorithm { algorithm: text() }).into(),
    ];
    check_rows(&rows, |row| texts_of(row));
    check_rows(&[Disconnect::Protocol(protocol())], |row| texts_of(row));
    check_rows(&[Wait::Reply(text())], |row| checked(row).matches(MARK).count());
    // An error inside that of the operating system, as `ControlVia::Custom` can return it.
    for row in rows {
        let expected = texts_of(&row);
        let inside = Error::Io(Arc::new(io::Error::other(row)));
        assert_eq!(format!("{inside:#}").matches(MARK).count(), expected, "{inside:?}");
        texts_of(&inside);
    }
}

#[test]
fn errors_of_connecting_escape_foreign_text() {
    let problems = vec![
        AuthProblem::Refused(rejection()),
        AuthProblem::CookieUnreadable { path: path(), source: reason() },
        AuthProblem::CookieNotAFile { path: path(), found: "a directory" },
        AuthProblem::CookieSize { path: path(), size: 31 },
        AuthProblem::CookieElsewhere { path: path() },
        AuthProblem::WrongServerProof { path: path() },
        AuthProblem::Challenge(protocol()),
    ];
    check_problems(problems, 2, auth);
    let input = InvalidInput::new(TEXT, TEXT);
    let excerpt = excerpt(&bytes());
    let problems = vec![
        ConnectProblem::Timeout(timeout()),
        ConnectProblem::Silent(timeout()),
        ConnectProblem::NotAControlPort { excerpt },
        ConnectProblem::Closed(Disconnect::Protocol(protocol())),
        ConnectProblem::Rejected(rejection()),
        ConnectProblem::InvalidInput(input),
        ConnectProblem::Auth(auth(AuthProblem::CookieSize { path: path(), size: 31 })),
    ];
    check_problems(problems.clone(), 1, connect);
    // The text of several attempts contains the whole chain of each.
    for problem in problems {
        let expected = 2 * texts_of(&connect(problem.clone()));
        let attempt = ConnectAttempt::new(TEXT, problem);
        assert_eq!(texts_of(&ConnectError::new(vec![attempt.clone(), attempt])), expected);
    }
    check_problems(vec![BufferProblem::Full { limit: 1 }], 1, |problem| {
        BufferError::new(TEXT, problem)
    });
}

#[test]
fn errors_of_a_process_escape_foreign_text() {
    let problems = vec![
        LaunchProblem::NotFound { program: path() },
        LaunchProblem::NotFound { program: PathBuf::from(OsString::from_vec(bytes())) },
        LaunchProblem::Spawn { program: path(), source: reason() },
        LaunchProblem::Directory { path: path(), source: reason() },
        LaunchProblem::Stderr { text: text() },
        LaunchProblem::Refused { option: Some(text()) },
        LaunchProblem::TransportProgram { program: path(), source: reason() },
        LaunchProblem::NotTor { program: path() },
        LaunchProblem::Timeout(timeout()),
        LaunchProblem::Control(Box::new(rejection().into())),
        LaunchProblem::OtherTor { launched: 1, found: text() },
    ];
    check_problems(problems.clone(), 0, LaunchError::new);
    check_problems(problems, 2, |problem| {
        let lines = || vec![TEXT.to_owned(); 2];
        let (last_lines, warnings) = (lines(), lines());
        LaunchError::with_report(
            problem,
            LaunchReport { last_lines, warnings, ..Default::default() },
        )
    });
    let last_error = || Error::from(rejection());
    let (limit, window) = (Duration::from_secs(1), Duration::from_secs(1));
    let problems = vec![
        SupervisorProblem::NotConnected { last_error: Some(last_error()) },
        SupervisorProblem::Timeout { limit, last_error: Some(last_error()) },
        SupervisorProblem::Permanent(last_error()),
        SupervisorProblem::CrashLoop { deaths: 3, window, last_error: last_error() },
        SupervisorProblem::Exhausted { attempts: 3, elapsed: limit, last_error: last_error() },
        SupervisorProblem::Panicked { message: escaped() },
    ];
    check_problems(problems, 0, SupervisorError::new);
}

#[test]
fn errors_of_circuits_streams_and_names_escape_foreign_text() {
    let why = || Some(CircuitReason::from(TEXT));
    let (path, next) = (vec![relay()], Some(relay()));
    let end = CircuitEnd { reason: why(), remote_reason: why(), path, next };
    let (reason, remote_reason) = (Some(StreamReason::from(TEXT)), Some(StreamReason::from(TEXT)));
    let problems = vec![
        CircuitProblem::Failed(end.clone()),
        CircuitProblem::Closed(end),
        CircuitProblem::NotBuilt { status: CircuitStatus::from(TEXT) },
        CircuitProblem::Purpose { purpose: Some(CircuitPurpose::from(TEXT)) },
        CircuitProblem::NotAttached(rejection()),
        CircuitProblem::Stream { reason: reason.clone(), remote_reason },
    ];
    check_problems(problems, 1, |problem| CircuitError::new(7.into(), TEXT, problem));
    let problems =
        vec![ResolveProblem::Failed { error: Some(text()) }, ResolveProblem::Closed { reason }];
    check_problems(problems, 1, |problem| ResolveError::new(TEXT, problem));
    let problems = vec![
        SocksProblem::ListenerElsewhere { listener: escaped() },
        SocksProblem::Timeout(timeout()),
        SocksProblem::NotSocks { excerpt: excerpt(&bytes()) },
        SocksProblem::Protocol(protocol()),
    ];
    check_problems(problems, 2, |problem| SocksError::new(TEXT, TEXT, problem));
}

fn no_candidate() -> PathProblem {
    let obstacles = [PathObstacle::Lacks(TEXT.into()), PathObstacle::Has(RelayFlag::from(TEXT))];
    check_rows(&obstacles, |row| checked(row).matches(MARK).count());
    let excluded = obstacles.into_iter().map(|obstacle| (obstacle, 1)).collect();
    PathProblem::NoCandidate { hop: 1, role: HopRole::Guard, relays: 2, excluded }
}

#[test]
fn errors_of_paths_and_documents_escape_foreign_text() {
    check_problems(vec![no_candidate()], 0, PathError::new);
    let problems = vec![
        ReadProblem::Malformed(protocol()),
        ReadProblem::Unexpected { excerpt: excerpt(&bytes()) },
        ReadProblem::Unsupported { document_type: excerpt(&bytes()) },
    ];
    check_rows(&problems, |row| match row {
        // The error of the area returns the inner error as its source.
        ReadProblem::Malformed(error) => texts_of(error),
        row => texts_of(row),
    });
    for problem in problems {
        let expected = texts_of(&problem);
        let error = ReadError::new(1, 2, 3, problem);
        assert_eq!(texts_of(&error), expected);
        assert_eq!(texts_of(&Error::from(error)), expected);
    }
}

#[test]
fn errors_of_onion_services_escape_foreign_text() {
    let address = OnionKey::from_seed([1; 32]).address();
    let why = || Some(HsDescReason::from(TEXT));
    let upload = |outcome| HsDirUpload { hsdir: relay(), descriptor_id: TEXT.into(), outcome };
    let outcomes = [
        UploadOutcome::Pending,
        UploadOutcome::Uploaded,
        UploadOutcome::Unanswered,
        UploadOutcome::Failed { reason: why() },
    ];
    check_rows(&outcomes, |row| checked(&upload(row.clone())).matches(MARK).count());
    let failure = HsDirFailure::new(Some(relay()), why());
    assert_eq!(checked(&failure).matches(MARK).count(), 2);
    let failed = upload(UploadOutcome::Failed { reason: why() });
    let by = RemovedBy::Reload;
    let problems = vec![
        OnionProblem::Listen { address: text(), source: reason() },
        OnionProblem::Removed { address, by, source: Some(rejection().into()) },
        OnionProblem::File { path: path(), source: reason() },
        OnionProblem::Unsafe { path: path(), detail: "is not a directory".into() },
        OnionProblem::NotForTor { path: path(), detail: "tor may see other files" },
        OnionProblem::DirectoryInUse { path: path() },
        OnionProblem::Key { path: path(), source: OnionKey::from_blob(TEXT).unwrap_err() },
        OnionProblem::OtherKey { path: path(), found: address, given: address },
        OnionProblem::NotPublished { address, uploads: [failed].into() },
        OnionProblem::NotFetched { address, failures: [failure].into() },
        OnionProblem::Incompatible { option: text(), running: text(), wanted: text() },
    ];
    check_problems(problems, 0, OnionError::new);
}

#[cfg(feature = "onion-descriptor")]
#[test]
fn errors_of_onion_descriptors_escape_foreign_text() {
    let address = OnionKey::from_seed([1; 32]).address();
    check_problems(vec![OnionDescriptorProblem::Syntax(protocol())], 0, |problem| {
        OnionDescriptorError::new(address, problem)
    });
}

#[cfg(feature = "testnet")]
#[test]
fn errors_of_private_networks_escape_foreign_text() {
    let problems = vec![
        TestnetProblem::NotFound { program: path() },
        TestnetProblem::Spawn { program: path(), source: reason() },
        TestnetProblem::Failed { program: path(), status: std::process::ExitStatus::default() },
        TestnetProblem::Directory { path: path(), source: reason() },
        TestnetProblem::NotEmpty { path: path() },
        TestnetProblem::Tor(Box::new(rejection().into())),
        TestnetProblem::Timeout(timeout()),
    ];
    check_problems(problems, 0, |problem| {
        TestnetError::of_node(TestnetStep::Vote, "relay0", problem, vec![TEXT.to_owned()])
    });
}

#[cfg(feature = "verify")]
#[test]
fn errors_of_signatures_escape_foreign_text() {
    let algorithm = VerifyProblem::Algorithm { algorithm: text() };
    let refused = [RefusedSignature::new([1; 20].into(), algorithm.clone())].into();
    let problems = vec![
        VerifyProblem::NotCovered { line: excerpt(&bytes()) },
        algorithm,
        VerifyProblem::TooFewSignatures { signers: [].into(), needed: 2, refused },
    ];
    // The text of the error contains that of the problem.
    check_problems(problems, 1, |problem| VerifyError::new(TEXT, problem));
}
