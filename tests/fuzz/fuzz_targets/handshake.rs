//! The bytes of a peer before and after it accepts the authentication, which may be anything.
//!
//! The first byte chooses how the controller authenticates. Connecting ends at once, since the peer
//! has sent everything before and then closed its side.
#![no_main]

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::Duration;
use std::{env, fs, process};

use torcon::ConnectOptions;

/// A cookie file.
static COOKIE: LazyLock<String> = LazyLock::new(|| {
    let path = format!("{}/torcon-fuzz-cookie-{}", env::temp_dir().display(), process::id());
    fs::write(&path, [7; 32]).unwrap();
    path
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(bytes).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let options = ConnectOptions::new().timeout(Duration::from_secs(5)).line_limit(4096);
    let options = match choice % 5 {
        0 => options.without_cookie(),
        1 => options.without_cookie().password("secret"),
        2 => options.cookie_file(&*COOKIE),
        3 => options.plain_cookie_file(&*COOKIE),
        _ => options,
    };
    match options.connect_stream(ours) {
        Ok(controller) => {
            assert!(!controller.version().as_str().contains('\n'));
            controller.close();
        }
        Err(error) => {
            assert!(!error.is_timeout(), "{error}");
            let _ = format!("{error} {error:?}");
        }
    }
});
