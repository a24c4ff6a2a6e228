//! An HTTP client that connects by the URL of a proxy.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use torcon::EventKind;
use torcon::event::{Event, EventText};
use torcon::names::StreamStatus;
use torcon::socks::{Isolation, SocksProxy};
use ureq::{Agent, Proxy};

use super::server::Server;
use super::{LIMIT, shared_tor, unix_proxy};
use crate::testnet::retry::{find_in, retried};

/// A server of one page.
fn web(clients: usize) -> Server<String> {
    Server::start(clients, |stream| {
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        let _ = write!(&stream, "{head}hello");
        request
    })
}

fn agent(url: &str) -> Agent {
    let config = Agent::config_builder().proxy(Some(Proxy::new(url).unwrap()));
    config.timeout_global(Some(Duration::from_secs(30))).build().new_agent()
}

#[test]
fn an_http_client_reaches_tor_with_the_credentials_of_the_url() {
    let tor = shared_tor();
    let events = tor.controller().events([EventKind::Stream]).unwrap();
    let proxy = tor.socks_proxy().unwrap();
    let isolated = |isolation: &Isolation| proxy.clone().isolation(isolation.clone());
    let fresh = Isolation::fresh();
    let odd = Isolation::credentials("a:b@c/d?e#f%g+h i", "caf\u{e9}'[]{}|^`<>&=~").unwrap();
    let fetch = |proxy: &SocksProxy| {
        let url = proxy.url().unwrap();
        retried(tor.controller(), "tor opens the page", || {
            let server = web(1);
            // The exits resolve the name, which this machine cannot.
            let page = agent(&url)
                .get(format!("http://web.test:{}/", server.port()))
                .call()
                .and_then(|mut response| response.body_mut().read_to_string());
            assert_eq!(page.map_err(|error| error.to_string())?, "hello");
            let port = server.port();
            assert_eq!(server.finish(), ["GET / HTTP/1.1"]);
            let found = find_in(&events, LIMIT, |event| {
                let Event::Stream(event) = event else { return None };
                let is_ours =
                    event.target().port() == Some(port) && event.status() == StreamStatus::New;
                let text = |value: Option<EventText>| value.unwrap().to_string();
                is_ours.then(|| (text(event.socks_username()), text(event.socks_password())))
            });
            Ok((url.clone(), found.expect("tor reports the stream")))
        })
    };
    let (first_url, first) = fetch(&isolated(&fresh));
    let (second_url, second) = fetch(&isolated(&fresh));
    assert_ne!(first, second, "two URLs, two identities");
    for (url, (user, password)) in [(first_url, first), (second_url, second)] {
        let endpoint = proxy.endpoint();
        assert_eq!(url, format!("socks5h://{user}:{password}@{endpoint}"));
    }
    let (_, (user, password)) = fetch(&isolated(&odd));
    assert_eq!(user, "a:b@c/d?e#f%g+h i");
    assert_eq!(password, "caf\u{e9}'[]{}|^`<>&=~");
}

#[test]
fn a_proxy_on_a_unix_socket_has_no_url() {
    let error = unix_proxy().url().unwrap_err().to_string();
    assert!(error.contains("give tor a SocksPort on TCP too"), "{error}");
}
