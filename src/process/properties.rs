//! Properties of tor's output, for any text.
//!
//! The fuzz targets and the unit tests check them.

use super::log_line::LogLine;
use super::output::Output;
use super::progress::Progress;

/// Checks that what is kept of the output is bounded, and that parts of a line are parts of it.
pub(crate) fn log_lines(text: &[u8]) {
    let output = Output::default();
    let text = String::from_utf8_lossy(text);
    for (number, line) in text.lines().enumerate() {
        if let Some(parsed) = LogLine::parse(line) {
            assert!(line.ends_with(parsed.text));
            let _ = parsed.is_end_of_transport();
        }
        if let Some(progress) = Progress::from_log_line(line) {
            assert!(line.contains(&progress.percent.to_string()));
        }
        output.keep_line(line, number % 2 == 1);
    }
    let report = output.report();
    assert!(report.last_lines.len() <= 100 && report.warnings.len() <= 20);
    assert!(report.last_lines.iter().all(|line| text.contains(line)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Parts of log lines.
    const PIECES: &[&str] = &[
        "Nov 23 09:24:58.000 ",
        "[notice] ",
        "[warn] ",
        "[err] ",
        "{NET} ",
        "Bootstrapped ",
        "50%",
        "101%",
        " (done): ",
        "Done",
        "Problem bootstrapping. Stuck at ",
        ". (",
        "; x",
        "Managed proxy ",
        "\n",
        "\r",
        "\u{e9}",
        "Bug:     ",
        "0",
    ];

    proptest! {
        #[test]
        fn output_is_bounded(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..400)) {
            super::log_lines(pieces.concat().as_bytes());
        }
    }
}
