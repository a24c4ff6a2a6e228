//! Settings that make tor exit instead of refusing: checked before they are sent.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Controller, PathView};
use crate::error::{InvalidInput, Result};
use crate::wire::Request;
use crate::wire::fields::Fields;
use crate::wire::torrc::read_options;

/// Options that name something which tor creates, while its directory must be there: tor exits if
/// it is not.
const CREATED: [&str; 2] = ["HiddenServiceDir", "CookieAuthFile"];

impl Controller {
    /// Refuses a `SETCONF`, `RESETCONF` or `LOADCONF` that would make tor exit.
    ///
    /// A directory that is missing here is a reason only if tor sees the same files; otherwise a
    /// warning is logged and tor decides. Relative paths are left to tor, since nobody else knows
    /// its directory. Asks [`path_view`](Self::path_view) if a directory is missing.
    pub(super) fn refuse_hazards(&self, request: &Request) -> Result<()> {
        for (option, path) in created_paths(request) {
            let Some(parent) = path.parent().filter(|_| path.is_absolute()) else { continue };
            if !is_missing(parent) {
                continue;
            }
            match self.path_view(parent) {
                PathView::Same => {
                    let problem =
                        "names something in a directory that does not exist, and tor would exit";
                    return Err(InvalidInput::new(option, problem).into());
                }
                PathView::Different => {}
                PathView::Unknown(reason) => log::warn!(
                    "cannot check that {parent:?} exists for {option}, and tor exits if it does \
                     not: {reason}"
                ),
            }
        }
        Ok(())
    }
}

/// Returns the options of a request that name something which tor would create, with the paths.
fn created_paths(request: &Request) -> Vec<(&'static str, PathBuf)> {
    match request.keyword() {
        "SETCONF" | "RESETCONF" => in_settings(request.arguments()),
        "LOADCONF" => in_torrc(&request.data_text()),
        _ => Vec::new(),
    }
}

fn in_settings(arguments: &[u8]) -> Vec<(&'static str, PathBuf)> {
    let fields = Fields::new(arguments);
    fields.filter_map(|field| created_path(field.key, &field.value.bytes())).collect()
}

fn in_torrc(text: &[u8]) -> Vec<(&'static str, PathBuf)> {
    let options = read_options(text).into_iter();
    options.filter_map(|(name, value)| created_path(name, &value)).collect()
}

fn created_path(option: &[u8], path: &[u8]) -> Option<(&'static str, PathBuf)> {
    let option = CREATED.iter().find(|name| is_short_for(option, name))?;
    Some((option, OsStr::from_bytes(path).into()))
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
    use std::path::{Path, PathBuf};

    use super::{in_settings, in_torrc};

    fn service(path: &str) -> Vec<(&'static str, PathBuf)> {
        vec![("HiddenServiceDir", Path::new(path).to_owned())]
    }

    #[test]
    fn a_directory_is_found_however_its_option_is_spelled() {
        for arguments in [
            r#"HiddenServiceDir="/x/a/b" HiddenServicePort="80""#,
            r#"ContactInfo="/y" hiddenservicedir=/x/a/b"#,
            r#"HiddenServiceDi="/x\057a/b""#,
        ] {
            assert_eq!(in_settings(arguments.as_bytes()), service("/x/a/b"), "{arguments}");
        }
        for text in [
            "  HiddenServiceDir /x/a/b",
            "hiddenservicedir \"/x/a\\057b\"",
            "HiddenServiceDir /x/\\\n# a comment\na/b",
            "+HiddenServiceDir /x/a/b",
        ] {
            assert_eq!(in_torrc(text.as_bytes()), service("/x/a/b"), "{text}");
        }
    }

    #[test]
    fn other_options_and_comments_name_no_directory() {
        assert_eq!(in_settings(b"ContactInfo=\"/x/a/b\""), []);
        // The comment was taken for the path.
        assert_eq!(in_torrc(b"# HiddenServiceDir /x/a/b\nContactInfo a # HiddenServiceDir /x"), []);
        assert_eq!(in_torrc(b"HiddenServiceDir /srv # moved from /x/a/b"), service("/srv"));
        assert_eq!(in_torrc(b"HiddenServiceDir # /x/a/b"), service(""));
    }
}
