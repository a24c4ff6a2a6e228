use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

use super::{Action, GroupState, Pending, PendingKind, services_option};
use crate::config::schema::{Schema, TorOption};
use crate::config::services::{ConfiguredLine, ConfiguredService, DIRECTORY};

fn option(name: &str) -> TorOption {
    Schema::known().option(name).unwrap()
}

fn lines(lines: &[(&str, &str)]) -> Vec<ConfiguredLine> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    lines.iter().map(owned).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn pending(changes: &[(&str, Action)]) -> Pending {
    let mut pending = Pending::default();
    for (name, action) in changes {
        pending.push(option(name), action.clone());
    }
    pending
}

#[test]
fn a_value_makes_meaningless_what_was_to_happen_before() {
    let pending = pending(&[
        ("Log", Action::Push(bytes("a"))),
        ("ContactInfo", Action::Set(vec![bytes("x")])),
        ("Log", Action::Set(vec![bytes("b")])),
        ("Log", Action::Push(bytes("c"))),
        ("ContactInfo", Action::Reset),
    ]);
    assert_eq!(pending.list().len(), 3);
    assert_eq!(pending.touched().len(), 2);
    assert!(!pending.touched()[0].needs_base && !pending.touched()[1].needs_base);
    let log = pending.applied("Log", &lines(&[("Log", "old")]));
    assert_eq!(log, GroupState::Lines(lines(&[("Log", "b"), ("Log", "c")])));
    assert_eq!(pending.applied("ContactInfo", &[]), GroupState::Default);
    assert!(pending.is_reset("ContactInfo") && !pending.is_reset("Log"));
}

#[test]
fn entries_are_edited_in_the_list_as_it_is_by_then() {
    let pending = pending(&[
        ("ExitNodes", Action::Push(bytes("{fr}"))),
        ("ExitNodes", Action::Remove(bytes("{us}"))),
        ("ExitNodes", Action::Replace(bytes("{de}"), bytes("{nl}"))),
    ]);
    assert!(pending.touched()[0].needs_base);
    for (before, after) in [
        ("{us},{de}", "{nl},{fr}"),
        ("{us}, {de},{gb},{us}", "{nl},{gb},{fr}"),
        ("", "{fr}"),
        ("{fr}", "{fr},{fr}"),
    ] {
        let state = pending.applied("ExitNodes", &lines(&[("ExitNodes", before)]));
        assert_eq!(state, GroupState::Lines(lines(&[("ExitNodes", after)])), "{before}");
    }
}

#[test]
fn a_list_that_loses_its_last_entry_is_empty() {
    for name in ["ExitNodes", "Log"] {
        let pending = pending(&[(name, Action::Remove(bytes("a")))]);
        assert_eq!(pending.applied(name, &lines(&[(name, "a")])), GroupState::Cleared);
    }
}

#[test]
fn options_that_tor_keeps_together_keep_each_other() {
    // SETCONF SocksPort drops __SocksPort, too.
    let group = "SocksPortLines";
    let base = lines(&[("SocksPort", "1"), ("__SocksPort", "2"), ("SocksPort", "3")]);
    let set = pending(&[("SocksPort", Action::Set(vec![bytes("4")]))]);
    assert!(set.touched()[0].needs_base);
    let expected = lines(&[("SocksPort", "4"), ("__SocksPort", "2")]);
    assert_eq!(set.applied(group, &base), GroupState::Lines(expected));
    let reset = pending(&[("SocksPort", Action::Reset)]);
    assert_eq!(reset.applied(group, &base), GroupState::Lines(lines(&[("__SocksPort", "2")])));
    let both = pending(&[("SocksPort", Action::Clear), ("__SocksPort", Action::Clear)]);
    assert_eq!(both.touched().len(), 1);
    assert_eq!(both.applied(group, &base), GroupState::Lines(Vec::new()));
}

