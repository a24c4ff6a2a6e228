use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

use super::{Action, GroupState, ListEdit, Pending};
use crate::config::configured_service::ConfiguredService;
use crate::config::schema::{Schema, TorOption, services_option};
use crate::config::service_lines::{ConfiguredLine, DIRECTORY, ServiceEdit};

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
        pending.push(option(name), action.clone(), vec![]);
    }
    pending
}

#[test]
fn a_set_or_reset_drops_the_earlier_changes_of_the_option() {
    let pending = pending(&[
        ("Log", Action::List(ListEdit::Push(bytes("a")))),
        ("ContactInfo", Action::Set(vec![bytes("x")])),
        ("Log", Action::Set(vec![bytes("b")])),
        ("Log", Action::List(ListEdit::Push(bytes("c")))),
        ("ContactInfo", Action::Reset),
    ]);
    assert_eq!(pending.names(), ["Log", "ContactInfo"]);
    assert_eq!(pending.changed_options().len(), 2);
    assert!(!pending.needs_lines("Log") && !pending.needs_lines("ContactInfo"));
    let log = pending.apply("Log", &lines(&[("Log", "old")]));
    assert_eq!(log, GroupState::Lines(lines(&[("Log", "b"), ("Log", "c")])));
    assert_eq!(pending.apply("ContactInfo", &[]), GroupState::Default);
}

#[test]
fn edits_apply_to_the_list_as_it_is_at_the_save() {
    let pending = pending(&[
        ("ExitNodes", Action::List(ListEdit::Push(bytes("{fr}")))),
        ("ExitNodes", Action::List(ListEdit::Remove(bytes("{us}")))),
        ("ExitNodes", Action::List(ListEdit::Replace(bytes("{de}"), bytes("{nl}")))),
    ]);
    assert!(pending.needs_lines("ExitNodes"));
    for (before, after) in [
        ("{us},{de}", "{nl},{fr}"),
        ("{us}, {de},{gb},{us}", "{nl},{gb},{fr}"),
        ("", "{fr}"),
        ("{fr}", "{fr},{fr}"),
    ] {
        let state = pending.apply("ExitNodes", &lines(&[("ExitNodes", before)]));
        assert_eq!(state, GroupState::Lines(lines(&[("ExitNodes", after)])), "{before}");
    }
}

#[test]
fn a_list_without_its_last_entry_is_cleared_and_not_reset() {
    for name in ["ExitNodes", "Log"] {
        let pending = pending(&[(name, Action::List(ListEdit::Remove(bytes("a"))))]);
        assert_eq!(
            pending.apply(name, &lines(&[(name, "a")])),
            GroupState::Lines(lines(&[(name, "")]))
        );
    }
}

#[test]
fn a_change_of_one_option_keeps_the_others_of_its_group() {
    // SETCONF SocksPort drops __SocksPort too.
    let group = "SocksPortLines";
    let base = lines(&[("SocksPort", "1"), ("__SocksPort", "2"), ("SocksPort", "3")]);
    let set = pending(&[("SocksPort", Action::Set(vec![bytes("4")]))]);
    assert!(set.needs_lines(group));
    let expected = lines(&[("SocksPort", "4"), ("__SocksPort", "2")]);
    assert_eq!(set.apply(group, &base), GroupState::Lines(expected));
    let reset = pending(&[("SocksPort", Action::Reset)]);
    assert_eq!(reset.apply(group, &base), GroupState::Lines(lines(&[("__SocksPort", "2")])));
    let both = pending(&[("SocksPort", Action::clear()), ("__SocksPort", Action::clear())]);
    assert_eq!(both.changed_options().len(), 1);
    assert_eq!(both.apply(group, &base), GroupState::Lines(Vec::new()));
}

#[test]
fn a_change_during_a_save_stays_pending() {
    let mut pending = pending(&[("Log", Action::List(ListEdit::Push(bytes("a"))))]);
    let number = pending.next_number();
    pending.push(option("Log"), Action::List(ListEdit::Push(bytes("b"))), vec![]);
    pending.push(option("Nickname"), Action::Set(vec![bytes("n")]), vec![]);
    pending.remove_before(number);
    assert_eq!(pending.names(), ["Log", "Nickname"]);
    pending.remove_option("log");
    assert_eq!(pending.names(), ["Nickname"]);
    pending.clear();
    assert!(pending.is_empty());
}

#[test]
fn service_edits_apply_to_the_services_at_the_save() {
    let service = |path: &str, port| ConfiguredService::new(path).port(port, port);
    let mut pending = Pending::default();
    pending.push(services_option(), Action::Service(ServiceEdit::Add(service("/new", 3))), vec![]);
    pending.push(
        services_option(),
        Action::Service(ServiceEdit::Edit { before: service("/b", 2), after: service("/b", 9) }),
        vec![],
    );
    pending.push(services_option(), Action::Service(ServiceEdit::Remove("/a".into())), vec![]);
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
    let state = pending.apply("HiddenServiceOptions", &base);
    assert_eq!(state, GroupState::Lines(expected));
    // Saved again after the reply was lost.
    let GroupState::Lines(saved) = state else { panic!("{state:?}") };
    assert_eq!(pending.apply("HiddenServiceOptions", &saved), GroupState::Lines(saved));
    assert_eq!(pending.names(), ["HiddenServiceOptions"]);
}

