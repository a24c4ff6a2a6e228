//! The texts of errors: short, lower case, without a final stop, and without the text of `source()`, so
//! that a program can print the chain as one sentence.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use torcon::Error;
use torcon::descriptor::{
    AnyDescriptor, Consensus, DescriptorReader, OnionDescriptor, ServerDescriptor,
};
use torcon::error::{
    AuthProblem, BufferProblem, CircuitProblem, ConnectProblem, Disconnect, LaunchProblem,
    OnionDescriptorProblem, OnionProblem, ResolveProblem, SocksCode, SocksProblem, SocksStep,
};
use torcon::names::{CircuitPurpose, CircuitStatus, OnionKey, StreamReason, TimePeriod};

use crate::support::failure::panic_of;

/// The output of `fn main() -> torcon::Result<()>` when no control connection can be made.
mod connecting;
/// Errors of the public interface.
mod error_cases;

/// Checks the text of an error and of its sources.
#[track_caller]
pub(crate) fn check_text(error: &(dyn StdError + 'static)) {
    let mut link = Some(error);
    let mut above: Vec<String> = Vec::new();
    while let Some(error) = link {
        let text = error.to_string();
        let problem = if is_of_the_system(error) { None } else { problem_of(&text) };
        if let Some(problem) = problem {
            panic!("{problem}: {text:?}, in {error:?}");
        }
        for outer in &above {
            assert!(!outer.contains(&text), "{outer:?} repeats its source {text:?}");
        }
        above.push(text);
        assert!(above.len() < 10, "a chain without end: {above:?}");
        link = error.source();
    }
}

/// Returns the chain of an error as a program would print it.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(error) = link {
        text.push_str(": ");
        text.push_str(&error.to_string());
        link = error.source();
    }
    text
}

/// Returns whether the error is that of the operating system, whose texts have another style.
fn is_of_the_system(error: &(dyn StdError + 'static)) -> bool {
    error.is::<io::Error>() || error.is::<Arc<io::Error>>()
}

fn problem_of(text: &str) -> Option<&'static str> {
    let first_word = text.split(' ').next().unwrap_or_default();
    // Keywords of the control protocol keep their case.
    let is_keyword = first_word.len() > 1
        && first_word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    if text.is_empty() {
        Some("an empty text")
    } else if text.trim() != text {
        Some("a text with blanks around it")
    } else if text.contains(['\n', '\r']) {
        Some("a text of several lines")
    } else if text.ends_with(['.', '!']) && !text.ends_with("..") {
        Some("a text with a final stop")
    } else if text.starts_with(char::is_uppercase) && !is_keyword {
        Some("a text that begins with a capital")
    } else if text.contains("{") && text.contains(": ") && text.contains("Some(") {
        Some("a text with the source code of a value")
    } else {
        None
    }
}

fn system_error() -> Arc<io::Error> {
    Arc::new(io::Error::from(io::ErrorKind::PermissionDenied))
}

#[test]
fn the_reasons_for_the_end_of_a_connection_have_good_texts() {
    let reasons = [
        Disconnect::Closed,
        Disconnect::Quit,
        Disconnect::EndOfStream,
        Disconnect::Read(system_error()),
        Disconnect::Write(system_error()),
        Disconnect::LineTooLong { limit: 16_777_216 },
        Disconnect::ReplyTooLong { limit: 268_435_456 },
        Disconnect::OutOfStep { detail: "a reply arrived without a command" },
        Disconnect::ReaderFailed,
    ];
    for reason in reasons {
        check_text(&reason);
        check_text(&Error::Closed(reason.clone()));
        check_text(&ConnectProblem::Closed(reason));
    }
    assert_eq!(
        chain(&Error::Closed(Disconnect::LineTooLong { limit: 80 })),
        "the control connection is closed: a line from tor exceeds the limit of 80 bytes"
    );
}

