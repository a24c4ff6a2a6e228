//! Files that tor writes: keys, the addresses of services, control ports, keys of clients.
#![no_main]

use std::sync::LazyLock;
use std::{env, fs, process};

use torcon::Endpoint;
use torcon::names::{ClientAuthKey, OnionAddress, OnionKey};

/// A file that is written anew for each input.
static FILE: LazyLock<String> = LazyLock::new(|| {
    let directory = env::temp_dir();
    format!("{}/torcon-fuzz-{}", directory.display(), process::id())
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match choice % 5 {
        0 => {
            if let Ok(key) = OnionKey::from_file_bytes(bytes) {
                assert_eq!(key.reveal_file_bytes(), bytes);
            }
        }
        1 => {
            if let Ok(key) = OnionKey::from_blob(&text) {
                assert_eq!(
                    OnionKey::from_blob(&key.reveal_blob()).unwrap().address(),
                    key.address()
                );
            }
        }
        2 => {
            if let Ok((address, key)) = ClientAuthKey::from_auth_private(&text) {
                let written = key.reveal_auth_private(address);
                let (again, _) = ClientAuthKey::from_auth_private(&written).unwrap();
                assert_eq!(again, address);
            }
        }
        3 => {
            if let Ok(address) = text.trim().parse::<OnionAddress>() {
                assert_eq!(OnionAddress::from_public_key(address.public_key()).unwrap(), address);
            }
        }
        _ => {
            fs::write(&*FILE, bytes).unwrap();
            if let Ok(endpoints) = Endpoint::read_port_file(&*FILE) {
                assert!(!endpoints.is_empty());
            }
        }
    }
});
