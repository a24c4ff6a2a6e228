//! Settings that make tor exit instead of refusing: checked before they are sent.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Controller;
use crate::error::{InvalidInput, Result};
use crate::wire::Request;
use crate::wire::fields::Fields;
use crate::wire::quoted::decode_value;

/// Options that name something which tor creates, while its directory must be there: tor exits if
/// it is not.
const CREATED: [&str; 2] = ["HiddenServiceDir", "CookieAuthFile"];

impl Controller {
    /// Refuses a `SETCONF`, `RESETCONF` or `LOADCONF` that would make tor exit.
    ///
    /// Only where tor runs on this machine: the paths of another are not ours to look at. Relative
    /// paths are left to tor, since nobody else knows its directory.
    pub(super) fn refuse_hazards(&self, request: &Request) -> Result<()> {
        if !self.inner.endpoint.is_local() {
            return Ok(());
        }
        match request.keyword() {
            "SETCONF" | "RESETCONF" => check_settings(request.arguments()),
            "LOADCONF" => request.data_lines().try_for_each(check_torrc_line),
            _ => Ok(()),
        }
    }
}

fn check_settings(arguments: &[u8]) -> Result<()> {
    for field in Fields::new(arguments) {
        check(field.key, &field.value.bytes())?;
    }
    Ok(())
}

fn check_torrc_line(line: &[u8]) -> Result<()> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (option, value) = line.split_at(end);
    check(option, &decode_value(value.trim_ascii()))
}

fn check(option: &[u8], path: &[u8]) -> Result<()> {
    let path = Path::new(OsStr::from_bytes(path));
    let Some(option) = CREATED.iter().find(|name| is_short_for(option, name)) else {
        return Ok(());
    };
    match path.parent() {
        Some(parent) if path.is_absolute() && is_missing(parent) => {
            let problem = "names something in a directory that does not exist, and tor would exit";
            Err(InvalidInput::new(*option, problem).into())
        }
        _ => Ok(()),
    }
}

/// Whether there is certainly no directory. One that is closed to us may be open to tor.
fn is_missing(directory: &Path) -> bool {
    match directory.metadata() {
        Ok(found) => !found.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Whether tor may take `text` for the option. It takes the first that begins with a word it does
/// not know; no other option begins with eleven letters of these and has a path for its value.
fn is_short_for(text: &[u8], option: &str) -> bool {
    let option = option.as_bytes();
    let start = option.get(..text.len());
    text.len() > 10 && start.is_some_and(|start| start.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::{check_settings, check_torrc_line};

    const REFUSAL: &str = "invalid argument \"HiddenServiceDir\": names something in a directory \
                           that does not exist, and tor would exit";

    #[test]
    fn a_directory_under_a_missing_parent_is_refused_however_it_is_spelled() {
        // A directory under a missing parent makes tor exit (peers 31).
        for arguments in [
            r#"HiddenServiceDir="/nonexistent/a/b" HiddenServicePort="80""#,
            r#"ContactInfo="x" hiddenservicedir=/nonexistent/a/b"#,
            r#"HiddenServiceDi="/nonexistent\057a/b""#,
        ] {
            let error = check_settings(arguments.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), REFUSAL, "{arguments}");
        }
        for line in
            ["  HiddenServiceDir /nonexistent/a/b", "hiddenservicedir \"/nonexistent/a\\057b\""]
        {
            assert_eq!(check_torrc_line(line.as_bytes()).unwrap_err().to_string(), REFUSAL);
        }
    }

    #[test]
    fn what_tor_can_do_is_let_through() {
        for arguments in [
            "",
            "HiddenServiceDir",
            r#"HiddenServiceDir="/fresh" HiddenServicePort="80""#,
            r#"HiddenServiceDir="relative/dir""#,
            r#"ContactInfo="/nonexistent/a/b""#,
        ] {
            assert!(check_settings(arguments.as_bytes()).is_ok(), "{arguments}");
        }
        assert!(check_torrc_line(b"# HiddenServiceDir /nonexistent/a/b").is_ok());
    }
}
