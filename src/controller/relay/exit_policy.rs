//! The exit policy of this relay.

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::descriptor::ExitPolicy;
use crate::error::{ProtocolError, Result};

/// # The exit policy of this relay
impl Controller {
    /// Returns the exit policy of this relay; `None` if tor is not a relay.
    ///
    /// Sends `GETINFO exit-policy/full`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if this relay has no descriptor
    /// yet, as just after its start; otherwise those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// match controller.exit_policy()? {
    ///     None => println!("tor is not a relay"),
    ///     Some(policy) => println!("{}", policy.allows([192, 0, 2, 1].into(), 443)),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_exit_policy")]
    pub fn exit_policy(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/full", ExitPolicy::from_rules_of_relay)
    }

    /// Returns the IPv4 rules of the [exit policy](Self::exit_policy). They allow no IPv6 address.
    #[doc = sends!("GETINFO exit-policy/ipv4", exit_policy)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.exit_policy_ipv4()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn exit_policy_ipv4(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/ipv4", ExitPolicy::from_ipv4_rules_of_relay)
    }

    /// Returns the IPv6 rules of the [exit policy](Self::exit_policy). They allow no IPv4 address.
    #[doc = sends!("GETINFO exit-policy/ipv6", exit_policy)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.exit_policy_ipv6()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn exit_policy_ipv6(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/ipv6", ExitPolicy::from_ipv6_rules_of_relay)
    }

    /// Returns the rules that this relay puts before its policy because of
    /// `ExitPolicyRejectPrivate` and `ExitPolicyRejectLocalInterfaces`; `None` if tor is not a
    /// relay, or both are off.
    #[doc = sends!("GETINFO exit-policy/reject-private/relay", exit_policy)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.exit_policy_reject_private()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn exit_policy_reject_private(&self) -> Result<Option<ExitPolicy>> {
        self.relay_policy("exit-policy/reject-private/relay", ExitPolicy::from_rules_of_relay)
    }

    /// Returns tor's default exit policy, which follows the configured rules.
    #[doc = sends!("GETINFO exit-policy/default")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.default_exit_policy()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn default_exit_policy(&self) -> Result<ExitPolicy> {
        const KEY: &str = "exit-policy/default";
        self.read_info(KEY, |policy| read(KEY, policy, ExitPolicy::from_bytes))
    }

    /// Returns the rules for private networks that tor puts before the configured rules if
    /// `ExitPolicyRejectPrivate` is on.
    #[doc = sends!("GETINFO exit-policy/reject-private/default")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.default_exit_policy_reject_private()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
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
            // `reject-private/relay` is empty if both options are off.
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
