//! A first look: launches a tor of its own, watches it come up, asks it, listens to it, changes an
//! option and ends it.
//!
//! ```text
//! cargo run --example quickstart [-- --offline]
//! ```
//!
//! Without a way to the Tor network tor cannot come up entirely; the program then says so and goes
//! on, since everything else works. With `--offline` tor does not even try.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::env;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use torcon::command::ConfValue;
use torcon::process::Ready;
use torcon::{Controller, EventKind, Launcher, Result, TorProcess};

/// How long tor may stand still on its way to 100 %.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let offline = env::args().any(|argument| argument == "--offline");
    let tor = launch(offline)?;
    let controller = tor.controller()?;
    ask(controller)?;
    listen(controller)?;
    configure(controller)?;

    let status = tor.quit()?;
    println!("tor has ended: {status}");
    Ok(())
}

/// Launches a tor with a progress bar.
fn launch(offline: bool) -> Result<TorProcess> {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos:>3} % {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let tor = Launcher::new()
        .option("SocksPort", "auto")
        .option("DisableNetwork", if offline { "1" } else { "0" })
        .wait_for(Ready::Controller)
        .on_progress(move |progress| {
            shown.set_position(progress.percent.into());
            shown.set_message(progress.summary.clone());
        })
        .launch()?;
    if offline {
        bar.abandon_with_message("the network is switched off");
        return Ok(tor);
    }
    match tor.wait_bootstrapped(PATIENCE) {
        Ok(()) => bar.finish(),
        Err(error) if error.is_timeout() => {
            bar.abandon();
            println!("there seems to be no way to the Tor network: {error}");
        }
        Err(error) => return Err(error),
    }
    Ok(tor)
}

fn ask(controller: &Controller) -> Result<()> {
    println!("\ntor {} at {}", controller.version(), controller.endpoint());
    let keys = ["process/pid", "process/user", "uptime", "net/listeners/control", "dormant"];
    for (key, value) in &controller.get_info(keys)? {
        println!("{key:>22}  {value}");
    }
    let events = controller.valid_events()?.len();
    let options = controller.config_names()?.len();
    println!("{:>22}  {events} kinds of event, {options} options", "it knows");
    Ok(())
}

fn listen(controller: &Controller) -> Result<()> {
    println!("\nbandwidth, three seconds of it:");
    let events = controller.events([EventKind::Bw])?;
    for event in events.timeout_iter(Duration::from_secs(5)).take(3) {
        println!("{event:>22}");
    }
    Ok(())
}

fn configure(controller: &Controller) -> Result<()> {
    println!("\nan option:");
    let show = |when: &str| -> Result<()> {
        let conf = controller.get_conf(["MaxCircuitDirtiness"])?;
        let value = conf.get("MaxCircuitDirtiness").and_then(ConfValue::first);
        println!("{when:>22}  MaxCircuitDirtiness {} seconds", value.unwrap_or("?"));
        Ok(())
    };
    show("before")?;
    controller.set_conf([("MaxCircuitDirtiness", "5 minutes")])?;
    show("changed")?;
    controller.reset_conf([("MaxCircuitDirtiness", None::<&str>)])?;
    show("back")
}
