use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use torcon::Password;

use crate::program::{endpoint, launch_tor, program, run};

#[test]
fn replies_are_printed_plainly() {
    let tor = launch_tor();
    let input = "# a comment\n\nGETINFO version\ngetconf DisableNetwork\nSIGNAL HEARTBEAT\n\
                 GETINFO config-text\nGETINFO process/pid version";
    let ended = run(program([endpoint(&tor)]), input);
    let lines: Vec<_> = ended.out.lines().collect();
    assert!(lines[0].starts_with("version=0.4."), "{ended:?}");
    assert_eq!(lines[1..4], ["DisableNetwork=1", "OK", "config-text="]);
    assert!(lines.contains(&"DisableNetwork 1"), "{ended:?}");
    assert!(lines.contains(&&*format!("process/pid={}", tor.pid())), "{ended:?}");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn a_refusal_is_an_exit_status_and_later_commands_are_executed() {
    let tor = launch_tor();
    let ended =
        run(program([endpoint(&tor)]), "GETINFO foo\nFOO\nGETCONF DisableNetwork\nQUIT\nFOO\n");
    assert_eq!(ended.out, "DisableNetwork=1\n");
    assert_eq!(ended.err, "552 Unrecognized key \"foo\"\n510 Unrecognized command \"FOO\"\n");
    assert_eq!(ended.code, 1);
}

#[test]
fn a_command_that_torcon_or_the_prompt_refuses_is_reported_too() {
    let tor = launch_tor();
    let ended =
        run(program([endpoint(&tor)]), "SETCIRCUITPURPOSE\n/python\n/info\n/help nothing\n");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let lines: Vec<_> = ended.err.lines().collect();
    assert_eq!(lines[0], "prompt: invalid argument \"SETCIRCUITPURPOSE\": needs a circuit");
    assert_eq!(lines[1], "prompt: /python is not a command of the prompt; /help lists them");
    assert_eq!(lines[2], "prompt: this tor is not a relay; name one: /info RELAY");
    assert_eq!(lines[3], "prompt: no command, key or option is called \"nothing\"");
}

#[test]
fn the_data_of_a_command_end_with_a_dot() {
    let tor = launch_tor();
    let input =
        "+POSTDESCRIPTOR purpose=general\n..dots\nGETINFO version\n.\nGETCONF DisableNetwork\n";
    let ended = run(program([endpoint(&tor)]), input);
    assert_eq!((ended.code, ended.out.as_str()), (1, "DisableNetwork=1\n"));
    assert!(ended.err.starts_with("554 "), "{ended:?}");

    let ended = run(program([endpoint(&tor)]), "LOADCONF\nDisableNetwork 1\n");
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (1, "prompt: the input ends within the data of a command, which was not sent\n")
    );
}

#[test]
fn events_are_printed_as_they_arrive() {
    let tor = launch_tor();
    let mut program = program([endpoint(&tor)]);
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    stdin.write_all(b"SETEVENTS SIGNAL EXTENDED\n/events\n").unwrap();
    assert_eq!([lines.next().unwrap(), lines.next().unwrap()], ["OK", "SIGNAL"]);
    tor.controller().unwrap().signal(torcon::Signal::Heartbeat).unwrap();
    let event = lines.next().unwrap();
    assert_eq!(event.get(8..), Some(" SIGNAL HEARTBEAT"), "{event}");
    stdin.write_all(b"SETEVENTS FOO\n/events\n/events none\n/events\n").unwrap();
    drop(stdin);
    assert_eq!(lines.collect::<Vec<_>>(), ["SIGNAL", "OK", "no events are shown"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_lost_connection_ends_the_program_at_once() {
    let tor = launch_tor();
    let mut program = program([endpoint(&tor)]);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GETCONF DisableNetwork\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    tor.kill().unwrap();
    // The standard input stays open.
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err, "prompt: the connection to tor is lost: tor closed the connection\n");
    drop(stdin);
}

#[test]
fn a_tor_that_the_user_ends_is_no_failure() {
    let tor = launch_tor();
    let ended = run(program([endpoint(&tor)]), "SIGNAL HALT\n");
    assert_eq!((ended.code, ended.out.as_str()), (0, "OK\n"), "{ended:?}");
}

#[test]
fn the_password_is_that_of_the_environment() {
    let tor = launch_tor();
    let hash = Password::from("correct horse").hashed().unwrap();
    let settings = [("CookieAuthentication", "0"), ("HashedControlPassword", &hash)];
    tor.controller().unwrap().set_conf(settings).unwrap();

    let mut known = program([endpoint(&tor)]);
    known.env("TOR_CONTROL_PASSWD", "\"correct horse\"");
    assert_eq!(run(known, "SIGNAL HEARTBEAT\n").out, "OK\n");
    let unknown = run(program([endpoint(&tor)]), "SIGNAL HEARTBEAT\n");
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("password"), "{unknown:?}");
}
