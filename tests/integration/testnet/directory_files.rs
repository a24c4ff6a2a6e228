use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use torcon::descriptor::{
    Consensus, DescriptorList, ExtraInfo, KeyCertificate, Microdescriptor, RouterStatus,
    ServerDescriptor, Vote,
};
use torcon::{Controller, Launcher};

use super::{LIMIT, shared_network};
use crate::support::watchdog::eventually;

/// Counts the documents of each file or reply.
type Counts = BTreeMap<String, usize>;

/// Checks that every line of every document is valid and known.
macro_rules! count_documents {
    ($type:ty, $name:expr, $text:expr) => {{
        let mut count = 0;
        for document in &DescriptorList::<$type>::new($text) {
            let document = document.unwrap_or_else(|error| panic!("{}: {error}", $name));
            document.check().unwrap_or_else(|error| panic!("{}: {error}", $name));
            let unrecognized: Vec<_> = document.unrecognized().collect();
            assert!(unrecognized.is_empty(), "{}: {unrecognized:?}", $name);
            count += 1;
        }
        count
    }};
}

/// Checks the files of a data directory.
#[track_caller]
fn check_directory(directory: &Path) -> Counts {
    let mut counts = Counts::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = || fs::read(&path).unwrap();
        let name = name.strip_suffix(".new").unwrap_or(name);
        let count = match name {
            "cached-certs" => count_documents!(KeyCertificate, path.display(), text()),
            "cached-consensus" | "cached-microdesc-consensus" => {
                count_documents!(Consensus, path.display(), text())
            }
            "cached-descriptors" => count_documents!(ServerDescriptor, path.display(), text()),
            "cached-extrainfo" => count_documents!(ExtraInfo, path.display(), text()),
            "cached-microdescs" => count_documents!(Microdescriptor, path.display(), text()),
            "v3-status-votes" => count_documents!(Vote, path.display(), text()),
            _ => continue,
        };
        *counts.entry(name.to_owned()).or_default() += count;
    }
    counts
}

/// Checks the replies to `GETINFO`.
#[track_caller]
fn check_replies(controller: &Controller) -> Counts {
    let mut counts = Counts::new();
    let reply = |key: &str| controller.get_info_one(key).unwrap();
    let mut add = |key: &str, count| counts.insert(key.to_owned(), count);
    let key = "desc/all-recent";
    add(key, count_documents!(ServerDescriptor, key, reply(key)));
    let key = "ns/all";
    add(key, count_documents!(RouterStatus, key, reply(key)));
    let key = "md/all";
    add(key, count_documents!(Microdescriptor, key, reply(key)));
    for key in ["dir/status-vote/current/consensus", "dir/status-vote/current/consensus-microdesc"]
    {
        add(key, count_documents!(Consensus, key, reply(key)));
    }
    counts
}

#[test]
fn every_line_of_every_document_in_the_data_directories_is_known() {
    let network = shared_network();
    let relays = network.relays();
    for relay in &relays {
        let counts = check_directory(&network.directory().join(relay.nickname.as_str()));
        for name in ["cached-certs", "cached-consensus", "cached-microdesc-consensus"] {
            assert!(counts.get(name).is_some_and(|count| *count > 0), "{name}: {counts:?}");
        }
        if relay.is_authority {
            for name in ["cached-descriptors", "cached-extrainfo"] {
                assert!(counts.get(name) >= Some(&relays.len()), "{name}: {counts:?}");
            }
            assert!(counts.contains_key("v3-status-votes"), "{counts:?}");
            let counts = check_replies(&network.controller(relay.nickname.as_str()).unwrap());
            assert!(counts.values().all(|count| *count > 0), "{counts:?}");
        }
    }

    // A client that downloads everything.
    let launcher = Launcher::new().network(network).timeout(LIMIT).option("SocksPort", "0");
    let launcher = launcher.option("UseMicrodescriptors", "0").option("DownloadExtraInfo", "1");
    let tor = launcher.option("FetchUselessDescriptors", "1").launch().unwrap();
    eventually(LIMIT, "every document has arrived", || {
        let counts = check_directory(tor.data_directory());
        ["cached-descriptors", "cached-extrainfo", "cached-microdescs"]
            .iter()
            .all(|name| counts.get(*name).is_some_and(|count| *count >= relays.len()))
    });
    let mut counts = check_replies(tor.controller().unwrap());
    assert_eq!(counts.get("ns/all"), Some(&relays.len()), "{counts:?}");
    // A tor that uses server descriptors replies with no microdescriptors.
    counts.remove("md/all");
    assert!(counts.values().all(|count| *count > 0), "{counts:?}");
    tor.quit().unwrap();
}
