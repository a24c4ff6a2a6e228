//! Exit policies: rules are the same after writing them, and the summary allows what the rules do.
#![no_main]

use torcon::descriptor::ExitPolicy;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(policy) = text.parse::<ExitPolicy>() else { return };
    let written = policy.to_string();
    let again: ExitPolicy = written.parse().expect("a policy that was written can be parsed");
    assert_eq!(again.to_string(), written);
    let addresses = ["192.0.2.1", "8.8.8.8", "10.0.0.1", "127.0.0.1", "2001:db8::1", "::1"];
    for address in addresses.map(|address| address.parse().unwrap()) {
        for port in [1, 22, 80, 443, 6667, 65535] {
            assert_eq!(policy.allows(address, port), again.allows(address, port), "{written}");
        }
    }
});
