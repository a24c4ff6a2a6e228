use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;

use torcon::names::OnionKey;
use torcon::onion::Publication;

use super::network::{LIMIT, reach, tor};
use crate::testnet::retry::retried;

#[test]
fn an_http_server_that_listens_already_gets_an_onion_address_that_it_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("web.key");
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
    let listens = server.server_addr().to_ip().unwrap();
    let serving = thread::Builder::new().name("http".to_owned()).spawn({
        let server = Arc::clone(&server);
        move || {
            for request in server.incoming_requests() {
                let text = format!("{} {}", request.method(), request.url());
                let _ = request.respond(tiny_http::Response::from_string(text));
            }
        }
    });
    let client = tor();
    let mut addresses = Vec::new();
    // The second tor is that of a second run of the program.
    for _ in 0..2 {
        let tor = tor();
        let key = OnionKey::read_or_create_file(&key_file).unwrap();
        let endpoint = tor.onion_endpoint(80).key(key).publication(Publication::All);
        let service = endpoint.timeout(LIMIT).start(listens).unwrap();
        let address = service.onion_address();
        addresses.push(address);
        let get = || {
            let mut stream = reach(&client, &address, 80);
            stream.set_read_timeout(Some(LIMIT / 3))?;
            write!(stream, "GET /page HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = retried(client.controller(), "the server answers", || {
            get().map_err(|error: std::io::Error| error.to_string())
        });
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("GET /page"), "{answer}");
        service.close().unwrap();
    }
    assert_eq!(addresses[0], addresses[1]);
    server.unblock();
    serving.unwrap().join().unwrap();
}
