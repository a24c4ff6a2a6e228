//! `QUIT`, sent in every form.

use std::ops::ControlFlow;
use std::time::Duration;

use torcon::command::Quit;
use torcon::{Controller, Disconnect, Error};

use super::{LIMIT, connected};
use crate::support::script::Steps as _;
use crate::support::signal::signal;

#[test]
fn after_a_quit_in_any_form_the_reason_of_the_end_is_quit() {
    // `execute(&Quit)` did not expect it.
    type Call = fn(&Controller) -> Result<(), Error>;
    let calls: [(&str, Call); 5] = [
        ("QUIT", |c| c.execute(&Quit::new())),
        ("QUIT now", |c| c.queue_command("QUIT now")?.wait().map(drop)),
        ("quit", |c| c.command("quit").map(drop)),
        ("QUIT", |c| c.command_lines("QUIT", |_| ControlFlow::Continue(()))),
        ("QUIT", Controller::quit),
    ];
    for (line, call) in calls {
        let (tor, controller) = connected(move |script| {
            script.expect(line).send("250 closing connection\r\n").close();
        });
        call(&controller).unwrap();
        let reason = controller.wait_closed(LIMIT).unwrap();
        assert!(matches!(reason, Disconnect::Quit), "{line}: {reason}");
        tor.finish();
    }
}

#[test]
fn a_quit_that_was_not_sent_explains_no_end() {
    // The end was expected before the command was sent.
    let (go_on, test_says) = signal();
    let (tor, controller) = connected(move |script| {
        script.wait_for(&test_says).close();
    });
    let hurried = controller.with_timeout(Duration::from_millis(1));
    // This fills what the system keeps for a peer that does not read. Every command fits into one
    // packet, so that none is sent in part.
    let filler = "x".repeat(1000);
    while let Ok(pending) = hurried.queue_command(&format!("ECHO {filler}")) {
        drop(pending);
    }
    let error = hurried.queue_command(&format!("QUIT {filler}")).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    go_on.fire();
    let reason = controller.wait_closed(LIMIT).unwrap();
    assert!(matches!(reason, Disconnect::EndOfStream), "{reason}");
    tor.finish();
}
