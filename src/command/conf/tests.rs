use super::{ConfMap, ConfSetting, ConfValue, GetConf, LoadConf, ResetConf, SaveConf, SetConf};
use crate::command::Command;
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
use crate::error::Error;
use crate::wire::Reply;
use crate::wire::quoted::{needs_quotes, read_cstring, write_cstring};

fn conf<const N: usize>(options: [&str; N], reply: &[u8]) -> ConfMap {
    answered(&GetConf::new(options), reply).unwrap()
}

fn set<const N: usize>(values: [&str; N]) -> ConfValue {
    ConfValue::Set(values.map(String::from).to_vec())
}

#[test]
fn default_differs_from_empty_at_every_position() {
    // txtorcon glued a bare key to the value before it (peers 23).
    let command = GetConf::new(["SocksPort", "MyFamily", "ExitNodes", "ContactInfo"]);
    assert_eq!(sent(&command), "GETCONF SocksPort MyFamily ExitNodes ContactInfo\r\n");
    let conf = answered(
        &command,
        b"250-SocksPort=9050\r\n250-MyFamily\r\n250-ExitNodes=\r\n250 ContactInfo\r\n",
    )
    .unwrap();
    let found: Vec<_> = conf.iter().collect();
    assert_eq!(
        found,
        [
            ("SocksPort", &set(["9050"])),
            ("MyFamily", &ConfValue::Default),
            ("ExitNodes", &set([""])),
            ("ContactInfo", &ConfValue::Default),
        ]
    );
    assert!(conf.get("MyFamily").unwrap().is_default());
    assert_eq!(conf.get("ExitNodes").unwrap().first(), Some(""));
    assert_eq!(conf.get("Nickname"), None);
    assert_eq!((conf.len(), conf.is_empty()), (4, false));
}

#[test]
fn a_single_line_is_a_whole_answer() {
    assert_eq!(
        conf(["maxcircuitdirtiness"], b"250 MaxCircuitDirtiness=600\r\n")
            .get("MAXCIRCUITDIRTINESS"),
        Some(&set(["600"])),
        "names are tor's, and found in any case"
    );
    assert_eq!(
        conf(["ContactInfo"], b"250 ContactInfo\r\n").get("ContactInfo"),
        Some(&ConfValue::Default)
    );
}

#[test]
fn repeated_keys_keep_all_values_in_order() {
    let conf = conf(
        ["Log", "Nickname"],
        b"250-Log=notice file /n.log\r\n250-Log=info file /i.log\r\n250 Nickname=a=b=c\r\n",
    );
    assert_eq!(conf.get("Log"), Some(&set(["notice file /n.log", "info file /i.log"])));
    assert_eq!(conf.get("nickname"), Some(&set(["a=b=c"])));
}

