//! Launches a tor behind a bridge and fetches a page through it.
//!
//! ```text
//! cargo run --features testnet --example bridge
//! cargo run --features testnet --example bridge -- --bridge 'obfs4 192.0.2.7:443 ... cert=...' \
//!     --plugin 'obfs4 exec /usr/bin/obfs4proxy' [--country de]
//! ```
//!
//! Without `--bridge` it launches a private network on this machine, and uses one of its relays as
//! the bridge: it needs no internet. With `--bridge` tor uses the real network.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use torcon::names::{BridgeLine, TransportPlugin, UpstreamProxy};
use torcon::testnet::PrivateNetwork;
use torcon::{Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "\
usage: bridge [--bridge LINE]... [--plugin LINE]... [--country CC] [--proxy URL] [--limit SECONDS]
  --bridge LINE    use the real network behind this bridge, such as 'obfs4 192.0.2.7:443 cert=...';
                   without it, a private network on this machine is used
  --plugin LINE    the program of a transport, such as 'obfs4 exec /usr/bin/obfs4proxy'
  --country CC     leave the real network in this country, such as de
  --proxy URL      connect through this proxy: socks4://, socks5:// or http://
  --limit SECONDS  give up when tor is not ready after this time; the default is 120";

/// How long tor may take to open a stream, and a server to answer.
const STREAM_LIMIT: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments = arguments::read(USAGE, Arguments::read);
    let result = if arguments.bridges.is_empty() {
        on_private_network(&arguments)
    } else {
        on_real_network(&arguments)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // tor has ended already.
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_private_network(arguments: &Arguments) -> Result<()> {
    eprintln!("launching a private network");
    let network = PrivateNetwork::builder().relays(3).launch()?;
    // Every relay answers as a bridge to a tor that knows its address.
    let relays = network.relays();
    let relay = relays.iter().find(|relay| !relay.is_authority).ok_or("no relay")?;
    let bridge = BridgeLine::new(([127, 0, 0, 1], relay.or_port).into())?;
    let bridge = bridge.with_fingerprint(relay.fingerprint);

    let launcher = arguments.launcher().network(&network).bridge(&bridge);
    launcher.verify()?;
    let tor = Tor::launch(launcher)?;
    show_circuits(&tor)?;
    // Every name is 127.0.0.1 in the private network.
    let port = serve_one_page()?;
    show_page(&tor, &format!("server.test:{port}"))?;
    Ok(tor.close()?)
}

fn on_real_network(arguments: &Arguments) -> Result<()> {
    let launcher = arguments.launcher().bridges(&arguments.bridges);
    eprintln!("tor {}, bridges: {}", launcher.version()?, arguments.bridges.len());
    // Names a wrong option before anything is launched.
    launcher.verify()?;
    let tor = Tor::launch(launcher)?;
    show_circuits(&tor)?;
    show_page(&tor, "check.torproject.org:80")?;
    Ok(tor.close()?)
}

/// Prints the circuits: each begins at a bridge.
fn show_circuits(tor: &Tor) -> Result<()> {
    for line in tor.controller().get_info_one("circuit-status")?.lines() {
        if let [id, status, path, ..] = line.split(' ').collect::<Vec<_>>()[..] {
            println!("circuit {id} {status} {path}");
        }
    }
    Ok(())
}

/// Prints the first line of the answer of a web server.
fn show_page(tor: &Tor, target: &str) -> Result<()> {
    let mut stream = tor.connect_stream(target)?;
    stream.set_read_timeout(Some(STREAM_LIMIT))?;
    let host = target.split(':').next().unwrap_or_default();
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    println!("{target} answers: {}", answer.lines().next().unwrap_or("nothing"));
    Ok(())
}

/// Serves one page on a port of 127.0.0.1.
fn serve_one_page() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let serve = move || -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        client.set_read_timeout(Some(STREAM_LIMIT))?;
        let _request = client.read(&mut [0; 1024])?;
        client.write_all(b"HTTP/1.0 200 OK, through a bridge\r\n\r\nhello\n")
    };
    thread::Builder::new().name("server".to_owned()).spawn(serve)?;
    Ok(port)
}

struct Arguments {
    bridges: Vec<BridgeLine>,
    plugins: Vec<TransportPlugin>,
    country: Option<String>,
    proxy: Option<UpstreamProxy>,
    limit: Duration,
}

impl Arguments {
    fn read(parser: &mut lexopt::Parser) -> std::result::Result<Self, lexopt::Error> {
        let (bridges, plugins) = (Vec::new(), Vec::new());
        let limit = Duration::from_secs(120);
        let mut read = Self { bridges, plugins, country: None, proxy: None, limit };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("bridge") => read.bridges.push(parser.value()?.parse()?),
                Long("plugin") => read.plugins.push(parser.value()?.parse()?),
                Long("country") => read.country = Some(country(&parser.value()?.string()?)?),
                Long("proxy") => read.proxy = Some(parser.value()?.parse()?),
                Long("limit") => read.limit = Duration::from_secs(parser.value()?.parse()?),
                other => return Err(other.unexpected()),
            }
        }
        let needs_bridge =
            !read.plugins.is_empty() || read.country.is_some() || read.proxy.is_some();
        if read.bridges.is_empty() && needs_bridge {
            return Err("--plugin, --country and --proxy need --bridge".into());
        }
        Ok(read)
    }

    /// Returns a launcher without a bridge. It fails when tor is not ready at the limit.
    fn launcher(&self) -> Launcher {
        let mut launcher = Launcher::new()
            .timeout(self.limit)
            .stall_timeout(self.limit)
            .on_progress(|progress| eprintln!("{progress}"));
        for plugin in &self.plugins {
            launcher = launcher.transport_plugin(plugin);
        }
        if let Some(proxy) = &self.proxy {
            launcher = launcher.upstream_proxy(proxy);
        }
        if let Some(country) = &self.country {
            // Without StrictNodes tor would use another country where it needs to.
            launcher = launcher.option("ExitNodes", format!("{{{country}}}"));
            launcher = launcher.option("StrictNodes", "1");
        }
        launcher
    }
}

fn country(text: &str) -> std::result::Result<String, lexopt::Error> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match is_code {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{text:?} is not a country code of two letters").into()),
    }
}
