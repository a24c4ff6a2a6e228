//! The history of typed lines, in a file without secrets.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use crate::entry::keyword;

/// The number of lines that are loaded. A file of more than twice as many is shortened.
const LINES: usize = 1000;

/// Options that hold a password, in lower case.
const SECRET_OPTIONS: [&str; 6] = [
    "__hashedcontrolsessionpassword",
    "hashedcontrolpassword",
    "httpproxyauthenticator",
    "httpsproxyauthenticator",
    "socks5proxypassword",
    "socks5proxyusername",
];

/// Options whose names begin as those of secret options.
const PUBLIC_OPTIONS: [&str; 3] = ["httpproxy", "httpsproxy", "socks5proxy"];

/// The file of the history; without one, the history ends with the program.
#[derive(Debug, Default)]
pub(crate) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// Returns the history in the state directory of the user: `torcon/prompt_history` below
    /// `XDG_STATE_HOME`, or below `.local/state` of the home directory.
    pub(crate) fn of_user() -> Self {
        let directory =
            |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = directory("XDG_STATE_HOME")
            .or_else(|| directory("HOME").map(|home| home.join(".local/state")));
        Self { file: state.map(|state| state.join("torcon/prompt_history")) }
    }

    /// Returns the last lines, the oldest first. A file that cannot be read has none.
    pub(crate) fn load(&self) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let text = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().filter(|line| may_keep(line)).collect();
        let first = all.len().saturating_sub(LINES);
        let last: Vec<_> = all.into_iter().skip(first).map(str::to_owned).collect();
        if first > LINES {
            // The longer file is as good.
            let _ = self.replace(&last);
        }
        last
    }

    /// Appends a line, unless it may hold a secret. Returns whether it was appended.
    pub(crate) fn append(&self, line: &str) -> io::Result<bool> {
        let Some(file) = self.file.as_ref().filter(|_| may_keep(line)) else { return Ok(false) };
        if let Some(directory) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
        // One write, so that the lines of two programs do not mix.
        file.write_all(format!("{line}\n").as_bytes())?;
        Ok(true)
    }

    fn replace(&self, lines: &[String]) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let next = file.with_extension(format!("{}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)
            .and_then(|mut out| out.write_all((lines.join("\n") + "\n").as_bytes()))
            .and_then(|()| fs::rename(&next, file));
        if written.is_err() {
            let _ = fs::remove_file(&next);
        }
        written
    }
}

/// Returns whether a line may be kept: it is not blank, does not begin with a blank, and holds no
/// secret.
pub(crate) fn may_keep(line: &str) -> bool {
    let is_plain = !line.is_empty() && !line.starts_with(char::is_whitespace);
    is_plain && !line.contains('\n') && !may_hold_secret(line)
}

/// Returns whether a line may hold a password or a private key. A keyword with a typing error is
/// recognized by its beginning.
fn may_hold_secret(line: &str) -> bool {
    let keyword = keyword(line);
    let mut arguments = line.split_whitespace().skip(1);
    if keyword.starts_with("AUTH") || keyword.starts_with("ONION_CLIENT_AUTH_A") {
        return arguments.next().is_some();
    }
    if keyword.starts_with("ADD_") {
        let is_new = |key: &str| key.to_ascii_uppercase().starts_with("NEW:");
        return arguments.next().is_some_and(|key| !is_new(key));
    }
    let sets_options = keyword.starts_with("SETC") || keyword.starts_with("RESETC");
    sets_options && arguments.any(is_secret_option)
}

/// Returns whether the option of a setting is secret, or an abbreviation of one that is, which tor
/// accepts.
fn is_secret_option(setting: &str) -> bool {
    let name = setting.split('=').next().unwrap_or_default().to_ascii_lowercase();
    if PUBLIC_OPTIONS.contains(&name.as_str()) || !setting.contains('=') {
        return false;
    }
    let is_abbreviated = SECRET_OPTIONS.iter().any(|secret| secret.starts_with(&name));
    is_abbreviated || ["password", "authenticator", "secret"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{History, LINES, may_keep};

    #[test]
    fn lines_with_secrets_are_not_kept() {
        for secret in [
            "AUTHENTICATE \"hunter2\"",
            "authenticate 0123",
            "AUTHENTICAT \"hunter2\"",
            "ADD_ONION ED25519-V3:KEY Port=80",
            "add_onion RSA1024:KEY",
            "ADD_ONOIN ED25519-V3:KEY Port=80",
            "ONION_CLIENT_AUTH_ADD addr x25519:KEY",
            "SETCONF HashedControlPassword=16:AB",
            "setconf Log=notice hashedcontrolp=16:AB",
            "RESETCONF Socks5ProxyPassword=\"a b\"",
            "SETCONF HTTPSProxyAuthenticator=user:pass",
            "SETCONF NewPasswordOption=x",
        ] {
            assert!(!may_keep(secret), "{secret}");
        }
    }

    #[test]
    fn lines_without_secrets_are_kept() {
        for line in [
            "GETINFO version",
            "AUTHENTICATE",
            "ADD_ONION NEW:BEST Flags=DiscardPK Port=80",
            "ONION_CLIENT_AUTH_VIEW",
            "SETCONF HTTPProxy=127.0.0.1:8080 Nickname=a",
            "RESETCONF HashedControlPassword",
            "GETCONF HashedControlPassword",
            "/info moria1",
        ] {
            assert!(may_keep(line), "{line}");
        }
        assert!(!may_keep(" GETINFO version"));
        assert!(!may_keep(""));
    }

    fn history(directory: &tempfile::TempDir) -> History {
        History { file: Some(directory.path().join("torcon/prompt_history")) }
    }

    #[test]
    fn a_history_is_loaded_in_order_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let history = history(&directory);
        assert_eq!(history.load(), Vec::<String>::new());
        for line in ["GETINFO version", "AUTHENTICATE \"x\"", "GETINFO uptime"] {
            history.append(line).unwrap();
        }
        assert_eq!(history.load(), ["GETINFO version", "GETINFO uptime"]);
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let file = history.file.as_deref().unwrap();
        assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_long_history_is_shortened() {
        let directory = tempfile::tempdir().unwrap();
        let history = history(&directory);
        let file = history.file.as_ref().unwrap();
        fs::create_dir(file.parent().unwrap()).unwrap();
        let lines: Vec<_> = (0..2 * LINES + 5).map(|number| format!("GETINFO {number}")).collect();
        fs::write(file, lines.join("\n") + "\n").unwrap();
        assert_eq!(history.load(), lines[LINES + 5..]);
        assert_eq!(fs::read_to_string(file).unwrap().lines().count(), LINES);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        assert!(!History::default().append("GETINFO version").unwrap());
        assert_eq!(History::default().load(), Vec::<String>::new());
    }
}
