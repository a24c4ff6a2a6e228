//! The onion services of tor's configuration. tor replaces all of them at once, so each change
//! says every line of all of them again.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::schema::{Schema, known_schema};
use super::setting::check_line;
use crate::command::{ConfMap, ConfSetting};
use crate::error::InvalidInput;
use crate::names::{OnionPort, PortTarget};
use crate::wire::quoted::decode_value;

/// The option whose lines begin a service.
pub(crate) const DIRECTORY: &str = "HiddenServiceDir";
const PORT: &str = "HiddenServicePort";

/// A line of a configuration: the name of an option and its value.
pub(crate) type ConfiguredLine = (String, Vec<u8>);

/// An onion service of tor's configuration: its directory, its ports, and every other line, in
/// order, also of options that this version does not know.
///
/// Got from [`Config::onion_services`](crate::config::Config::onion_services), or made by
/// [`new`](Self::new) for
/// [`Config::add_onion_service`](crate::config::Config::add_onion_service). It is a description:
/// what is changed here changes nothing in tor before it is given back and saved.
///
/// # Examples
///
/// ```
/// use torcon::config::ConfiguredService;
/// use torcon::names::OnionPort;
///
/// let mut service = ConfiguredService::new("/var/lib/tor/web").port(80, 8080);
/// service.set_option("HiddenServiceMaxStreams", ["5"])?;
/// assert_eq!(service.ports(), [OnionPort::new(80, 8080)]);
/// # Ok::<(), torcon::Error>(())
/// ```
#[doc(alias = "HiddenService")]
#[derive(Clone, PartialEq, Eq)]
pub struct ConfiguredService {
    directory: PathBuf,
    /// The lines behind that of the directory.
    lines: Vec<ConfiguredLine>,
}

impl ConfiguredService {
    /// Returns a service with keys in the given directory, an absolute path as tor sees it, and
    /// without a port. tor makes the directory; that in which it lies must be there.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), lines: Vec::new() }
    }

    /// Adds a port of the onion address, and where what comes to it goes. A service needs one at
    /// least. The default is none.
    #[must_use]
    pub fn port(mut self, virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        let port = OnionPort::new(virtual_port, target);
        self.lines.push((PORT.to_owned(), port_value(&port)));
        self
    }

    /// Returns the directory of the service.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the ports, each with its target in the form in which it is written.
    #[must_use]
    pub fn ports(&self) -> Vec<OnionPort> {
        self.port_lines().filter_map(|(_, value)| read_port(value)).collect()
    }

    /// Replaces the ports by others.
    ///
    /// A port that stays keeps its line byte for byte; a line that [`ports`](Self::ports) could
    /// not read stays too, behind the others.
    pub fn set_ports(&mut self, ports: impl IntoIterator<Item = OnionPort>) {
        let old: Vec<_> =
            self.port_lines().map(|(_, value)| (read_port(value), value.clone())).collect();
        let line = |port: OnionPort| {
            let same = old.iter().find(|(old, _)| old.as_ref() == Some(&port));
            same.map_or_else(|| port_value(&port), |(_, value)| value.clone())
        };
        let unread = old.iter().filter(|(port, _)| port.is_none()).map(|(_, value)| value.clone());
        let values = ports.into_iter().map(line).chain(unread).collect();
        self.replace(PORT, values);
    }

    /// Returns the values of an option of this service, such as `HiddenServiceMaxStreams`; bytes
    /// that are not UTF-8 are replaced.
    #[must_use]
    pub fn option(&self, name: &str) -> Vec<String> {
        self.values_of(name).map(Cow::into_owned).collect()
    }

    /// Replaces the lines of an option of this service; no value removes them.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the name is not that of an option of one onion service, if it is only
    /// the beginning of one, or if a value holds a line break or NUL. Options that only a later
    /// tor has are taken.
    pub fn set_option<V: AsRef<OsStr>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), InvalidInput> {
        if name.eq_ignore_ascii_case(DIRECTORY) {
            return Err(InvalidInput::new("option", "names the service and cannot be changed"));
        }
        // Whether the tor that it is for has the option is checked when the service is given to it.
        known_schema().service_option(name)?;
        let values: Vec<_> =
            values.into_iter().map(|value| value.as_ref().as_bytes().to_vec()).collect();
        values.iter().try_for_each(|value| check_line(name, value))?;
        self.replace(name, values);
        Ok(())
    }

    /// Returns every line, the first of which names the directory.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let others = self.lines.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        std::iter::once((DIRECTORY, self.directory.as_os_str().as_bytes())).chain(others)
    }

    /// Makes the changes that led from one state of a service to another. Options that they do not
    /// touch stay as they are here.
    pub(super) fn apply_edit(&mut self, before: &Self, after: &Self) {
        if self == before {
            self.clone_from(after);
            return;
        }
        let mut done: Vec<&str> = Vec::new();
        for (name, _) in before.lines.iter().chain(&after.lines) {
            let values = |service: &Self| -> Vec<Vec<u8>> {
                let own = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(name);
                service.lines.iter().filter(own).map(|(_, value)| value.clone()).collect()
            };
            let new = values(after);
            if !done.iter().any(|other| other.eq_ignore_ascii_case(name)) && values(before) != new {
                done.push(name);
                self.replace(name, new);
            }
        }
    }

    /// Refuses a line that no torrc can hold, and an option that this tor does not have.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), InvalidInput> {
        self.lines().try_for_each(|(name, value)| {
            schema.service_option(name)?;
            check_line(name, value)
        })
    }

    fn port_lines(&self) -> impl Iterator<Item = &ConfiguredLine> {
        self.lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(PORT))
    }

    fn values_of(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let lines = self.lines.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Puts values where the first of the option stood, or at the end.
    fn replace(&mut self, name: &str, values: Vec<Vec<u8>>) {
        let is_meant = |line: &ConfiguredLine| line.0.eq_ignore_ascii_case(name);
        let place = self.lines.iter().position(is_meant).unwrap_or(self.lines.len());
        let spelled = self.lines.get(place).map_or(name, |(name, _)| name).to_owned();
        self.lines.retain(|line| !is_meant(line));
        let values = values.into_iter().map(|value| (spelled.clone(), value));
        self.lines.splice(place..place, values);
    }
}

