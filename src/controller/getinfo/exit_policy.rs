//! Where this relay connects as an exit.

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::ExitPolicy;
use crate::error::{ProtocolError, Result};

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns where this relay connects as an exit; `None` if tor is no relay.
    ///
    /// Sends `GETINFO exit-policy/full`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if this relay has no descriptor
    /// yet, as just after its start; [`Error::Protocol`](crate::Error::Protocol) if the answer
    /// cannot be read; otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// match controller.exit_policy()? {
    ///     None => println!("this is no relay"),
    ///     Some(policy) => println!("{}", policy.allows([192, 0, 2, 1].into(), 443)),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_exit_policy")]
    pub fn exit_policy(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/full", ExitPolicy::from_rules_of_relay)
    }

    /// Returns the part of [the exit policy](Self::exit_policy) that is for IPv4. It allows no IPv6
    /// address.
    ///
    /// Sends `GETINFO exit-policy/ipv4`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`exit_policy`](Self::exit_policy).
    pub fn exit_policy_ipv4(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/ipv4", ExitPolicy::from_ipv4_rules_of_relay)
    }

    /// Returns the part of [the exit policy](Self::exit_policy) that is for IPv6. It allows no IPv4
    /// address.
    ///
    /// Sends `GETINFO exit-policy/ipv6`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`exit_policy`](Self::exit_policy).
    pub fn exit_policy_ipv6(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/ipv6", ExitPolicy::from_ipv6_rules_of_relay)
    }

    /// Returns the rules that this relay puts before its policy to protect its own addresses and
    /// networks; `None` if tor is no relay, or its configuration asks for none
    /// (`ExitPolicyRejectPrivate`, `ExitPolicyRejectLocalInterfaces`).
    ///
    /// Sends `GETINFO exit-policy/reject-private/relay`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`exit_policy`](Self::exit_policy).
    pub fn exit_policy_reject_private(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/reject-private/relay", ExitPolicy::from_rules_of_relay)
    }

    /// Returns the rules that every tor puts behind the policy of its configuration.
    ///
    /// Sends `GETINFO exit-policy/default`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn default_exit_policy(&self) -> Result<ExitPolicy> {
        const KEY: &str = "exit-policy/default";
        self.read_info(KEY, |policy| read(KEY, policy, ExitPolicy::from_bytes))
    }

    /// Returns the rules that every tor puts before the policy of its configuration to protect
    /// private networks, if `ExitPolicyRejectPrivate` is on.
    ///
    /// Sends `GETINFO exit-policy/reject-private/default`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`default_exit_policy`](Self::default_exit_policy).
    pub fn default_exit_policy_reject_private(&self) -> Result<ExitPolicy> {
        const KEY: &str = "exit-policy/reject-private/default";
        self.read_info(KEY, |policy| read(KEY, policy, ExitPolicy::from_bytes))
    }

    fn relay_policy(
        &self,
        key: &str,
        parse: fn(&[u8]) -> Option<ExitPolicy>,
    ) -> Result<Option<ExitPolicy>> {
        let policy = |policy: &[u8]| match policy {
            // As that which protects addresses is if nothing is to be protected.
            b"" => Ok(None),
            _ => read(key, policy, parse).map(Some),
        };
        let outcome =
            none_if_refused(self.read_info(key, policy), 552, "Not running in server mode");
        Ok(outcome?.flatten())
    }
}

fn read(
    key: &str,
    policy: &[u8],
    parse: fn(&[u8]) -> Option<ExitPolicy>,
) -> Result<ExitPolicy, ProtocolError> {
    parse(policy).ok_or_else(|| ProtocolError::new(key, "an exit policy", policy))
}
