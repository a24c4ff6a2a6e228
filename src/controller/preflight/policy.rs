//! The syntax of `MetricsPortPolicy`; tor exits on an invalid value.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the problem of an invalid policy. Every policy that this accepts is accepted by tor.
pub(super) fn problem(value: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(value).ok();
    let is_policy =
        text.is_some_and(|text| text.split(',').map(str::trim_ascii).all(is_empty_or_rule));
    (!is_policy)
        .then_some("is not a policy of rules such as \"accept 127.0.0.1\", and tor would exit")
}

fn is_empty_or_rule(rule: &str) -> bool {
    if rule.is_empty() {
        return true;
    }
    let Some((word, rest)) = rule.split_once([' ', '\t']) else { return false };
    matches!(word, "accept" | "reject" | "accept6" | "reject6") && is_pattern(rest.trim_ascii())
}

/// Returns whether a text is an address with an optional mask and optional ports.
fn is_pattern(pattern: &str) -> bool {
    let (address, ports) = match pattern.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let (mask, ports) = rest.split_once(':').map_or((rest, None), |(m, p)| (m, Some(p)));
            let is_mask = mask.is_empty()
                || mask.strip_prefix('/').is_some_and(|bits| number(bits, 0, 128).is_some());
            (is_mask && address.parse::<Ipv6Addr>().is_ok(), ports)
        }
        None => {
            let split = pattern.split_once(':');
            let (address, ports) = split.map_or((pattern, None), |(a, p)| (a, Some(p)));
            // tor accepts `private` only with ports.
            let is_word = matches!(address, "*" | "*4" | "*6");
            let is_private = address == "private" && ports.is_some();
            (is_word || is_private || is_ipv4(address), ports)
        }
    };
    address && ports.is_none_or(is_ports)
}

fn is_ipv4(text: &str) -> bool {
    let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
    let is_mask = |mask: &str| number(mask, 0, 32).is_some() || mask.parse::<Ipv4Addr>().is_ok();
    address.parse::<Ipv4Addr>().is_ok() && mask.is_none_or(is_mask)
}

fn is_ports(text: &str) -> bool {
    let port = |text: &str| number(text, 1, 65535);
    match text.split_once('-') {
        Some((first, last)) => {
            port(first).zip(port(last)).is_some_and(|(first, last)| first <= last)
        }
        None => text == "*" || port(text).is_some(),
    }
}

fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && (least..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::problem;

    /// Accepted by tor 0.4.9.11.
    const ACCEPTED: [&str; 22] = [
        "",
        ",",
        "accept *",
        "accept *:*",
        "accept 127.0.0.1",
        "accept 127.0.0.1:80",
        "accept 127.0.0.0/8:*",
        "accept 1.2.3.4, reject *",
        "accept6 *",
        "accept6 [::1]",
        "accept [::1]:80",
        "accept [2001:db8::]/32:80-90",
        "accept private:*",
        "accept *4",
        "accept *6:*",
        "accept 1.2.3.4/255.255.0.0",
        "accept 1.2.3.4:1-2",
        "accept  1.2.3.4",
        "accept\t1.2.3.4",
        " accept *,",
        "accept6 1.2.3.4",
        "accept 1.2.3.4/0",
    ];

    /// tor 0.4.9.11 exits on these.
    const FATAL: [&str; 23] = [
        "x",
        "0",
        "accept",
        "accept ",
        "ACCEPT *",
        "accept private",
        "accept 1.2.3.4:70000",
        "accept 1.2.3.4:2-1",
        "reject *,x",
        "accept * junk",
        "accept4 1.2.3.4",
        "accept 1.2.3.4/33",
        "accept localhost",
        "accept [::1",
        "accept ::1",
        "accept *:0",
        "accept *:0-5",
        "accept 1.2.3.4;reject *",
        "accept 01.2.3.4",
        "accept 1.2.3",
        "accept:1.2.3.4",
        "accept 1.2.3.4:a",
        "%include /x",
    ];

    #[test]
    fn policies_that_make_tor_exit_are_refused_and_valid_ones_are_not() {
        for policy in ACCEPTED {
            assert_eq!(problem(policy.as_bytes()), None, "{policy}");
        }
        for policy in FATAL {
            assert!(problem(policy.as_bytes()).is_some(), "{policy}");
        }
        assert!(problem(b"accept \xff").is_some());
    }
}