#[test]
fn only_values_in_quotes_are_decoded() {
    for (line, value) in [
        (&br#"250 ContactInfo=say "hi""#[..], r#"say "hi""#),
        (br"250 ContactInfo=back\slash", r"back\slash"),
        (br#"250 ContactInfo=mid"quote"#, r#"mid"quote"#),
        (br"250 ContactInfo='x'", "'x'"),
        (b"250 ContactInfo=  lead and trail  ", "  lead and trail  "),
        (br#"250 ContactInfo="hash # sign""#, "hash # sign"),
        (br#"250 ContactInfo="caf\303\251""#, "caf\u{e9}"),
        (br#"250 ContactInfo="x\ty\rz""#, "x\ty\rz"),
        (br#"250 ContactInfo="x\ny""#, "x\ny"),
        (br#"250 ContactInfo="\" starts with quote""#, "\" starts with quote"),
    ] {
        let conf = conf(["ContactInfo"], &[line, b"\r\n"].concat());
        assert_eq!(conf.get("ContactInfo"), Some(&set([value])));
    }
}

#[test]
fn an_option_is_queried_once() {
    // tor answers as often as it is asked, and the value would look like two.
    assert_eq!(sent(&GetConf::new(["Log", "log", "LOG"])), "GETCONF Log\r\n");
}

#[test]
fn an_onion_service_keeps_its_order() {
    let command = GetConf::new(["HiddenServiceOptions"]);
    let conf = answered(
        &command,
        b"250-HiddenServiceDir=/srv/hs1\r\n250-HiddenServicePort=80 127.0.0.1:8080\r\n\
          250-HiddenServiceDir=/srv/hs two\r\n250 HiddenServicePort=90\r\n",
    )
    .unwrap();
    assert_eq!(
        sent(&SetConf::new(conf.lines())),
        "SETCONF HiddenServiceDir=/srv/hs1 HiddenServicePort=\"80 127.0.0.1:8080\" \
         HiddenServiceDir=\"/srv/hs two\" HiddenServicePort=90\r\n"
    );
    let none = answered(&command, b"250 HiddenServiceOptions\r\n").unwrap();
    assert_eq!(none.get("HiddenServiceOptions"), Some(&ConfValue::Default));

    let lines = answered(&GetConf::new(["ControlPortLines"]), b"250 __ControlPort=auto\r\n");
    assert_eq!(lines.unwrap().get("__ControlPort"), Some(&set(["auto"])));
    assert_eq!(
        refusal(&GetConf::new(["HiddenServicePort", "HiddenServiceOptions"])),
        "invalid argument \"option\": is queried together with a name that includes it"
    );
}

#[test]
fn an_answer_under_another_name_is_no_answer() {
    // tor completes abbreviations, and answers old names with a value that is not theirs.
    for (asked, answer) in [
        ("SocksP", "SocksPolicy"),
        ("l", "LearnCircuitBuildTimeout=1"),
        ("BandwidthRateBytes", "BandwidthRate"),
    ] {
        let error = error(&GetConf::new([asked]), format!("250 {answer}\r\n").as_bytes());
        let name = answer.trim_end_matches("=1");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot read the reply to GETCONF: \
                 expected the options by their full current names, got \"{name}\""
            )
        );
        assert!(
            matches!(&error, Error::Protocol(error) if !error.is_out_of_step()),
            "the connection is fine"
        );
    }
    let missing = error(&GetConf::new(["Log", "Nickname"]), b"250 Log\r\n");
    assert_eq!(
        missing.to_string(),
        "cannot read the reply to GETCONF: \
         expected the options by their full current names, got \"\""
    );
}

#[test]
fn the_reply_to_another_command_is_refused() {
    let command = GetConf::new(["ContactInfo"]);
    for (reply, found) in [
        (&b"250 OK\r\n"[..], "OK"),
        (b"250-version=0.4.9.11\r\n250 OK\r\n", "OK"),
        (b"250-traffic/read=1\r\n250 OK\r\n", "traffic/read="),
        (b"250+ContactInfo=\r\nx\r\n.\r\n250 OK\r\n", "ContactInfo="),
        (b"250 closing connection\r\n", ".."),
    ] {
        assert_eq!(
            misrouted(&command, reply),
            format!("cannot read the reply to GETCONF: expected an option, got \"{found}\"")
        );
    }
}

#[test]
fn refusals_propagate() {
    let error = error(
        &GetConf::new(["Nope", "Nada"]),
        b"552-Unrecognized configuration key \"Nope\"\r\n\
          552 Unrecognized configuration key \"Nada\"\r\n",
    );
    assert_eq!(
        error.to_string(),
        r#"tor refused GETCONF: 552 "Unrecognized configuration key \"Nope\"" and 1 more"#
    );
}

#[test]
fn all_pairs_go_into_one_command_quoted() {
    let command = SetConf::new([
        ("SocksPort", Some("9050")),
        ("SocksPort", Some("9150 IsolateDestAddr")),
        ("ContactInfo", Some("")),
        ("Nickname", None),
    ]);
    assert_eq!(
        sent(&command),
        "SETCONF SocksPort=9050 SocksPort=\"9150 IsolateDestAddr\" ContactInfo=\"\" Nickname\r\n"
    );
    assert_eq!(
        sent(&ResetConf::new([("__OwningControllerProcess", ConfSetting::clear())])),
        "RESETCONF __OwningControllerProcess\r\n"
    );
    assert!(answered(&command, b"250 OK\r\n").is_ok());
    assert_eq!(
        error(&command, b"552 Unrecognized option: Unknown option 'foo'.  Failing.\r\n")
            .to_string(),
        "tor refused SETCONF: 552 \"Unrecognized option: Unknown option 'foo'.  Failing.\""
    );
}

#[test]
fn no_value_can_become_another_option_or_command() {
    // Stem set Nickname by a value of ContactInfo (peers 16).
    assert_eq!(
        sent(&SetConf::new([("ContactInfo", "x\" Nickname=\"evil\\")])),
        "SETCONF ContactInfo=\"x\\\" Nickname=\\\"evil\\\\\"\r\n"
    );
    for (value, problem) in [
        ("a\nSIGNAL HALT", "contains a line feed"),
        ("a\rb", "contains a carriage return"),
        ("a\0b", "contains NUL"),
    ] {
        let message = format!("invalid argument \"value\": {problem}");
        assert_eq!(refusal(&SetConf::new([("ContactInfo", value)])), message);
        assert_eq!(refusal(&ResetConf::new([("ContactInfo", value)])), message);
    }
}

#[test]
fn an_option_is_a_name_of_letters_digits_and_underscores() {
    for option in [
        "",
        "Contact Info",
        "Log\n",
        "Log\r",
        "Log\0",
        "+Log",
        "/Log",
        "Log=x",
        "\"Log\"",
        "caf\u{e9}",
    ] {
        let message =
            "invalid argument \"option\": is not a name of letters, digits and underscores";
        assert_eq!(refusal(&GetConf::new([option])), message);
        assert_eq!(refusal(&SetConf::new([(option, "x")])), message);
        assert_eq!(refusal(&SetConf::new([(option, None::<&str>)])), message);
        assert_eq!(refusal(&ResetConf::new([(option, "x")])), message);
    }
    let message = "invalid argument \"options\": none is given";
    assert_eq!(refusal(&GetConf::new([""; 0])), message);
    assert_eq!(refusal(&SetConf::new([("", ""); 0])), message);
    assert_eq!(refusal(&ResetConf::new([("", ""); 0])), message);
}

#[test]
fn settings_are_made_of_text_bytes_and_options() {
    let text = String::from("a");
    let pairs: [(&str, ConfSetting); 5] = [
        ("A", "a".into()),
        ("B", (&text).into()),
        ("C", text.clone().into()),
        ("D", (&b"a\xff"[..]).into()),
        ("E", Some(vec![b'a']).into()),
    ];
    assert_eq!(sent(&SetConf::new(pairs)), "SETCONF A=a B=a C=a D=\"a\\377\" E=a\r\n");
}

proptest::proptest! {
    #[test]
    fn the_values_of_get_conf_are_accepted_by_set_conf(
        values in proptest::collection::vec("[^\r\n\0]{0,12}|[ -~]{0,12}", 1..4),
        broken in 0x80_u8..,
    ) {
        let values: Vec<_> = values
            .iter()
            .map(|value| [value.as_bytes(), &[broken]].concat())
            .chain([Vec::new(), b"\"".to_vec(), b"a # b\t\\".to_vec(), b"a\"#\\".to_vec()])
            .collect();
        // tor quotes what is not plain; quoting everything is the harder test.
        let mut reply = Vec::new();
        for (n, value) in values.iter().enumerate() {
            reply.extend(if n + 1 < values.len() { b"250-Log=" } else { b"250 Log=" });
            write_cstring(&mut reply, value);
            reply.extend(b"\r\n");
        }
        let conf = answered(&GetConf::new(["Log"]), &reply).unwrap();
        let found: Vec<_> = conf.lines().map(|(_, value)| value.unwrap().to_vec()).collect();
        assert_eq!(found, values);

        let mut line = b"SETCONF".to_vec();
        for value in &values {
            line.extend(b" Log=");
            match needs_quotes(value) {
                true => write_cstring(&mut line, value),
                false => line.extend(value),
            }
        }
        line.extend(b"\r\n");
        assert_eq!(SetConf::new(conf.lines()).request().unwrap().encode().unwrap(), line);
        // As tor reads it.
        let mut rest = line.strip_prefix(b"SETCONF").unwrap();
        for value in &values {
            rest = rest.strip_prefix(b" Log=").unwrap();
            let (read, after) = read_cstring(rest).unwrap_or_else(|| {
                let end = rest.iter().position(|byte| b" \t\r\x0b\n".contains(byte)).unwrap();
                (rest[..end].into(), &rest[end..])
            });
            assert_eq!(&*read, value.as_slice());
            rest = after;
        }
        assert_eq!(rest, b"\r\n");
    }
}

#[test]
fn saving_is_forced_only_on_demand() {
    assert_eq!(sent(&SaveConf::new()), "SAVECONF\r\n");
    assert_eq!(sent(&SaveConf::forced()), "SAVECONF FORCE\r\n");
    assert_eq!(
        error(&SaveConf::new(), b"551 Unable to write configuration to disk.\r\n").to_string(),
        "tor refused SAVECONF: 551 \"Unable to write configuration to disk.\""
    );
}

#[test]
fn a_loaded_text_stays_data() {
    // Stem: what followed a lone dot ran as commands (peers 17).
    let command = LoadConf::new("SocksPort 0\n.\nSIGNAL HALT\n..x");
    assert_eq!(sent(&command), "+LOADCONF\r\nSocksPort 0\r\n..\r\nSIGNAL HALT\r\n...x\r\n.\r\n");
    assert_eq!(refusal(&LoadConf::new("")), "invalid argument \"text\": is empty");
    assert_eq!(refusal(&LoadConf::new("a\0b")), "invalid argument \"text\": contains NUL");
    assert_eq!(
        error(&command, b"552 Invalid config file\r\n").to_string(),
        "tor refused LOADCONF: 552 \"Invalid config file\""
    );
}

#[test]
fn values_do_not_show_in_debug() {
    let set = SetConf::new([("HashedControlPassword", "16:ABCDEF")]);
    assert!(!format!("{set:?} {:?}", set.request().unwrap()).contains("ABCDEF"));
    let load = LoadConf::new("HashedControlPassword 16:ABCDEF");
    assert!(!format!("{load:?} {:?}", load.request().unwrap()).contains("ABCDEF"));
}

#[test]
fn a_refusal_of_another_option_is_out_of_step() {
    let command = GetConf::new(["Nope", "Nada"]);
    let refused = |names: &[&str]| {
        let (last, first) = names.split_last().unwrap();
        let mut reply = String::new();
        for name in first {
            reply += &format!("552-Unrecognized configuration key \"{name}\"\r\n");
        }
        reply += &format!("552 Unrecognized configuration key \"{last}\"\r\n");
        match command.check(Reply::parse(reply.into_bytes()).unwrap()) {
            Err(Error::Rejected(_)) => true,
            Err(Error::Protocol(error)) if error.is_out_of_step() => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(&["Nope"]) && refused(&["nada"]) && refused(&["Nope", "Nada"]));
    assert!(!refused(&["ContactInfo"]) && !refused(&["Nope", "ContactInfo"]));
    let accepted = |reply: &str| {
        let command = GetConf::new(["SocksPort", "hiddenserviceoptions"]);
        command.check(Reply::parse(reply.replace('\n', "\r\n").into_bytes()).unwrap()).is_ok()
    };
    assert!(accepted("250-SocksPort=9050\n250-HiddenServiceDir=/x\n250 HiddenServicePort=80\n"));
    assert!(!accepted("250-SocksPort=9050\n250 ControlPort=9051\n"));
}

#[test]
fn a_value_that_is_not_set_is_the_default() {
    assert!(ConfValue::Default.is_default());
    assert!(!set([""]).is_default() && !set(["a"]).is_default());
}

#[test]
fn debug_shows_what_is_set_but_no_value_that_can_be_secret() {
    assert_eq!(format!("{:?}", ConfSetting::from("a")), "ConfSetting(..)");
    assert_eq!(format!("{:?}", ConfSetting::clear()), "ConfSetting(clear)");
    assert_eq!(format!("{:?} {:?}", ConfValue::Default, set(["a", "b"])), "Default Set(2 values)");
    let conf = conf(
        ["NumCPUs", "HashedControlPassword"],
        b"250-NumCPUs=4\r\n250 HashedControlPassword=16:AB\r\n",
    );
    let shown = format!("{conf:?}");
    assert!(shown.contains(r#""NumCPUs": ["4"]"#), "{shown}");
    assert!(shown.contains("HashedControlPassword") && !shown.contains("16:AB"), "{shown}");
    assert!(format!("{:?}", LoadConf::new("NumCPUs 4")).starts_with("LoadConf"));
}

#[cfg(feature = "serde")]
#[test]
fn an_option_that_is_not_set_is_serialized_as_null() {
    let conf = conf(
        ["Log", "Nickname", "ContactInfo", "HashedControlPassword"],
        b"250-Log=notice stdout\r\n250-Log=info stderr\r\n250-Nickname\r\n\
          250-ContactInfo=\r\n250 HashedControlPassword=16:AB\r\n",
    );
    let expected = serde_json::json!({
        "Log": ["notice stdout", "info stderr"],
        "Nickname": null,
        "ContactInfo": [""],
        "HashedControlPassword": ["[redacted]"],
    });
    assert_eq!(serde_json::to_value(&conf).unwrap(), expected);
}
