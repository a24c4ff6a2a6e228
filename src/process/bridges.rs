//! Bridges, pluggable transports and upstream proxies of a tor to be launched.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::launcher::Launcher;
use super::options::Options;
use super::spawn;
use crate::error::LaunchProblem;
use crate::names::{BridgeLine, TransportPlugin, UpstreamProxy};

/// The options that [`Launcher::upstream_proxy`] sets.
const UPSTREAM: [&str; 6] = [
    "Socks4Proxy",
    "Socks5Proxy",
    "Socks5ProxyUsername",
    "Socks5ProxyPassword",
    "HTTPSProxy",
    "HTTPSProxyAuthenticator",
];

impl Launcher {
    /// Adds a bridge, through which tor then reaches its network: adds `UseBridges 1`, unless that
    /// option is set already, and the line `Bridge`. The default is no bridge.
    ///
    /// A bridge with a pluggable transport needs a [`transport_plugin`](Self::transport_plugin) for
    /// it; tor leaves a bridge without one out, and [`launch`](Self::launch) refuses bridges of which
    /// none has one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::Launcher;
    /// use torcon::names::{BridgeLine, TransportPlugin};
    ///
    /// let bridge: BridgeLine = "obfs4 192.0.2.7:443 cert=c0ffee iat-mode=0".parse()?;
    /// let tor = Launcher::new()
    ///     .bridge(&bridge)
    ///     .transport_plugin(&TransportPlugin::exec(["obfs4"], "obfs4proxy")?)
    ///     .launch()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("UseBridges", "obfs4", "snowflake", "meek", "webtunnel", "conjure"))]
    pub fn bridge(self, bridge: &BridgeLine) -> Self {
        let is_set = self.options.values("UseBridges").next().is_some();
        let launcher = if is_set { self } else { self.option("UseBridges", "1") };
        launcher.option("Bridge", bridge.as_str())
    }

    /// Adds several bridges, each as [`bridge`](Self::bridge) does. tor connects to some of them and
    /// uses those that answer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::Launcher;
    /// use torcon::names::BridgeLine;
    ///
    /// let bridges = ["192.0.2.7:443", "[2001:db8::7]:9001"];
    /// let bridges = bridges.map(|line| line.parse::<BridgeLine>());
    /// let bridges: Vec<_> = bridges.into_iter().collect::<Result<_, _>>()?;
    /// let tor = Launcher::new().bridges(&bridges).launch()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bridges<B: Borrow<BridgeLine>>(self, bridges: impl IntoIterator<Item = B>) -> Self {
        bridges.into_iter().fold(self, |launcher, bridge| launcher.bridge(bridge.borrow()))
    }

    /// Adds a provider of pluggable transports: the line `ClientTransportPlugin`. The default is
    /// none.
    ///
    /// A program without a slash is searched at this call in the `PATH` that tor will have: that of
    /// this program, or that of an earlier [`env`](Self::env). tor itself searches no program.
    ///
    /// tor starts the program only if a bridge needs one of its transports, and uses no bridge before
    /// all such programs have answered. If one cannot be executed, [`launch`](Self::launch) fails with
    /// [`LaunchProblem::TransportProgram`] once tor has tried to start it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Launcher;
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::exec(["obfs4", "webtunnel"], "lyrebird")?;
    /// let launcher = Launcher::new().transport_plugin(&plugin);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("ClientTransportPlugin", "obfs4proxy", "lyrebird"))]
    pub fn transport_plugin(self, plugin: &TransportPlugin) -> Self {
        let environment = spawn::child_environment(&self.environment);
        let path = spawn::search_path(&environment);
        let found = plugin.program().and_then(|program| spawn::find(program, path).ok());
        let replaced = found.and_then(|program| plugin.replace_program(program));
        self.option("ClientTransportPlugin", replaced.as_ref().unwrap_or(plugin).as_str())
    }

    /// Sets the proxy through which tor makes all its connections. The default is none.
    ///
    /// Replaces an earlier proxy: tor can have only one. tor passes it on to transport programs that
    /// it starts, and refuses it beside a transport behind a proxy that runs already.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Launcher;
    ///
    /// let launcher = Launcher::new()
    ///     .upstream_proxy(&"socks5://alice:secret@192.0.2.1:1080".parse()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("Socks4Proxy", "Socks5Proxy", "HTTPSProxy", "all_proxy"))]
    pub fn upstream_proxy(mut self, proxy: &UpstreamProxy) -> Self {
        for name in UPSTREAM {
            self.options.remove(name);
        }
        let options = proxy.reveal_options().into_iter();
        options.fold(self, |launcher, (name, value)| launcher.option(name, value))
    }
}