impl fmt::Debug for ConfiguredService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (name, value) in self.lines() {
            list.entry(&format_args!("{name} {}", String::from_utf8_lossy(value)));
        }
        list.finish()
    }
}

/// Returns the value of a line: `80`, `80 127.0.0.1:8080`, or `80 unix:"/path"`, since without
/// quotes a path would end at a blank.
pub(crate) fn port_value(port: &OnionPort) -> Vec<u8> {
    let virtual_port = port.virtual_port();
    match port.target() {
        None => virtual_port.to_string().into_bytes(),
        Some(PortTarget::Unix(path)) => {
            let path = path.as_os_str().as_bytes();
            let mut value = format!("{virtual_port} unix:").into_bytes();
            if path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"') {
                value.extend_from_slice(path);
            } else {
                value.push(b'"');
                for byte in path {
                    if matches!(byte, b'"' | b'\\') {
                        value.push(b'\\');
                    }
                    value.push(*byte);
                }
                value.push(b'"');
            }
            value
        }
        Some(target) => format!("{virtual_port} {target}").into_bytes(),
    }
}

/// Reads a line that tor has taken. It takes more forms than [`OnionPort`] reads from text: blanks
/// before and between, signs before numbers, and unix sockets by any path.
fn read_port(value: &[u8]) -> Option<OnionPort> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (port, target) = value.split_at_checked(end)?;
    let number = |text: &[u8]| -> Option<u16> {
        let digits = text.strip_prefix(b"+").unwrap_or(text);
        let text = std::str::from_utf8(digits).ok()?;
        text.parse().ok().filter(|port| *port != 0 && text.starts_with(|c: char| c != '+'))
    };
    let virtual_port = number(port)?;
    let target = target.trim_ascii();
    if target.is_empty() {
        return Some(OnionPort::same(virtual_port));
    }
    if let Some(path) = target.strip_prefix(b"unix:") {
        let path = decode_value(path);
        return Some(OnionPort::new(virtual_port, Path::new(OsStr::from_bytes(&path))));
    }
    let target = match number(target) {
        Some(port) => PortTarget::Port(port),
        None => std::str::from_utf8(target).ok()?.parse().ok()?,
    };
    Some(OnionPort::new(virtual_port, target))
}

/// Every line of the services of a configuration, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceLines {
    pub(crate) lines: Vec<ConfiguredLine>,
}

