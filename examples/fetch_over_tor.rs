//! Fetches web pages over Tor, with the HTTP client `ureq`.
//!
//! ```text
//! cargo run --features testnet --example fetch_over_tor [-- --internet URL...]
//! ```
//!
//! Without arguments it starts a private Tor network on this machine, with a small web server, and
//! fetches that server's page twice: through an exit, and from an onion service. With
//! `--internet` it fetches the given URLs over the real Tor network.
#![expect(clippy::print_stdout, reason = "example output")]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use torcon::onion::Publication;
use torcon::testnet::PrivateNetwork;
use torcon::{Launcher, Tor};
use ureq::{Agent, Proxy};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: fetch_over_tor [--internet URL...]

Fetches web pages over Tor with the HTTP client ureq, by default on a private Tor network.

  --internet URL...  fetch these over the real Tor network";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let begin = Instant::now();
    let urls = arguments::read(USAGE, |parser| {
        let (mut urls, mut is_internet) = (Vec::new(), false);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("internet") => is_internet = true,
                Value(url) => urls.push(url.string()?),
                other => return Err(other.unexpected()),
            }
        }
        match is_internet == urls.is_empty() {
            true => Err("give --internet with one URL or more, or nothing".into()),
            false => Ok(urls),
        }
    });
    let launcher = Launcher::new().option("SocksPort", "127.0.0.1:auto ExtendedErrors");
    if urls.is_empty() {
        fetch_on_a_private_network(launcher, begin)?;
    } else {
        let tor = Tor::launch(launcher)?;
        println!("{:6.2?}  tor is ready", begin.elapsed());
        let agent = agent(&tor)?;
        urls.iter().try_for_each(|url| fetch(&agent, url))?;
    }
    println!("{:6.2?}  done", begin.elapsed());
    Ok(())
}

fn fetch_on_a_private_network(launcher: Launcher, begin: Instant) -> Result<()> {
    let network = PrivateNetwork::launch()?;
    println!("{:6.2?}  a private Tor network is up", begin.elapsed());
    let tor = Tor::launch(launcher.network(&network))?;
    println!("{:6.2?}  tor is ready", begin.elapsed());

    let server = TcpListener::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    thread::Builder::new().name("web".to_owned()).spawn(move || serve(&server))?;
    // Every directory that tor may query must have the descriptor.
    let service =
        tor.onion_endpoint(80).ephemeral().publication(Publication::All).start(address)?;
    println!("{:6.2?}  an onion service is published", begin.elapsed());

    let agent = agent(&tor)?;
    // The exits resolve the name, which this machine cannot.
    fetch(&agent, &format!("http://web.test:{}/", address.port()))?;
    fetch(&agent, &format!("http://{}/", service.onion_address()))
}

/// An HTTP client that sends every connection and every name through tor.
fn agent(tor: &Tor) -> Result<Agent> {
    let port = tor.socks_proxy()?.endpoint().to_string();
    // With "socks5", without the "h", names would be resolved here, for all to see.
    let proxy = Proxy::new(&format!("socks5h://{port}"))?;
    let config = Agent::config_builder().proxy(Some(proxy));
    Ok(config.timeout_global(Some(Duration::from_secs(30))).build().new_agent())
}

fn fetch(agent: &Agent, url: &str) -> Result<()> {
    let begin = Instant::now();
    let mut response = agent.get(url).call()?;
    let page = response.body_mut().read_to_string()?;
    println!("\n{url}: {}, {} bytes, {:.2?}", response.status(), page.len(), begin.elapsed());
    page.lines().take(5).for_each(|line| println!("  | {line}"));
    Ok(())
}

/// Answers every request with the same page, as long as the program runs.
fn serve(server: &TcpListener) {
    let page = "<!doctype html>\n<title>torcon</title>\n<p>Hello from the other side of Tor.\n";
    let length = page.len();
    for mut stream in server.incoming().flatten() {
        let lines = BufReader::new(&stream).lines().map_while(io::Result::ok);
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        // A client that has disconnected is ignored.
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n");
        let _ = write!(stream, "Content-Length: {length}\r\nConnection: close\r\n\r\n{page}");
    }
}