/// The lines that concern bridges.
struct BridgeLines {
    /// Empty if tor does not use bridges. A line that cannot be read counts as one without a transport.
    bridges: Vec<Option<BridgeLine>>,
    /// A line that cannot be read may be one that tor accepts, for any transport.
    plugins: Vec<Option<TransportPlugin>>,
}

impl BridgeLines {
    fn of(options: &Options) -> Self {
        let uses_bridges = options.values("UseBridges").last();
        let uses_bridges =
            uses_bridges.is_some_and(|value| value.as_encoded_bytes().trim_ascii() == b"1");
        let bridges = options.values("Bridge").filter(|_| uses_bridges).map(read).collect();
        let plugins = options.values("ClientTransportPlugin").map(read).collect();
        Self { bridges, plugins }
    }

    fn transports(&self) -> impl Iterator<Item = &str> {
        self.bridges.iter().flatten().filter_map(BridgeLine::transport)
    }

    /// Returns the programs that tor starts: each that provides the transport of a bridge.
    fn programs(&self) -> impl Iterator<Item = &Path> {
        let is_needed = |plugin: &&TransportPlugin| {
            plugin.transports().any(|name| self.transports().any(|needed| needed == name))
        };
        self.plugins.iter().flatten().filter(is_needed).filter_map(TransportPlugin::program)
    }
}

/// Returns the problem of the first transport program that tor would start with these options and
/// cannot execute.
///
/// tor connects to no bridge, not even to one without a transport, before each of these programs
/// has answered.
pub(super) fn unusable_transport(options: &Options) -> Option<LaunchProblem> {
    BridgeLines::of(options).programs().find_map(|program| {
        let source = Arc::new(check_executable(program).err()?);
        Some(LaunchProblem::TransportProgram { program: program.to_owned(), source })
    })
}

/// Returns the transport of the first bridge if no bridge can be used, since no line provides its
/// transport. tor leaves such a bridge out.
pub(super) fn missing_transport(options: &Options) -> Option<String> {
    let lines = BridgeLines::of(options);
    let missing = |bridge: &Option<BridgeLine>| {
        let transport = bridge.as_ref()?.transport()?;
        let provides = |plugin: &Option<TransportPlugin>| {
            plugin.as_ref().is_none_or(|plugin| plugin.transports().any(|name| name == transport))
        };
        (!lines.plugins.iter().any(provides)).then(|| transport.to_owned())
    };
    let missing: Option<Vec<_>> = lines.bridges.iter().map(missing).collect();
    missing?.into_iter().next()
}

/// Whether tor starts the program of a transport, and connects to no bridge before it has answered.
pub(super) fn waits_for_program(options: &Options) -> bool {
    BridgeLines::of(options).programs().next().is_some()
}

fn read<T: FromStr>(value: &OsStr) -> Option<T> {
    value.to_str()?.parse().ok()
}

