//! An onion service with client authorization: without a key its descriptor cannot be read.
//!
//! ```text
//! cargo run --features testnet --example onion_client_auth
//! ```
//!
//! It runs on a private Tor network on this machine, with a service that authorizes Alice, and a
//! client that fails, receives Alice's key, and connects.
#![expect(clippy::print_stdout, reason = "example output")]

use std::io::{Read, Write};
use std::thread;

use torcon::onion::{OnionListener, Publication};
use torcon::testnet::PrivateNetwork;
use torcon::{Error, Launcher, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: onion_client_auth

An onion service that only clients with a key can reach, on a private Tor network.";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    arguments::none(USAGE);
    let network = PrivateNetwork::launch()?;
    // With this flag tor has SOCKS codes for failures of onion services.
    let launcher = || Launcher::new().network(&network).option("SocksPort", "auto ExtendedErrors");
    let (service, visitor) = (Tor::launch(launcher())?, Tor::launch(launcher())?);

    let listener = service
        .onion_endpoint(80)
        .ephemeral()
        .authorize_client("alice")
        .publication(Publication::All)
        .listen()?;
    println!("the service is {}", listener.onion_address());
    for client in listener.clients() {
        println!("it authorizes {}, whose public key is {}", client.name, client.public_key);
    }

    thread::scope(|scope| {
        let server = scope.spawn(|| greet(&listener));
        let visit = visit(&listener, &visitor);
        // This ends the server.
        listener.close()?;
        match server.join() {
            Ok(served) => served.and(visit),
            Err(_) => Err("the server panicked".into()),
        }
    })
}

fn greet(listener: &OnionListener) -> Result<()> {
    for stream in listener.incoming() {
        stream?.write_all(b"welcome")?;
    }
    Ok(())
}

fn visit(listener: &OnionListener, visitor: &Tor) -> Result<()> {
    let address = listener.onion_address();
    match visitor.connect_stream((address, 80)) {
        Ok(_) => return Err("a client without a key was connected".into()),
        Err(Error::Socks(error)) => println!("without a key: {}", error.problem()),
        Err(error) => return Err(error.into()),
    }

    // The service sends Alice her key on another path, and she adds it to her tor.
    let alice = listener.clients().iter().find_map(|client| client.key.clone());
    let key = alice.ok_or("no key was made for Alice")?;
    let outcome = visitor.add_onion_client_auth(address, key)?;
    println!("the key is given to tor: {outcome:?}");

    let mut greeting = String::new();
    visitor.connect_stream((address, 80))?.read_to_string(&mut greeting)?;
    println!("with the key: {greeting}");
    Ok(())
}
