//! Ends an example in good order at Ctrl-C, SIGTERM and SIGHUP, and at once at the second signal.

use std::{io, process};

use torcon::CancelToken;

/// Returns the token that the first signal cancels. A program has only one such handler.
pub(crate) fn token() -> io::Result<CancelToken> {
    let token = CancelToken::new();
    let at_signal = token.clone();
    ctrlc::set_handler(move || {
        if !at_signal.cancel() {
            process::exit(130);
        }
    })
    .map_err(io::Error::other)?;
    Ok(token)
}
