//! A reload by this connection, and the values that were read before it.

use torcon::config::Config;
use torcon::names::Signal;

use super::connected;

// `SIGNAL RELOAD` did not invalidate the cache.
#[test]
fn a_value_is_read_again_after_a_reload_of_the_same_connection() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS CONF_CHANGED", &["250 OK"]);
        script.answer(
            "GETINFO config/names",
            &["250+config/names=", "ContactInfo String", ".", "250 OK"],
        );
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=a"]);
        // The event is late.
        script.answer("SIGNAL RELOAD", &["250 OK"]);
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=b"]);
        script.answer("signal hup", &["250 OK"]);
        script.answer("GETCONF ContactInfo", &["250 ContactInfo=c"]);
        script.answer("SIGNAL NEWNYM", &["250 OK"]);
        script.expect_end();
    });
    let config = Config::new(&controller);
    let contact = || config.get("ContactInfo").unwrap().text().unwrap().into_owned();
    assert_eq!(contact(), "a");
    controller.signal(Signal::Reload).unwrap();
    assert_eq!(contact(), "b");
    controller.command("signal hup").unwrap();
    assert_eq!(contact(), "c");
    controller.signal(Signal::Newnym).unwrap();
    assert_eq!(contact(), "c", "without another command");
    controller.close();
    drop((config, controller));
    tor.finish();
}
