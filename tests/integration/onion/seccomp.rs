use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use torcon::config::Config;

use super::{controller, endpoint, entries, listen, refusal, services};
use crate::support::real_tor::{RealTor, RealTorBuilder};

/// Starts a tor with `Sandbox 1`; returns `None`, and says so, where the kernel or the build has
/// no seccomp filter.
fn start(builder: RealTorBuilder) -> Option<RealTor> {
    match catch_unwind(AssertUnwindSafe(|| builder.line("Sandbox 1").start())) {
        Ok(tor) => Some(tor),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            if !text.to_lowercase().contains("sandbox") {
                resume_unwind(panic);
            }
            println!("NOT RUN: tor has no sandbox here: {text}");
            None
        }
    }
}

#[test]
fn a_tor_with_a_seccomp_sandbox_gets_ephemeral_services_and_refuses_directories() {
    let outside = tempfile::tempdir().unwrap();
    let known = outside.path().join("known");
    let builder = RealTor::builder()
        .line(format!("HiddenServiceDir {}", known.display()))
        .line("HiddenServicePort 80");
    let Some(tor) = start(builder) else { return };
    let before = services(&tor);
    listen(endpoint(&tor)).close().unwrap();
    // tor refuses with "See logs for details", even the directory that it has had since it started.
    for path in [outside.path().join("new"), known] {
        let refused = endpoint(&tor).hidden_service_dir(&path).listen();
        assert_eq!(
            refusal(refused),
            format!(
                "the directory {path:?} may not be usable for tor: it runs with Sandbox 1 and may open no directory \
                 of a service; use an ephemeral service"
            )
        );
    }
    assert_eq!(entries(outside.path()), ["known"]);
    assert_eq!(services(&tor), before);
    assert!(tor.try_wait().is_none(), "{}", tor.log_text());
}

#[test]
fn a_tor_with_a_seccomp_sandbox_survives_changes_of_its_configuration() {
    let Some(tor) = start(RealTor::builder().without_cookie()) else { return };
    let controller = controller(&tor);
    let config = Config::new(&controller);
    let save = |option: &str, value: &str| {
        let config = Config::new(&controller);
        config.set(option, value).unwrap();
        config.save()
    };
    save("MaxCircuitDirtiness", "700").unwrap();
    assert_eq!(config.in_force("MaxCircuitDirtiness").unwrap().to_string(), "700");
    // tor would write a cookie, which the sandbox forbids, and exits.
    for option in ["CookieAuthentication", "ExtORPort"] {
        let text = refusal(save(option, if option == "ExtORPort" { "auto" } else { "1" }));
        let problem = "needs a new file, and this tor with Sandbox 1 would exit";
        assert_eq!(text, format!("invalid argument {option:?}: {problem}"));
    }
    let log = tor.directory().join("another log");
    let text = refusal(save("Log", &format!("notice file {}", log.display())));
    assert!(text.contains("Sandbox"), "{text}");
    assert!(fs::metadata(log).is_err());
    controller.save_conf().unwrap();
    assert!(tor.try_wait().is_none(), "{}", tor.log_text());
    assert_eq!(tor.raw().get_info("version"), controller.version().to_string());
}

#[test]
fn a_tor_with_a_seccomp_sandbox_keeps_its_cookie_authentication() {
    let Some(tor) = start(RealTor::builder()) else { return };
    let controller = controller(&tor);
    controller.set_conf([("CookieAuthentication", "1")]).unwrap();
    let config = Config::new(&controller);
    config.set("CookieAuthentication", "1").unwrap();
    config.save().unwrap();
    // After it is switched off it cannot be switched on again.
    controller.set_conf([("CookieAuthentication", "0")]).unwrap();
    let text = refusal(controller.set_conf([("CookieAuthentication", "1")]));
    assert!(text.ends_with("this tor with Sandbox 1 would exit"), "{text}");
    assert!(tor.try_wait().is_none(), "{}", tor.log_text());
    assert_eq!(tor.raw().get_info("version"), controller.version().to_string());
}