impl ServiceLines {
    /// Reads what tor answers for `HiddenServiceOptions`.
    pub(crate) fn from_conf(conf: &ConfMap) -> Self {
        let lines = conf.lines().filter_map(|(name, value)| Some((name, value?)));
        Self { lines: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Returns what a `SETCONF` must say for these services and no others.
    pub(crate) fn settings(&self) -> Vec<(&str, ConfSetting)> {
        if self.lines.is_empty() {
            return vec![(DIRECTORY, ConfSetting::clear())];
        }
        let setting = |value: &Vec<u8>| ConfSetting::from(value.as_slice());
        self.lines.iter().map(|(name, value)| (name.as_str(), setting(value))).collect()
    }

    pub(crate) fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let lines = self.lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(DIRECTORY));
        lines.map(|(_, value)| PathBuf::from(OsString::from_vec(value.clone())))
    }

    /// Leaves out the services whose directory is meant. A service begins with its directory.
    pub(crate) fn without(self, is_meant: impl Fn(&Path) -> bool) -> (bool, Self) {
        let (mut removed, mut leaving) = (false, false);
        let mut kept = Self::default();
        for (name, value) in self.lines {
            if name.eq_ignore_ascii_case(DIRECTORY) {
                leaving = is_meant(Path::new(OsStr::from_bytes(&value)));
                removed |= leaving;
            }
            if !leaving {
                kept.lines.push((name, value));
            }
        }
        (removed, kept)
    }

    pub(super) fn services(&self) -> Vec<ConfiguredService> {
        let mut services: Vec<ConfiguredService> = Vec::new();
        for (name, value) in &self.lines {
            if name.eq_ignore_ascii_case(DIRECTORY) {
                services.push(ConfiguredService::new(OsString::from_vec(value.clone())));
            } else if let Some(service) = services.last_mut() {
                service.lines.push((name.clone(), value.clone()));
            }
        }
        services
    }

