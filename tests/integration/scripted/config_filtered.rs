//! A configuration behind a filtering proxy that refuses the optional commands.

use torcon::config::{Config, OptionType};

use super::connected;

// One refusal made every method fail.
#[test]
fn a_configuration_without_events_and_names_reads_each_time_and_saves() {
    let (tor, controller) = connected(|script| {
        let refused = &["510 Command filtered"];
        script.answer("SETEVENTS CONF_CHANGED", refused);
        script.answer("GETINFO config/names", refused);
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=a"]);
        // Another controller changed it, without an event.
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=b"]);
        script.answer("GETCONF MapAddress", &["250 MapAddress=x y"]);
        script.answer("GETINFO process/pid process/uid", refused);
        script.answer("GETCONF MapAddress", &["250 MapAddress=x y"]);
        script.answer("SETCONF MapAddress=\"x y\" MapAddress=\"v w\"", &["250 OK"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    for value in ["a", "b"] {
        assert_eq!(config.get("ContactInfo").unwrap().text().unwrap().into_owned(), value);
    }
    assert_eq!(config.option_type("exitnodes").unwrap(), OptionType::RouterList);
    config.push("MapAddress", "v w").unwrap();
    assert_eq!(config.get("MapAddress").unwrap().entries().unwrap(), ["x y", "v w"]);
    config.save().unwrap();
    controller.close();
    drop((config, controller));
    tor.finish();
}