/// Checks whether tor can execute a program. A file in a format that the system does not execute is
/// not found.
fn check_executable(program: &Path) -> io::Result<()> {
    if !fs::metadata(program)?.is_file() {
        return Err(Errno::EACCES.into());
    }
    Ok(access(program, AccessFlags::X_OK)?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{Launcher, missing_transport, unusable_transport};
    use crate::error::LaunchProblem;
    use crate::names::{BridgeLine, TransportPlugin, UpstreamProxy};

    /// Returns the options that were set, each as a line.
    fn lines(launcher: &Launcher) -> Vec<String> {
        let shown = launcher.options.shown();
        shown.map(|(name, value, _)| format!("{name} {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn bridges_add_their_lines_and_the_option_that_uses_them_once() {
        let bridges = ["192.0.2.7:1", "obfs4 [::1]:2 a=b"].map(|line| line.parse().unwrap());
        let [plain, obfs4]: &[BridgeLine; 2] = &bridges;
        let expected = ["UseBridges 1", "Bridge 192.0.2.7:1", "Bridge obfs4 [::1]:2 a=b"];
        assert_eq!(lines(&Launcher::new().bridges(&bridges)), expected);
        assert_eq!(lines(&Launcher::new().bridge(plain).bridges([obfs4.clone()])), expected);
        let off = Launcher::new().option("usebridges", "0").bridge(plain);
        assert_eq!(lines(&off), ["usebridges 0", "Bridge 192.0.2.7:1"]);
        assert_eq!(lines(&Launcher::new().bridges(Vec::<BridgeLine>::new())), [""; 0]);
    }

    #[test]
    fn a_transport_program_without_a_slash_is_searched_in_the_path_of_tor() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("pt");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let line = |launcher: Launcher, program: &str| {
            let plugin = TransportPlugin::exec(["a", "b"], program).unwrap();
            let plugin = plugin.with_argument("-x").unwrap();
            lines(&launcher.transport_plugin(&plugin)).join("")
        };
        let launcher = || Launcher::new().env("PATH", directory.path());
        let found = format!("ClientTransportPlugin a,b exec {} -x", program.display());
        assert_eq!(line(launcher(), "pt"), found);
        for unchanged in ["/nonexistent/pt", "no-such-pt"] {
            let expected = format!("ClientTransportPlugin a,b exec {unchanged} -x");
            assert_eq!(line(launcher(), unchanged), expected);
        }
        let proxy = "a socks5 127.0.0.1:1".parse().unwrap();
        let shown = lines(&Launcher::new().transport_plugin(&proxy));
        assert_eq!(shown, ["ClientTransportPlugin a socks5 127.0.0.1:1"]);
    }

    #[test]
    fn an_upstream_proxy_replaces_the_one_before() {
        let proxy = |url: &str| url.parse::<UpstreamProxy>().unwrap();
        let launcher = Launcher::new()
            .option("Nickname", "x")
            .upstream_proxy(&proxy("socks5://a:b@192.0.2.1:1"))
            .upstream_proxy(&proxy("http://c:d@192.0.2.1:2"));
        assert_eq!(
            lines(&launcher),
            ["Nickname x", "HTTPSProxy 192.0.2.1:2", "HTTPSProxyAuthenticator c:d"]
        );
        let launcher = launcher.upstream_proxy(&proxy("socks4://192.0.2.1:3"));
        assert_eq!(lines(&launcher), ["Nickname x", "Socks4Proxy 192.0.2.1:3"]);
    }

    #[test]
    fn only_programs_that_a_bridge_needs_are_checked() {
        let missing = "/nonexistent/pt";
        let found = |options: &[(&str, &str)]| {
            let add =
                |launcher: Launcher, (name, value): &(&str, &str)| launcher.option(*name, value);
            let launcher = options.iter().fold(Launcher::new(), add);
            unusable_transport(&launcher.options).is_some()
        };
        let plugin = ("ClientTransportPlugin", "a,b exec /nonexistent/pt");
        let bridge = ("Bridge", "b 192.0.2.7:1");
        let on = ("UseBridges", "1");
        assert!(found(&[plugin, bridge, on]));
        assert!(!found(&[plugin, bridge]));
        assert!(!found(&[plugin, bridge, on, ("UseBridges", "0")]));
        assert!(!found(&[plugin, on]));
        assert!(found(&[plugin, bridge, on, ("Bridge", "192.0.2.7:1")]));
        assert!(!found(&[plugin, on, ("Bridge", "c 192.0.2.7:1")]));
        assert!(!found(&[plugin, on, ("Bridge", "nonsense")]));
        let executable = ("ClientTransportPlugin", "b exec /bin/sh");
        assert!(!found(&[executable, bridge, on]));
        // tor starts both.
        assert!(found(&[executable, plugin, bridge, on]));
        let options = Launcher::new()
            .bridge(&"a 192.0.2.7:1".parse().unwrap())
            .transport_plugin(&TransportPlugin::exec(["a"], missing).unwrap());
        let problem = unusable_transport(&options.options);
        let Some(LaunchProblem::TransportProgram { program, .. }) = problem else { panic!() };
        assert_eq!(program.to_str(), Some(missing));
    }

    #[test]
    fn bridges_of_which_none_has_a_plugin_are_found() {
        let missing = |bridges: &[&str], plugin: &str| {
            let launcher = Launcher::new().option("UseBridges", "1");
            let add = |launcher: Launcher, line: &&str| launcher.option("Bridge", *line);
            let launcher = bridges.iter().fold(launcher, add);
            missing_transport(&launcher.option("ClientTransportPlugin", plugin).options)
        };
        let (a, b) = ("a 192.0.2.7:1", "b 192.0.2.7:2");
        let plugin = "b socks5 127.0.0.1:1";
        assert_eq!(missing(&[a], plugin).as_deref(), Some("a"));
        assert_eq!(missing(&[a, "c 192.0.2.7:3"], plugin).as_deref(), Some("a"));
        // tor reads more than one address, and a path that is not UTF-8.
        assert_eq!(missing(&[a], "a socks5 127.0.0.1:1 more"), None);
        for bridges in [&[a, b][..], &[a, "192.0.2.7:3"], &[a, "nonsense"], &[]] {
            assert_eq!(missing(bridges, plugin), None, "{bridges:?}");
        }
    }

    #[test]
    fn a_directory_and_a_file_without_permission_cannot_be_executed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("text");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        for path in [directory.path(), &file] {
            let error = super::check_executable(path).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
    }
}
