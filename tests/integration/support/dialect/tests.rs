use super::shape::Shape;
use super::{Dialect, KNOWN, Known, matches};

const RELAY: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const ID: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";

fn check(known: &Known, text: &str) -> Result<(), String> {
    Dialect::default().check_with(known, text.replace('\n', "\r\n").as_bytes())
}

fn known(recording: &str) -> Known {
    let mut known = Known::default();
    known.learn_options(recording);
    known.learn(recording);
    known
}

#[test]
fn values_become_kinds_and_words_stay() {
    for (line, shape) in [
        ("3 BUILT $E8F7~a,$C7A6 PURPOSE=GENERAL", "x: # BUILT $ PURPOSE=GENERAL"),
        ("a.example:80 [::1]:9 127.0.0.1 a:80 ::1 :0", "x: @ @ @ @ @ @"),
        ("2026-11-23T09:26:15.512876 2026-11-23 09:26:15", "x: T T T"),
        ("A=\"x y\" B=\"z \\\" z\" C=", "x:  A=Q B=Q C="),
        ("BUILD_FLAGS=IS_INTERNAL,NEED_UPTIME", "x:  BUILD_FLAGS=IS_INTERNAL,NEED_UPTIME"),
        ("REASON= UNKNOWN_264 -5 1.520695", "x: UNKNOWN_# # # REASON="),
        ("unix:/x /y", "x: / /"),
        ("'Nope'.  Failing.", "x: Q  Failing."),
    ] {
        assert_eq!(Shape::of("x", line).to_string(), shape, "{line}");
    }
    assert_eq!(Shape::of("x", &format!("{SERVICE} {ID} {RELAY}")).to_string(), "x: O B $");
}

#[test]
fn an_event_that_no_tor_was_recorded_with_is_caught() {
    // The form that hid a refused upload: tor says NO_AUTH, and a reason that was not recorded here.
    let failed = |auth, reason| {
        format!("650 HS_DESC FAILED {SERVICE} {auth} {RELAY} {ID} REASON={reason}\n")
    };
    let known = known(&failed("NO_AUTH", "NOT_FOUND"));
    assert_eq!(check(&known, &failed("NO_AUTH", "NOT_FOUND")), Ok(()));
    let problem = check(&known, &failed("NO_AUTH", "UPLOAD_REJECTED")).unwrap_err();
    assert!(problem.contains("unknown value REASON=UPLOAD_REJECTED"), "{problem}");
    let problem = check(&known, &failed("UNKNOWN", "NOT_FOUND")).unwrap_err();
    assert!(problem.contains("unknown words"), "{problem}");
    // And by all that was recorded.
    assert_eq!(check(&KNOWN, &failed("NO_AUTH", "UPLOAD_REJECTED")), Ok(()));
    assert!(check(&KNOWN, &failed("UNKNOWN", "UPLOAD_REJECTED")).is_err());
    let mapping = "650 ADDRMAP a.example a.example \"2026-11-23 09:27:58\" error=internal \
                   EXPIRES=\"2026-11-23 09:27:58\" CACHED=\"NO\"\n";
    assert!(check(&KNOWN, mapping).is_err());
}

#[test]
fn keywords_may_be_missing_but_not_come_in_another_order_or_be_new() {
    let known = known("650 STREAM 1 NEW 0 a:80 SOURCE_ADDR=::1:9 PURPOSE=USER NYM_EPOCH=0\n");
    for (fields, is_known) in [
        ("", true),
        (" PURPOSE=USER", true),
        (" SOURCE_ADDR=127.0.0.1:1 NYM_EPOCH=7", true),
        (" NYM_EPOCH=0 PURPOSE=USER", false),
        (" PURPOSE=USER NOVELTY=1", false),
        (" PURPOSE=SOMETHING", false),
        (" PURPOSE=1", false),
    ] {
        let line = format!("650 STREAM 2 NEW 0 b.example:81{fields}\n");
        assert_eq!(check(&known, &line).is_ok(), is_known, "{line}");
    }
}

#[test]
fn an_answer_of_getinfo_has_one_shape_in_one_line_and_in_many() {
    let known = known(
        "250+config/names=\nContactInfo String\n.\n250 OK\n250+circuit-status=\n1 BUILT $A\n.\n\
         250 OK\n250+ns/all=\nr a b c\n.\n250 OK\n",
    );
    for (reply, is_known) in [
        ("250-circuit-status=2 BUILT $B\n250 OK\n", true),
        ("250+circuit-status=\n1 BUILT $A\n2 BUILT $B\n.\n250 OK\n", true),
        ("650 CIRC 2 BUILT $B\n", true),
        ("250-circuit-status=2 BUILD $B\n", false),
        ("250+circuit-status=\n1 BUILT $A\n2 BUILT\n.\n", false),
        ("250+ns/all=\nr of another length\n.\n250 OK\n", true),
        ("250+ns/all=\ns Fast\n.\n", false),
        ("250 ContactInfo=any text\n", true),
        ("250 ContactInfo\n", true),
        ("250-Nope=1\n", false),
        ("hello\n", false),
    ] {
        assert_eq!(check(&known, reply).is_ok(), is_known, "{reply}");
    }
}

#[test]
fn lines_may_come_in_pieces() {
    let known = known("650 BW 1 2\n");
    let mut dialect = Dialect::default();
    for piece in ["650 B", "W 3", " 4\r", "\n650 BX"] {
        assert_eq!(dialect.check_with(&known, piece.as_bytes()), Ok(()));
    }
    assert!(dialect.check_with(&known, b"\r\n").is_err());
}

#[test]
fn a_pattern_has_any_text_at_its_dots() {
    for (pattern, line, is_match) in [
        ("250 a", "250 a", true),
        ("250 a", "250 ab", false),
        ("250-…=value of …", "250-key/1=value of key/1", true),
        ("250-…=value of …", "250-key=1", false),
        ("…x", "axbx", true),
    ] {
        assert_eq!(matches(pattern, line), is_match, "{pattern} {line}");
    }
}
