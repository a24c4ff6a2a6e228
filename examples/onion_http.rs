//! An HTTP server behind an onion address that stays the same.
//!
//! ```text
//! cargo run --features testnet --example onion_http [-- --internet KEY_FILE]
//! ```
//!
//! The key of the onion service is kept in a file, so that the address survives a restart. The
//! server is `tiny_http`.
//!
//! It runs on a private Tor network on this machine: it serves a page, fetches that page through a
//! second tor, starts the service again with the same key, and ends. With `--internet` it serves the
//! page on the real Tor network until Ctrl-C; any Tor Browser can open it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "example output")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lexopt::prelude::*;
use tiny_http::{Response, Server};
use torcon::names::{OnionAddress, OnionKey};
use torcon::onion::{OnionService, Publication};
use torcon::testnet::PrivateNetwork;
use torcon::{CancelToken, Error, Launcher, OnionEndpoint, Tor};
use ureq::{Agent, Proxy};

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/ctrl_c.rs"]
mod ctrl_c;

const USAGE: &str = "usage: onion_http [--internet KEY_FILE]

An HTTP server behind an onion address whose key is kept in a file.

  --internet KEY_FILE  serve on the real Tor network until Ctrl-C; a missing file is created";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let key_file = arguments::read(USAGE, |parser| {
        let mut key_file = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("internet") => key_file = Some(PathBuf::from(parser.value()?)),
                other => return Err(other.unexpected()),
            }
        }
        Ok(key_file)
    });

    // Ctrl-C and SIGTERM end the program in good order, a second one at once.
    let token = ctrl_c::token()?;

    // The server listens on this machine only; tor forwards the clients of the onion service to it.
    let server = Arc::new(Server::http("127.0.0.1:0")?);
    let for_requests = Arc::clone(&server);
    let serving = thread::Builder::new().name("http".to_owned()).spawn(move || {
        for request in for_requests.incoming_requests() {
            println!("{} {}", request.method(), request.url());
            // A client that has disconnected is ignored.
            let _ = request.respond(Response::from_string("Hello from behind an onion address.\n"));
        }
    })?;

    let outcome = match key_file {
        Some(key_file) => serve_until_canceled(&server, &key_file, &token),
        None => serve_twice(&server, &token),
    };
    server.unblock();
    serving.join().map_err(|_| "the server panicked")?;
    match outcome {
        Err(error) if error.downcast_ref().is_some_and(Error::is_canceled) => Ok(()),
        outcome => outcome,
    }
}

fn serve_until_canceled(server: &Server, key_file: &Path, token: &CancelToken) -> Result<()> {
    let service = publish(server, Launcher::new(), key_file, token)?;
    println!("http://{}/ until Ctrl-C", service.onion_address());
    token.wait();
    service.close()?;
    Ok(())
}

/// Publishes the server at the address of the key in the file.
fn publish(
    server: &Server,
    launcher: Launcher,
    key_file: &Path,
    token: &CancelToken,
) -> Result<OnionService> {
    let key = OnionKey::read_or_create_file(key_file)?;
    let port = server.server_addr().to_ip().ok_or("the server has no TCP port")?;
    let endpoint = OnionEndpoint::private_tor(80).launcher(launcher).key(key).cancel_token(token);
    // Every directory that a client may ask must have the descriptor, so that no client fails.
    let endpoint = endpoint.publication(Publication::All);
    Ok(endpoint.on_progress(|progress| eprintln!("{progress}")).start(port)?)
}

fn serve_twice(server: &Server, token: &CancelToken) -> Result<()> {
    let network = PrivateNetwork::builder().cancel_token(token).launch()?;
    let launcher = || Launcher::new().network(&network).cancel_token(token);
    let directory = tempfile::tempdir()?;
    let key_file = directory.path().join("onion-key");
    let client = Tor::launch(launcher().option("SocksPort", "auto"))?;

    let service = publish(server, launcher(), &key_file, token)?;
    let address = service.onion_address();
    println!("http://{address}/");
    println!("its page: {}", fetch(&client, address)?.trim());
    service.close()?;

    let service = publish(server, launcher(), &key_file, token)?;
    println!("after a restart: http://{}/", service.onion_address());
    if service.onion_address() != address {
        return Err("the address has changed".into());
    }
    service.close()?;
    Ok(())
}

/// Fetches the page through a tor, as any client of the onion service does.
fn fetch(client: &Tor, address: OnionAddress) -> Result<String> {
    let port = client.socks_proxy()?.endpoint().to_string();
    // With "socks5h" tor gets the onion address; with "socks5" this machine would look it up.
    let proxy = Proxy::new(&format!("socks5h://{port}"))?;
    let config = Agent::config_builder().proxy(Some(proxy));
    let agent = config.timeout_global(Some(Duration::from_secs(60))).build().new_agent();
    Ok(agent.get(&format!("http://{address}/")).call()?.body_mut().read_to_string()?)
}