/// A step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Do(usize, Action),
    /// Another controller sets the option.
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
        Just(Action::clear()),
        Just(Action::Reset),
        entry().prop_map(|entry| Action::List(ListEdit::Push(entry))),
        entry().prop_map(|entry| Action::List(ListEdit::Remove(entry))),
        (entry(), entry()).prop_map(|(old, new)| Action::List(ListEdit::Replace(old, new))),
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
        Action::Set(values) if *values == [Vec::<u8>::new()] => entries.clear(),
        Action::Set(values) if is_comma_list => {
            *entries = values[0].split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
        }
        Action::Set(values) => entries.clone_from(values),
        Action::Reset => entries.clear(),
        Action::List(ListEdit::Push(entry)) => entries.push(entry.clone()),
        Action::List(ListEdit::Remove(entry)) => entries.retain(|other| other != entry),
        Action::List(ListEdit::Replace(old, new)) => {
            for entry in entries.iter_mut().filter(|entry| *entry == old) {
                entry.clone_from(new);
            }
        }
        Action::Service(_) => unreachable!("services are not in this model"),
    }
}

/// The entries of an option among the lines of its group.
fn entries(option: &TorOption, lines: &[ConfiguredLine]) -> Vec<Vec<u8>> {
    let own = lines.iter().filter(|(name, _)| *name == *option.name).map(|(_, value)| value);
    match option.kind.is_comma_list() {
        true => own
            .flat_map(|line| super::split_spaced_list(line).map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect(),
        false => own.cloned().collect(),
    }
}

proptest! {
    #[test]
    fn changes_agree_with_a_model_of_lists(steps in steps()) {
        let schema = Schema::known();
        let options = OPTIONS.map(|name| schema.option(name).unwrap());
        // The lines in tor by group, and the same in the model.
        let mut groups: BTreeMap<String, Vec<ConfiguredLine>> = BTreeMap::new();
        let mut tor: [Vec<Vec<u8>>; 4] = Default::default();
        let mut pending = Pending::default();
        let mut requested: Vec<(usize, Action)> = Vec::new();
        for step in steps {
            match step {
                Step::Do(at, action) => {
                    let action = match action {
                        Action::Set(values) if options[at].kind.is_comma_list() => {
                            Action::Set(vec![values.join(&b',')])
                        }
                        action => action,
                    };
                    pending.push(options[at].clone(), action.clone(), vec![]);
                    requested.push((at, action));
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
                    for TorOption { group, .. } in pending.changed_options() {
                        let saved = groups.entry(group.to_string()).or_default();
                        let base = if pending.needs_lines(&group) { saved.clone() } else { vec![] };
                        let state = pending.apply(&group, &base);
                        *saved = match state {
                            GroupState::Lines(lines) if !lines.iter().all(|l| l.1.is_empty()) => lines,
                            GroupState::Lines(_) | GroupState::Default => Vec::new(),
                        };
                    }
                    pending.remove_before(pending.next_number());
                    for (at, action) in requested.drain(..) {
                        changed(&mut tor[at], &action, options[at].kind.is_comma_list());
                    }
                }
                Step::Refused => {}
                Step::Revert => {
                    pending.clear();
                    requested.clear();
                }
            }
            // The lists in tor, and those after a save.
            let mut expected = tor.clone();
            for (at, action) in &requested {
                changed(&mut expected[*at], action, options[*at].kind.is_comma_list());
            }
            for (at, option) in options.iter().enumerate() {
                let base = groups.get(&*option.group).cloned().unwrap_or_default();
                assert_eq!(entries(option, &base), tor[at], "{} in tor", option.name);
                let value = pending.apply(&option.group, &base).value(option);
                let shown = value.entries().unwrap_or_default();
                let shown: Vec<_> = shown.into_iter().map(String::into_bytes).collect();
                let shown: Vec<_> = shown.into_iter().filter(|line| !line.is_empty()).collect();
                assert_eq!(shown, expected[at], "{} after a save", option.name);
            }
        }
    }
}

// `SocksPort 9050` was saved twice, and tor could not bind the second one.
#[test]
fn a_pushed_entry_equal_to_the_default_is_saved_once() {
    let implied = lines(&[("SocksPort", "9050")]);
    for (entry, expected) in [
        ("9050", lines(&[("SocksPort", "9050")])),
        ("9150", lines(&[("SocksPort", "9050"), ("SocksPort", "9150")])),
    ] {
        let mut pending = Pending::default();
        pending.push(
            option("SocksPort"),
            Action::List(ListEdit::Push(bytes(entry))),
            implied.clone(),
        );
        assert_eq!(pending.apply("SocksPortLines", &[]), GroupState::Lines(expected));
    }
}