#[test]
fn what_is_asked_for_during_a_save_is_for_the_next() {
    let mut pending = pending(&[("Log", Action::Push(bytes("a")))]);
    let mark = pending.mark();
    pending.push(option("Log"), Action::Push(bytes("b")));
    pending.push(option("Nickname"), Action::Set(vec![bytes("n")]));
    pending.saved(mark);
    let kinds: Vec<_> =
        pending.list().iter().map(|c| (c.option().to_owned(), c.values().join(" "))).collect();
    assert_eq!(kinds, [("Log".to_owned(), "b".to_owned()), ("Nickname".into(), "n".into())]);
    pending.forget("log");
    assert_eq!(pending.list().len(), 1);
    pending.clear();
    assert!(pending.is_empty());
}

#[test]
fn services_are_changed_among_those_that_are_there_by_then() {
    let service = |path: &str, port| ConfiguredService::new(path).port(port, port);
    let mut pending = Pending::default();
    pending.push(services_option(), Action::AddService(service("/new", 3)));
    pending.push(
        services_option(),
        Action::EditService { before: service("/b", 2), after: service("/b", 9) },
    );
    pending.push(services_option(), Action::RemoveService("/a".into()));
    let port = "HiddenServicePort";
    let base = lines(&[
        (DIRECTORY, "/a"),
        (port, "1"),
        (DIRECTORY, "/other"),
        ("HiddenServiceNovelty", "1"),
        (DIRECTORY, "/b"),
        (port, "2"),
    ]);
    let expected = lines(&[
        (DIRECTORY, "/other"),
        ("HiddenServiceNovelty", "1"),
        (DIRECTORY, "/b"),
        (port, "9 9"),
        (DIRECTORY, "/new"),
        (port, "3 3"),
    ]);
    let state = pending.applied("HiddenServiceOptions", &base);
    assert_eq!(state, GroupState::Lines(expected));
    // Saved, though the answer was lost, and saved again.
    let GroupState::Lines(saved) = state else { panic!("{state:?}") };
    assert_eq!(pending.applied("HiddenServiceOptions", &saved), GroupState::Lines(saved));
    let list = pending.list();
    assert_eq!(list[2].kind(), PendingKind::RemoveService);
    assert_eq!(list[2].option(), "HiddenServiceOptions");
    assert_eq!(list[2].values(), ["/a"]);
}

#[test]
fn debug_of_a_change_shows_no_value() {
    let pending = pending(&[("HashedControlPassword", Action::Set(vec![bytes("16:SECRET")]))]);
    let text = format!("{:?}", pending.list());
    assert!(text.contains("HashedControlPassword") && !text.contains("SECRET"), "{text}");
}

/// What a program may do to an option in the property test.
#[derive(Clone, Debug)]
enum Step {
    Do(usize, Action),
    /// Somebody else sets the option.
    Other(usize, Vec<String>),
    Save,
    Refused,
    Revert,
}

const OPTIONS: [&str; 4] = ["Log", "ExitNodes", "SocksPort", "__SocksPort"];

fn entry() -> impl Strategy<Value = Vec<u8>> {
    "[abc]".prop_map(String::into_bytes)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let action = prop_oneof![
        vec(entry(), 1..4).prop_map(Action::Set),
        Just(Action::Clear),
        Just(Action::Reset),
        entry().prop_map(Action::Push),
        entry().prop_map(Action::Remove),
        (entry(), entry()).prop_map(|(old, new)| Action::Replace(old, new)),
    ];
    let step = prop_oneof![
        6 => (0..OPTIONS.len(), action).prop_map(|(at, action)| Step::Do(at, action)),
        2 => (0..OPTIONS.len(), vec("[xyz]", 0..3)).prop_map(|(at, v)| Step::Other(at, v)),
        1 => Just(Step::Save),
        1 => Just(Step::Refused),
        1 => Just(Step::Revert),
    ];
    vec(step, 0..30)
}

/// The model: each option is a list of entries, and each change a function of lists.
fn changed(entries: &mut Vec<Vec<u8>>, action: &Action, is_comma_list: bool) {
    match action {
        Action::Set(values) if is_comma_list => {
            *entries = values[0].split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
        }
        Action::Set(values) => entries.clone_from(values),
        Action::Clear | Action::Reset => entries.clear(),
        Action::Push(entry) => entries.push(entry.clone()),
        Action::Remove(entry) => entries.retain(|other| other != entry),
        Action::Replace(old, new) => {
            for entry in entries.iter_mut().filter(|entry| *entry == old) {
                entry.clone_from(new);
            }
        }
        _ => unreachable!("services are not in this model"),
    }
}

