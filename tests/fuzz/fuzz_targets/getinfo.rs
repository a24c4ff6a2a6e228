//! Typed `GETINFO`: what each method reads in values that may be anything. The first byte chooses
//! the method; zero bytes separate the values of several keys.
#![no_main]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde::Serialize;
use torcon::names::{ConsensusFlavor, ListenerKind, OnionKey};
use torcon::{ConnectOptions, Controller, Result};

/// A controller, and the values for its next command.
struct Peer {
    controller: Controller,
    values: Sender<Vec<u8>>,
}

/// Answers each `GETINFO` with the next values.
fn serve(socket: UnixStream, values: &Receiver<Vec<u8>>) -> std::io::Result<()> {
    let mut output = socket.try_clone()?;
    for line in BufReader::new(socket).lines() {
        let line = line?;
        let mut reply = Vec::new();
        match line.strip_prefix("GETINFO ").filter(|keys| !keys.starts_with("torcon/")) {
            Some(keys) => {
                let Ok(values) = values.recv() else { return Ok(()) };
                let mut values = values.split(|byte| *byte == 0);
                for key in keys.split(' ') {
                    let value = values.next().unwrap_or_default();
                    if value.contains(&b'\n') || value.contains(&b'\r') {
                        reply.extend_from_slice(format!("250+{key}=\r\n").as_bytes());
                        for line in value.split(|byte| *byte == b'\n') {
                            let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
                            reply.extend_from_slice(&[dot, line, b"\r\n"].concat());
                        }
                        reply.extend_from_slice(b".\r\n");
                    } else {
                        reply.extend_from_slice(
                            &[b"250-", key.as_bytes(), b"=", value, b"\r\n"].concat(),
                        );
                    }
                }
                reply.extend_from_slice(b"250 OK\r\n");
            }
            None if line.starts_with("PROTOCOLINFO") => reply.extend_from_slice(
                b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                  250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
            ),
            None => reply.extend_from_slice(b"250 OK\r\n"),
        }
        output.write_all(&reply)?;
    }
    Ok(())
}

impl Peer {
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (values, received) = channel();
        thread::spawn(move || serve(theirs, &received));
        Self { controller: ConnectOptions::new().connect_stream(ours).unwrap(), values }
    }
}

thread_local! {
    static PEER: RefCell<Option<Peer>> = const { RefCell::new(None) };
}

/// Prints a value, or the reason for none.
fn show<T: Serialize>(answer: Result<T>) {
    match answer {
        Ok(value) => drop(serde_json::to_vec(&value).unwrap()),
        Err(error) => {
            assert!(!error.is_timeout(), "{error}");
            let _ = error.to_string();
        }
    }
}

fn ask(tor: &Controller, choice: u8) {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let service = OnionKey::from_seed([1; 32]).address();
    let relay = || "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC".parse().unwrap();
    match choice % 40 {
        0 => show(tor.circuit_status()),
        1 => show(tor.stream_status()),
        2 => show(tor.orconn_status()),
        3 => show(tor.entry_guards()),
        4 => show(tor.address_mappings()),
        5 => show(tor.country(address)),
        6 => show(tor.geoip_data()),
        7 => show(tor.accounting()),
        8 => show(tor.process_info()),
        9 => show(tor.traffic()),
        10 => show(tor.current_time()),
        11 => show(tor.bw_event_cache()),
        12 => show(tor.uptime()),
        13 => show(tor.full_version().map(|it| it.to_string())),
        14 => show(tor.bootstrap_phase()),
        15 => show(tor.version_status()),
        16 => show(tor.network_liveness()),
        17 => show(tor.is_dormant()),
        18 => show(tor.listeners(&ListenerKind::Socks).map(|it| format!("{it:?}"))),
        19 => show(tor.exit_policy().map(|it| format!("{it:?}"))),
        20 => show(tor.exit_policy_ipv4().map(|it| format!("{it:?}"))),
        21 => show(tor.exit_policy_ipv6().map(|it| format!("{it:?}"))),
        22 => show(tor.default_exit_policy().map(|it| format!("{it:?}"))),
        23 => show(tor.reachability()),
        24 => show(tor.handshake_counts()),
        25 => show(tor.clients_seen()),
        26 => show(tor.external_address()),
        27 => show(tor.fingerprint()),
        28 => show(tor.config_defaults()),
        29 => show(tor.config_names()),
        30 => show(tor.info_names()),
        31 => show(tor.consensus_lifetime()),
        32 => show(tor.shared_random()),
        33 => show(tor.consensus_download(&ConsensusFlavor::Ns)),
        34 => show(tor.certificate_downloads()),
        35 => show(tor.bridge_downloads()),
        36 => show(tor.onions()),
        37 => show(tor.hs_service_descriptor(&service)),
        38 => show(tor.descriptor_annotations(relay()).map(|it| format!("{it:?}"))),
        _ => show(tor.relay_statuses().map(|it| it.iter().count())),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, values)) = data.split_first() else { return };
    PEER.with_borrow_mut(|peer| {
        if peer.as_ref().is_none_or(|peer| !peer.controller.is_alive()) {
            *peer = Some(Peer::new());
        }
        let peer = peer.as_ref().unwrap();
        peer.values.send(values.to_vec()).unwrap();
        ask(&peer.controller, *choice);
    });
});
