use crate::program::{program, run};

#[test]
fn help_shows_the_usage() {
    let ended = run(program(["--help"]), "");
    assert_eq!(ended.code, 0);
    assert!(ended.out.starts_with("usage: prompt [ENDPOINT]\n"), "{}", ended.out);
    assert_eq!(ended.err, "");
}

#[test]
fn unknown_arguments_are_refused() {
    let ended = run(program(["--verbose"]), "");
    assert_eq!(ended.code, 2);
    assert_eq!(ended.err, "prompt: unknown argument \"--verbose\"; --help shows the usage\n");
}

#[test]
fn a_failed_connection_has_its_reason() {
    let ended = run(program(["unix:/nonexistent/control"]), "GETINFO version\n");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("/nonexistent/control"), "{}", ended.err);
    assert!(ended.err.contains("No such file"), "{}", ended.err);
}