/// The entries of an option among the lines of its group.
fn entries(option: &TorOption, lines: &[ConfiguredLine]) -> Vec<Vec<u8>> {
    let own = lines.iter().filter(|(name, _)| *name == *option.name).map(|(_, value)| value);
    match option.kind.is_comma_list() {
        true => own
            .flat_map(|line| super::comma_entries(line).map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect(),
        false => own.cloned().collect(),
    }
}

proptest! {
    #[test]
    fn changes_do_what_a_model_of_lists_does(steps in steps()) {
        let schema = Schema::known();
        let options = OPTIONS.map(|name| schema.option(name).unwrap());
        // What tor has, by groups, and by the model.
        let mut groups: BTreeMap<String, Vec<ConfiguredLine>> = BTreeMap::new();
        let mut tor: [Vec<Vec<u8>>; 4] = Default::default();
        let mut pending = Pending::default();
        let mut asked: Vec<(usize, Action)> = Vec::new();
        for step in steps {
            match step {
                Step::Do(at, action) => {
                    let action = match action {
                        Action::Set(values) if options[at].kind.is_comma_list() => {
                            Action::Set(vec![values.join(&b',')])
                        }
                        action => action,
                    };
                    pending.push(options[at].clone(), action.clone());
                    asked.push((at, action));
                }
                Step::Other(at, values) => {
                    let name = options[at].name.to_string();
                    let group = groups.entry(options[at].group.to_string()).or_default();
                    group.retain(|line| line.0 != name);
                    tor[at] = values.iter().map(|value| value.clone().into_bytes()).collect();
                    let lines = match options[at].kind.is_comma_list() {
                        true => vec![values.join(",").into_bytes()],
                        false => tor[at].clone(),
                    };
                    group.extend(lines.into_iter().map(|line| (name.clone(), line)));
                }
                Step::Save => {
                    for touched in pending.touched() {
                        let group = groups.entry(touched.option.group.to_string()).or_default();
                        let base = if touched.needs_base { group.clone() } else { Vec::new() };
                        *group = match pending.applied(&touched.option.group, &base) {
                            GroupState::Lines(lines) => lines,
                            GroupState::Cleared | GroupState::Default => Vec::new(),
                        };
                    }
                    pending.saved(pending.mark());
                    for (at, action) in asked.drain(..) {
                        changed(&mut tor[at], &action, options[at].kind.is_comma_list());
                    }
                }
                Step::Refused => {}
                Step::Revert => {
                    pending.clear();
                    asked.clear();
                }
            }
            // What tor has, and what it will have.
            let mut coming = tor.clone();
            for (at, action) in &asked {
                changed(&mut coming[*at], action, options[*at].kind.is_comma_list());
            }
            for (at, option) in options.iter().enumerate() {
                let base = groups.get(&*option.group).cloned().unwrap_or_default();
                assert_eq!(entries(option, &base), tor[at], "{} in tor", option.name);
                let value = pending.applied(&option.group, &base).value(option);
                let shown = value.entries().unwrap_or_default();
                let shown: Vec<_> = shown.into_iter().map(String::into_bytes).collect();
                let shown: Vec<_> = shown.into_iter().filter(|line| !line.is_empty()).collect();
                assert_eq!(shown, coming[at], "{} to come", option.name);
            }
        }
    }
}

// `SocksPort 9050` was saved twice, and tor could not bind the second one.
#[test]
fn an_entry_that_is_the_default_is_pushed_once() {
    let implied = lines(&[("SocksPort", "9050")]);
    for (entry, expected) in [
        ("9050", lines(&[("SocksPort", "9050")])),
        ("9150", lines(&[("SocksPort", "9050"), ("SocksPort", "9150")])),
    ] {
        let mut pending = Pending::default();
        pending.push_edit(option("SocksPort"), Action::Push(bytes(entry)), implied.clone());
        assert_eq!(pending.applied("SocksPortLines", &[]), GroupState::Lines(expected));
    }
}
