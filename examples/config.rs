//! Launches a tor, and reads and changes its configuration.
//!
//! ```text
//! cargo run --example config
//! ```
//!
//! The network of that tor is disabled. The example shows options of every type, saves changes of
//! several options by one command, corrects an option that tor refuses, and prints the result as a
//! torrc.

#![expect(clippy::print_stdout, reason = "example output")]

use std::collections::BTreeMap;
use std::time::Duration;

use torcon::config::{Config, ConfiguredService, OptionType, OrAuto};
use torcon::process::Ready;
use torcon::{Error, Launcher, Result, Tor};

#[path = "support/arguments.rs"]
mod arguments;

const USAGE: &str = "usage: config

Reads and changes the configuration of a tor that it launches without network.";

fn main() -> Result<()> {
    arguments::none(USAGE);
    // The configuration of the new tor.
    let start = Config::offline();
    start.set("DisableNetwork", true)?;
    start.set("SocksPort", OrAuto::<u16>::Auto)?;
    start.set("MaxCircuitDirtiness", Duration::from_secs(300))?;
    let tor = Tor::launch(Launcher::new().wait_for(Ready::Controller).config(&start)?)?;
    let config = tor.config();

    show_types(config)?;

    // Nothing is sent before the save, which sends one command.
    config.set("MaxCircuitDirtiness", Duration::from_secs(15 * 60))?;
    config.set("ExitNodes", ["{us}", "{de}"])?;
    config.push("MapAddress", "torcon.example example.com")?;
    println!("\npending changes:");
    for name in config.pending() {
        println!("  {name} from {} to {}", config.in_force(&name)?, config.get(&name)?);
    }
    config.save()?;
    println!("saved; read back:");
    for name in ["MaxCircuitDirtiness", "ExitNodes", "MapAddress"] {
        println!("  {name} {}", config.get(name)?);
    }

    // All of it, or nothing.
    config.push("MapAddress", "second.example example.com")?;
    config.set("BandwidthRate", "2 furlongs")?;
    match config.save() {
        Err(Error::Config(error)) => {
            println!("\nrefused because of {}:", error.option().unwrap_or("some option"));
            println!("  {}", error.rejection().text());
            println!("tor still has {} in MapAddress", config.in_force("MapAddress")?);
        }
        other => other?,
    }
    config.set("BandwidthRate", 2_u32 << 20)?;
    config.save()?;
    println!("corrected: {} bytes per second", config.get("BandwidthRate")?);

    // An onion service in addition to the existing ones.
    let directory = tor.process().map(|process| process.data_directory().join("web"));
    if let Some(directory) = directory {
        config.add_onion_service(ConfiguredService::new(directory).port(80, 8080))?;
        config.save()?;
        println!("\nonion services: {:?}", config.onion_services()?);
    }

    println!("\nas a torrc:\n{}", config.to_torrc()?);
    tor.close()
}

/// Prints the number of options of each type, with an example.
fn show_types(config: &Config) -> Result<()> {
    config.load_all()?;
    let mut types: BTreeMap<OptionType, Vec<String>> = BTreeMap::new();
    for (name, kind) in config.options()? {
        types.entry(kind).or_default().push(name);
    }
    for (kind, names) in types.iter().filter(|(kind, _)| **kind != OptionType::Virtual) {
        let Some(name) = names.get(names.len() / 2) else { continue };
        let value = config.get(name)?.to_string();
        println!("{:>4} of the type {kind:<16} such as {name} = {value:.40}", names.len());
    }
    Ok(())
}
