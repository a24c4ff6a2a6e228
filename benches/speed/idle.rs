//! A thousand controllers that do nothing.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::memory;
use crate::support::replay::{Answer, Replay};
use crate::support::report::{self, Goal};

const COUNT: usize = 1_000;

/// The soft limit of descriptors of a usual shell.
const DESCRIPTORS: u64 = 1_024;

pub(crate) fn controllers() {
    let answer = Answer::new("GETINFO version", "250-version=0.4.9.11\r\n250 OK\r\n");
    let replay = Replay::start(&[answer]);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, most).unwrap();
    let usage = || (memory::resident(), memory::threads(), memory::descriptors() as f64);
    let before = usage();
    let mut controllers = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        match torcon::connect(replay.unix.to_string().as_str()) {
            Ok(controller) => controllers.push(controller),
            Err(error) => {
                println!("  after {} controllers: {error}", controllers.len());
                // The rest of this row needs descriptors too.
                controllers.truncate(controllers.len() * 9 / 10);
                break;
            }
        }
    }
    let answering = controllers.iter().filter(|it| it.get_info_one("version").is_ok()).count();
    let after = usage();
    let each = |after: f64, before: f64| (after - before) / controllers.len() as f64;
    report::figure("answering with 1,024 descriptors", answering as f64, Goal::AtLeast(1_000.0));
    report::figure("kB each", each(after.0, before.0), Goal::AtMost(20.0));
    report::figure("threads each", each(after.1, before.1), Goal::AtMost(1.0));
    report::figure("descriptors each", each(after.2, before.2), Goal::AtMost(1.0));
}