#[test]
fn the_problems_of_connecting_have_good_texts() {
    let problems = [
        ConnectProblem::Resolve(system_error()),
        ConnectProblem::Io(system_error()),
        ConnectProblem::NotAControlPort { excerpt: "SSH-2.0-OpenSSH_9.2\\r\\n".into() },
        ConnectProblem::NotAControlPort { excerpt: "".into() },
    ];
    for problem in problems {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_buffering_a_reply_have_good_texts() {
    for problem in
        [BufferProblem::Full { limit: 1_073_741_824 }, BufferProblem::File(system_error())]
    {
        check_text(&problem);
    }
}

#[test]
fn the_errors_of_documents_in_files_have_good_texts() {
    let files: [&[u8]; 6] = [
        b"\x1f\x8b",
        b"router broken\nrouter-digest x\n",
        b"onion-key\nid",
        b"onion-key\nntor-onion-key broken\n",
        b"garbage\n",
        b"@type torperf 1.1\n",
    ];
    for file in files {
        let error = DescriptorReader::<AnyDescriptor, _>::new(file).next().unwrap().unwrap_err();
        check_text(&error);
        check_text(&Error::from(error));
    }
    let error = DescriptorReader::<ServerDescriptor, _>::new(&b"onion-key\n"[..]).next();
    check_text(&error.unwrap().unwrap_err());
    let reader = DescriptorReader::<AnyDescriptor, _>::new(&b"onion-key\n"[..]);
    let error = reader.with_limit(3).next().unwrap().unwrap_err();
    check_text(&error);
    assert_eq!(
        chain(&error),
        "invalid document at line 1 (byte 0): it exceeds the limit of 3 bytes; raise \
         DescriptorReader::with_limit if it is valid"
    );
}

#[test]
fn the_errors_of_onion_descriptors_have_good_texts() {
    let address = OnionKey::from_seed([7; 32]).address();
    let now = SystemTime::now();
    let text = "hs-descriptor 3\ndescriptor-signing-key-cert\nrevision-counter x\n";
    let descriptor = OnionDescriptor::parse(text).unwrap();
    let error = descriptor.decrypt(&address, None).unwrap_err();
    check_text(&error);
    check_text(&Error::from(error));
    let error = descriptor.verify(&address, TimePeriod::at(now), now).unwrap_err();
    check_text(&error);
    assert_eq!(
        chain(&error),
        "cannot verify the descriptor of an onion service: the line descriptor-signing-key-cert \
         has a syntax error, or its object is not valid"
    );
    check_text(&Error::from(error));
    for problem in [
        OnionDescriptorProblem::WrongAddress,
        OnionDescriptorProblem::ClientAuthNeeded,
        OnionDescriptorProblem::ClientNotAuthorized,
        OnionDescriptorProblem::Damaged { layer: "second layer" },
    ] {
        check_text(&problem);
    }
}

#[test]
fn no_signature_of_a_consensus_counts_without_authorities() {
    let text = "network-status-version 3\nvote-status consensus\ndirectory-signature \
                1111111111111111111111111111111111111111 \
                2222222222222222222222222222222222222222\n\
                -----BEGIN SIGNATURE-----\nAAAA\n-----END SIGNATURE-----\n";
    let consensus = Consensus::parse(text).unwrap();
    let error = consensus.verify(&[], &[], SystemTime::now()).unwrap_err();
    check_text(&error);
    check_text(&Error::from(error));
}

#[test]
fn the_problems_of_authentication_have_good_texts() {
    let path = PathBuf::from("/run/tor/control.authcookie");
    let problems = [
        AuthProblem::PasswordMissing,
        AuthProblem::CookieUnreadable { path: path.clone(), source: system_error() },
        AuthProblem::CookieNotAFile { path: path.clone(), found: "a symbolic link" },
        AuthProblem::CookieSize { path: path.clone(), size: 31 },
        AuthProblem::CookiePathMissing,
        AuthProblem::CookieElsewhere { path: path.clone() },
        AuthProblem::PlainCookieOnly,
        AuthProblem::CookieLeftOut,
        AuthProblem::WrongServerProof { path },
        AuthProblem::NoKnownMethod,
        AuthProblem::Random(system_error()),
    ];
    for problem in problems {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_a_launch_have_good_texts() {
    let path = PathBuf::from("/usr/bin/tor");
    let problems = [
        LaunchProblem::NotFound { program: path.clone() },
        LaunchProblem::Spawn { program: path.clone(), source: system_error() },
        LaunchProblem::TransportProgram { program: path.clone(), source: system_error() },
        LaunchProblem::NotTor { program: path.clone() },
        LaunchProblem::Refused { option: None },
        LaunchProblem::Refused { option: Some("Bridge".into()) },
        LaunchProblem::Directory { path, source: system_error() },
        LaunchProblem::Thread(system_error()),
        LaunchProblem::Exited,
        LaunchProblem::ExitedLater,
        LaunchProblem::Stderr { text: "something".into() },
        LaunchProblem::Control(Box::new(Error::Closed(Disconnect::EndOfStream))),
        LaunchProblem::OtherTor { launched: 4711, found: "4712".into() },
        LaunchProblem::ConnectorPanicked,
        LaunchProblem::NotConnected,
        LaunchProblem::Signal { source: system_error() },
        LaunchProblem::StatusUnknown { source: system_error() },
    ];
    for problem in problems {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_an_onion_service_have_good_texts() {
    let path = PathBuf::from("/srv/hidden");
    let address = OnionKey::from_seed([1; 32]).address();
    let problems = [
        OnionProblem::Listen { address: "127.0.0.1:80".into(), source: system_error() },
        OnionProblem::Accept(system_error()),
        OnionProblem::Busy,
        OnionProblem::Closed,
        OnionProblem::File { path: path.clone(), source: system_error() },
        OnionProblem::Unsafe { path: path.clone(), detail: "is not a directory".into() },
        OnionProblem::DirectoryInUse { path: path.clone() },
        OnionProblem::AddressInUse { address },
        OnionProblem::Key {
            path: path.clone(),
            source: OnionKey::from_blob("RSA1024:AAAA").unwrap_err(),
        },
        OnionProblem::OtherKey { path, found: address, given: address },
        OnionProblem::ClientExists { name: "alice".parse().unwrap() },
        OnionProblem::LastClient { name: "alice".parse().unwrap(), address },
        OnionProblem::Remote,
        OnionProblem::NetworkDisabled,
        OnionProblem::NotPublished { address, uploads: Box::new([]) },
        OnionProblem::NotFetched { address, failures: Box::new([]) },
        OnionProblem::Incompatible {
            option: "SocksPort".into(),
            running: "9050".into(),
            wanted: "auto".into(),
        },
        OnionProblem::Random(system_error()),
    ];
    for problem in problems {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_a_socks_proxy_have_good_texts() {
    let mut problems = vec![
        SocksProblem::ListenerElsewhere { listener: "127.0.0.1:9050".into() },
        SocksProblem::Resolve(system_error()),
        SocksProblem::Unreachable(system_error()),
        SocksProblem::NotSocks { excerpt: "SSH-2.0-OpenSSH_9.2\\r\\n".into() },
        SocksProblem::NotSocks { excerpt: "".into() },
        SocksProblem::Broken { step: SocksStep::Request, error: system_error() },
        SocksProblem::NoMethod { with_password: true },
        SocksProblem::NoMethod { with_password: false },
        SocksProblem::Credentials { status: 1 },
        SocksProblem::NoRandom(system_error()),
    ];
    problems.extend(
        [SocksStep::Greeting, SocksStep::Credentials, SocksStep::Request].map(SocksProblem::Closed),
    );
    let codes = (1..=u8::MAX).map(SocksCode::from);
    problems.extend(codes.map(|code| SocksProblem::Refused { code }));
    for problem in problems {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_a_circuit_have_good_texts() {
    let reason = || Some(StreamReason::End);
    let remote = || Some(StreamReason::ExitPolicy);
    for problem in [
        CircuitProblem::NotBuilt { status: CircuitStatus::GuardWait },
        CircuitProblem::Onion,
        CircuitProblem::Purpose { purpose: Some(CircuitPurpose::Controller) },
        CircuitProblem::Purpose { purpose: None },
        CircuitProblem::Stream { reason: reason(), remote_reason: remote() },
        CircuitProblem::Stream { reason: reason(), remote_reason: None },
        CircuitProblem::Stream { reason: None, remote_reason: remote() },
        CircuitProblem::Stream { reason: None, remote_reason: None },
        CircuitProblem::OtherCircuit { circuit: Some(9.into()) },
        CircuitProblem::NotSeen,
    ] {
        check_text(&problem);
    }
}

#[test]
fn the_problems_of_resolving_have_good_texts() {
    let problems = [
        ResolveProblem::Failed { error: Some("yes".into()) },
        ResolveProblem::Failed { error: None },
        ResolveProblem::Closed { reason: Some(StreamReason::Timeout) },
        ResolveProblem::Closed { reason: None },
    ];
    for problem in problems {
        check_text(&problem);
    }
}

#[derive(Debug, Clone)]
struct Made(&'static str, Option<Box<Made>>);

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Made {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.1.as_deref().map(|made| {
            let made: &(dyn StdError + 'static) = made;
            made
        })
    }
}

#[test]
fn a_bad_text_anywhere_in_the_chain_is_found() {
    let bad = [
        ("", "an empty text: \"\""),
        ("Cannot connect", "a text that begins with a capital: \"Cannot connect\""),
        ("cannot connect.", "a text with a final stop: \"cannot connect.\""),
        ("cannot\nconnect", "a text of several lines: \"cannot\\nconnect\""),
        (" x", "a text with blanks around it: \" x\""),
    ];
    for (text, problem) in bad {
        for error in [Made(text, None), Made("outer", Some(Box::new(Made(text, None))))] {
            let message = panic_of(|| check_text(&error));
            assert!(message.starts_with(problem), "{message}");
        }
    }
    let repeats = Made("cannot connect: refused", Some(Box::new(Made("refused", None))));
    assert_eq!(
        panic_of(|| check_text(&repeats)),
        "\"cannot connect: refused\" repeats its source \"refused\""
    );
    for good in
        ["cannot connect", "SETCONF was refused", "\"x\" is no name", "got \"abc..\"", "0 bytes.."]
    {
        check_text(&Made(good, None));
    }
}
