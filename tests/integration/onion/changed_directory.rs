use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use torcon::Error;
use torcon::error::{OnionProblem, RemovedBy};

use super::{LONG, endpoint, entries, key, listen, refusal};
use crate::error_text::chain;
use crate::support::real_tor::RealTor;

fn fifo(path: &Path) {
    mkfifo(path, Mode::from_bits_truncate(0o600)).unwrap();
}

/// tor would generate a key of another address in a new directory, block on a named pipe, or exit.
#[test]
fn a_service_whose_directory_was_changed_ends_at_a_reload_and_tor_lives() {
    let tor = RealTor::start();
    let root = tempfile::tempdir_in(tor.directory()).unwrap();
    let hidden = |directory: &Path| directory.join("hidden");
    type Change = fn(&Path);
    let changes: [(&str, Change); 8] = [
        ("No such file or directory", |path| fs::remove_dir_all(path).unwrap()),
        ("No such file or directory", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("is a symbolic link, which tor does not follow", |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            symlink(path.with_extension("moved"), path).unwrap();
        }),
        ("has been replaced by another", |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("has mode 0755, and tor requires a private directory (0700)", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }),
        ("entity not found", |path| fs::remove_file(path.join("hs_ed25519_secret_key")).unwrap()),
        ("it is not a regular file", |path| {
            fs::remove_file(path.join("hostname")).unwrap();
            fifo(&path.join("hostname"));
        }),
        ("has another key than before", |path| {
            let file = path.join("hs_ed25519_secret_key");
            fs::remove_file(&file).unwrap();
            key(77).write_file(file).unwrap();
        }),
    ];
    for (number, (reason, change)) in changes.into_iter().enumerate() {
        let parent = root.path().join(number.to_string());
        fs::create_dir(&parent).unwrap();
        let directory = hidden(&parent);
        let listener = listen(endpoint(&tor).hidden_service_dir(&directory));
        change(&directory);
        tor.hang_up();
        let error = listener.accept_timeout(LONG).unwrap_err();
        let text = chain(&error);
        assert!(text.contains(reason), "{number}: {text}");
        let Error::Onion(error) = error else { panic!("{text}") };
        let is_reload = |by| by == RemovedBy::Reload;
        assert!(matches!(error.problem(), OnionProblem::Removed { by, .. } if is_reload(*by)));
        assert!(tor.try_wait().is_none(), "{number}: tor has exited");
        assert_eq!(tor.raw().get_info("config-file"), tor.torrc_path().display().to_string());
        listener.close().unwrap();
    }
}

#[test]
fn a_directory_with_a_named_pipe_is_refused_and_tor_goes_on() {
    let tor = RealTor::start();
    for name in ["hostname", "hs_ed25519_public_key", "hs_ed25519_secret_key", "ob_config"] {
        let directory = tor.directory().join(format!("with-{name}"));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        fifo(&directory.join(name));
        let text = refusal(endpoint(&tor).hidden_service_dir(&directory).listen());
        assert!(text.ends_with("it is not a regular file"), "{text}");
        assert!(text.contains(name), "{text}");
        assert_eq!(entries(&directory), [name]);
        assert_eq!(tor.raw().ask("GETCONF HiddenServiceOptions"), ["250 HiddenServiceOptions"]);
    }
}
