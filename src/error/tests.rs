use std::error::Error as _;
use std::io;
use std::str::FromStr as _;
use std::sync::Arc;

use super::{
    AuthError, AuthProblem, CircuitError, CircuitProblem, ConnectAttempt, ConnectError,
    ConnectProblem, Disconnect, Error, InvalidInput, Rejection, RejectionLine,
};
use crate::names::CircuitId;

mod foreign_text;

fn refused() -> Error {
    let error = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
    let attempt = ConnectAttempt::new("127.0.0.1:1", ConnectProblem::Io(error));
    ConnectError::new(vec![attempt]).into()
}

#[test]
fn the_text_has_the_first_reason_and_the_chain_repeats_nothing() {
    let reset = Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
    let error = Error::Closed(Disconnect::Read(reset));
    assert_eq!(error.to_string(), "the control connection is closed: reading from tor failed");
    assert_eq!(error.source().unwrap().to_string(), "connection reset");
    let whole = "the control connection is closed: reading from tor failed: connection reset";
    assert_eq!((format!("{error:#}"), format!("{error:?}")), (whole.into(), whole.into()));
    assert!(format!("{error:#?}").starts_with("Closed(\n"), "{error:#?}");
    let error = Error::from(InvalidInput::new("name", "is empty"));
    assert_eq!(error.to_string(), "invalid argument \"name\": is empty");
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(error.source().is_none());
}

#[test]
fn a_filtered_command_is_noticed_in_every_error_that_has_a_refusal() {
    let refusal = |text: &[u8]| Rejection::new("ATTACHSTREAM", vec![RejectionLine::new(510, text)]);
    let errors = |refusal: Rejection| {
        let circuit = CircuitId::from_str("7").unwrap();
        let not_attached = CircuitProblem::NotAttached(refusal.clone());
        [
            Error::from(CircuitError::new(circuit, "attach", not_attached)),
            Error::from(AuthError::new(&[], None, AuthProblem::Refused(refusal.clone()))),
            Error::from(refusal),
        ]
    };
    for error in errors(refusal(b"Command filtered")) {
        assert!(error.is_filtered() && error.status_code() == Some(510), "{error:?}");
    }
    for error in errors(refusal(b"Unrecognized command")) {
        assert!(!error.is_filtered() && error.status_code() == Some(510), "{error:?}");
    }
}

#[test]
fn errors_of_std_io_convert_both_ways() {
    let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert_eq!(error.to_string(), "broken pipe");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
    let error = io::Error::from(refused());
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(matches!(Error::from(error), Error::Connect(_)), "the original error is returned");
    let kinds = [
        (Disconnect::Closed.into(), io::ErrorKind::ConnectionAborted),
        (InvalidInput::new("name", "is empty").into(), io::ErrorKind::InvalidInput),
    ];
    for (error, kind) in kinds {
        assert_eq!(io::Error::from(Error::clone(&error)).kind(), kind, "{error}");
    }
}

#[test]
fn an_error_fits_in_forty_bytes() {
    assert!(size_of::<Error>() <= 40, "Error has {} bytes", size_of::<Error>());
}
