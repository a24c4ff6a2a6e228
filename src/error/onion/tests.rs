use super::{HsDirFailure, HsDirUpload, OnionError, OnionProblem, UploadOutcome};
use crate::names::{HsDescReason, RelaySpec};

#[test]
fn a_failed_publication_counts_the_reasons() {
    let upload = |reason| HsDirUpload {
        hsdir: RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r"),
        descriptor_id: "x".to_owned(),
        outcome: UploadOutcome::Failed { reason },
    };
    let address = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion";
    let error = OnionError::new(OnionProblem::NotPublished {
        address: address.parse().unwrap(),
        uploads: Box::new([
            upload(Some(HsDescReason::UploadRejected)),
            upload(None),
            upload(Some(HsDescReason::UploadRejected)),
        ]),
    });
    assert_eq!(
        error.to_string(),
        format!(
            "no directory accepted the descriptor of {address}: 2 UPLOAD_REJECTED, \
             1 no reason given"
        )
    );
    assert_eq!(
        upload(Some(HsDescReason::Unexpected)).to_string(),
        "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r: failed, UNEXPECTED"
    );
}

#[test]
fn a_failed_fetch_counts_the_reasons() {
    let address = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion";
    let hsdir = RelaySpec::from_bytes(b"$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r");
    let failures = [
        HsDirFailure::new(Some(hsdir.clone()), Some(HsDescReason::NotFound)),
        HsDirFailure::new(Some(hsdir), Some(HsDescReason::NotFound)),
        HsDirFailure::new(None, Some(HsDescReason::QueryNoHsdir)),
    ];
    assert_eq!(
        failures.each_ref().map(ToString::to_string)[1..],
        [
            "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r: failed, NOT_FOUND",
            "no directory, QUERY_NO_HSDIR",
        ]
    );
    let error = |failures| {
        let address = address.parse().unwrap();
        OnionError::new(OnionProblem::NotFetched { address, failures }).to_string()
    };
    let begin = format!("no directory delivered the descriptor of {address}: ");
    assert_eq!(error(Box::new(failures)), format!("{begin}2 NOT_FOUND, 1 QUERY_NO_HSDIR"));
    assert_eq!(error(Box::new([])), format!("{begin}none was tried"));
}

// The path of a directory can come from a reply.
#[test]
fn a_path_is_cut_and_escaped() {
    let path = std::path::PathBuf::from(format!("/\u{1b}\u{202e}{}", "x".repeat(1 << 20)));
    let source = std::sync::Arc::new(std::io::Error::other("x"));
    for problem in [
        OnionProblem::File { path: path.clone(), source },
        OnionProblem::Unsafe { path: path.clone(), detail: "is no file".into() },
        OnionProblem::DirectoryInUse { path },
    ] {
        let shown = problem.to_string();
        assert!(shown.len() < 600, "{} bytes", shown.len());
        assert!(shown.starts_with("\"/\\u{1b}\\u{202e}xxx"), "{shown}");
    }
}
