//! Calls that take one name, or several in an array, a slice, a `Vec` or an iterator.

#![allow(clippy::needless_borrows_for_generic_args, reason = "references are accepted too")]

use torcon::Error;
use torcon::command::{ConfMap, ConfValue, InfoMap};
use torcon::event::EventKind;

use super::{controller, reader};
use crate::support::real_tor::RealTor;

#[test]
fn one_key_is_answered_by_its_value_and_several_by_a_map() {
    let controller = reader();
    let version: String = controller.get_info("version").unwrap();
    assert_eq!(version, controller.version().to_string());
    // The type needs no annotation.
    assert!(controller.get_info("process/pid").unwrap().parse::<u32>().is_ok());
    let keys = vec!["version".to_owned(), "config-file".to_owned()];
    let lists: [InfoMap; 4] = [
        controller.get_info(["version", "config-file"]).unwrap(),
        controller.get_info(&keys).unwrap(),
        controller.get_info(keys.as_slice()).unwrap(),
        controller.get_info(keys.iter().map(String::as_str)).unwrap(),
    ];
    for info in lists {
        assert_eq!(info.get("version").as_deref(), Some(&*version));
        assert_eq!(info.len(), 2);
    }
    assert_eq!(controller.get_info_raw("version").unwrap().lines().len(), 2);
    assert_eq!(controller.get_info("no/such").unwrap_err().status_code(), Some(552));
}

#[test]
fn one_option_is_answered_by_its_value_and_changed_by_one_pair() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    controller.set_conf(("Nickname", "Ada")).unwrap();
    let value: ConfValue = controller.get_conf("nickname").unwrap();
    assert_eq!(value.first(), Some("Ada"));
    let settings = vec![("Nickname".to_owned(), Some("Bea")), ("ContactInfo".to_owned(), None)];
    controller.set_conf(&settings).unwrap();
    let map: ConfMap = controller.get_conf(&["Nickname", "ContactInfo"]).unwrap();
    assert_eq!(map.get("Nickname").and_then(ConfValue::first), Some("Bea"));
    controller.reset_conf("Nickname").unwrap();
    assert!(controller.get_conf("Nickname").unwrap().is_default());
    // A name of several options has no single value.
    let error = controller.get_conf("HiddenServiceOptions").unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    controller.get_conf(["HiddenServiceOptions"]).unwrap();
}

#[test]
fn one_kind_of_event_or_several_make_a_queue() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let kinds = vec![EventKind::Signal, EventKind::ConfChanged];
    let queues = [
        controller.events(EventKind::ConfChanged).unwrap(),
        controller.events(&EventKind::ConfChanged).unwrap(),
        controller.events(&kinds).unwrap(),
        controller.events(&kinds[1..]).unwrap(),
    ];
    controller.set_conf([("ContactInfo", "me")]).unwrap();
    for queue in &queues {
        let event = queue.into_iter().next().unwrap();
        assert_eq!(event.kind(), Some(EventKind::ConfChanged));
    }
    let pairs = [("one.example", "two.example")];
    assert_eq!(controller.map_address(&pairs).unwrap().len(), 1);
}