    pub(super) fn of_services(services: &[ConfiguredService]) -> Self {
        let lines = services.iter().flat_map(ConfiguredService::lines);
        Self { lines: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }
}

/// Whether two paths are of one directory, whatever links lead there.
pub(crate) fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other
        || match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ConfiguredService, ServiceLines, known_schema, port_value, read_port};
    use crate::names::OnionPort;

    fn services(lines: &[(&str, &str)]) -> ServiceLines {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        ServiceLines { lines: lines.iter().map(owned).collect() }
    }

    const FIRST: [(&str, &str); 2] = [("HiddenServiceDir", "/a"), ("HiddenServicePort", "80")];
    const SECOND: [(&str, &str); 4] = [
        ("HiddenServiceDir", "/b b"),
        ("HiddenServicePort", "80 unix:\"/x y\""),
        ("HiddenServiceNovelty", "1"),
        ("HiddenServicePort", "81"),
    ];
    const THIRD: [(&str, &str); 2] = [("HiddenServiceDir", "/c"), ("HiddenServiceNovelty", "2")];

    #[test]
    fn a_service_leaves_with_all_its_lines_and_the_others_keep_theirs() {
        let all = [&FIRST[..], &SECOND, &THIRD].concat();
        let (removed, kept) = services(&all).without(|path| path == Path::new("/b b"));
        assert!(removed);
        assert_eq!(kept, services(&[&FIRST[..], &THIRD].concat()));
        let (removed, kept) = services(&all).without(|path| path == Path::new("/d"));
        assert!(!removed);
        assert_eq!(kept, services(&all));
    }

    #[test]
    fn lines_become_services_and_lines_again() {
        let lines = services(&[&FIRST[..], &SECOND, &THIRD].concat());
        let list = lines.services();
        assert_eq!(list.len(), 3);
        assert_eq!(list[1].directory(), Path::new("/b b"));
        let ports = [OnionPort::new(80, Path::new("/x y")), OnionPort::same(81)];
        assert_eq!(list[1].ports(), ports);
        assert_eq!(list[1].option("hiddenservicenovelty"), ["1"]);
        assert_eq!(ServiceLines::of_services(&list), lines);
    }

    #[test]
    fn what_is_changed_stays_in_its_place() {
        let mut service = services(&SECOND).services().remove(0);
        service.set_ports([OnionPort::new(90, 9090)]);
        service.set_option("HIDDENSERVICENOVELTY", ["2", "3"]).unwrap();
        service.set_option("HiddenServiceMaxStreams", ["5"]).unwrap();
        let lines: Vec<_> = service
            .lines()
            .map(|(name, value)| format!("{name} {}", String::from_utf8_lossy(value)))
            .collect();
        assert_eq!(
            lines,
            [
                "HiddenServiceDir /b b",
                "HiddenServicePort 90 9090",
                "HiddenServiceNovelty 2",
                "HiddenServiceNovelty 3",
                "HiddenServiceMaxStreams 5",
            ]
        );
        service.set_option::<&str>("HiddenServiceNovelty", []).unwrap();
        assert_eq!(service.option("HiddenServiceNovelty"), [""; 0]);
    }

    #[test]
    fn a_line_that_is_none_of_a_service_is_refused() {
        let mut service = ConfiguredService::new("/a");
        for (name, value, text) in [
            ("SocksPort", "1", "\"SocksPort\": is not an option of an onion service"),
            ("HiddenServiceX Y", "1", "\"HiddenServiceX Y\": is not an option of an onion service"),
            (
                "HiddenServiceStatistics",
                "1",
                "\"HiddenServiceStatistics\": is not an option of an onion service",
            ),
            (
                "hiddenservicedi",
                "/b",
                "\"hiddenservicedi\": is the beginning of HiddenServiceDir: write the whole name",
            ),
            (
                "HiddenServiceMaxStream",
                "5",
                "\"HiddenServiceMaxStream\": is the beginning of HiddenServiceMaxStreams: write the \
                 whole name",
            ),
            ("hiddenservicedir", "/b", "\"option\": names the service and cannot be changed"),
            ("HiddenServiceX", "a\nb", "\"HiddenServiceX\": contains a line feed"),
        ] {
            let error = service.set_option(name, [value]).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid argument {text}"));
        }
        assert!(ConfiguredService::new("/a\nb").check(known_schema()).is_err());
    }

    #[test]
    fn a_path_with_blanks_is_quoted() {
        for (path, value) in [
            ("/srv/x.sock", "80 unix:/srv/x.sock"),
            ("/srv/a b", "80 unix:\"/srv/a b\""),
            ("/srv/\"q\" \\", "80 unix:\"/srv/\\\"q\\\" \\\\\""),
        ] {
            let port = OnionPort::new(80, Path::new(path));
            assert_eq!(String::from_utf8(port_value(&port)).unwrap(), value);
            assert_eq!(read_port(value.as_bytes()), Some(port));
        }
        assert_eq!(read_port(b"x"), None);
    }

    #[test]
    fn every_port_that_tor_takes_is_read_and_written_as_it_was() {
        for (value, canonical) in [
            ("81", "81"),
            ("80 localhost:8080", "80 localhost:8080"),
            ("82 127.0.0.1", "82 127.0.0.1"),
            ("83 8083", "83 8083"),
            ("84 unix:/path", "84 unix:/path"),
            ("85 unix:\"/pa th\"", "85 unix:\"/pa th\""),
            ("86 [::1]:80", "86 [::1]:80"),
            ("87 [::1]", "87 [::1]"),
            ("88 ::1", "88 [::1]"),
            ("89 127.0.0.1:89", "89 127.0.0.1:89"),
            ("+90", "90"),
            ("091", "91"),
            ("  92  93", "92 93"),
            ("94 +95", "94 95"),
            ("96 unix:relative", "96 unix:relative"),
            ("97 web.example", "97 web.example"),
            ("98 unix:\"/plain\"", "98 unix:/plain"),
        ] {
            let lines = [("HiddenServiceDir", "/a"), ("HiddenServicePort", value)];
            let mut service = services(&lines).services().remove(0);
            let ports = service.ports();
            assert_eq!(ports.len(), 1, "{value}");
            assert_eq!(String::from_utf8(port_value(&ports[0])).unwrap(), canonical);
            service.set_ports(ports.into_iter().chain([OnionPort::new(1, 2)]));
            assert_eq!(service.option("HiddenServicePort"), [value, "1 2"]);
        }
    }

    #[test]
    fn a_port_that_cannot_be_read_stays() {
        let lines = [("HiddenServiceDir", "/a"), ("HiddenServicePort", "80 of-a-new:kind")];
        let mut service = services(&lines).services().remove(0);
        assert_eq!(service.ports(), []);
        service.set_ports([OnionPort::same(90)]);
        assert_eq!(service.option("HiddenServicePort"), ["90", "80 of-a-new:kind"]);
    }
}
