//! The connection to tor, and the private network that the program may launch.

use std::env;
use std::sync::Arc;

use torcon::testnet::PrivateNetwork;
use torcon::{ConnectOptions, Controller, Launcher, Password, Result, Tor};

use crate::arguments::Arguments;
use crate::output::Output;
use crate::signals::Signals;
use crate::terminal::Terminal;

const PASSWORD_VARIABLE: &str = "TOR_CONTROL_PASSWD";

/// A connection, with everything that ends with it.
#[derive(Debug)]
pub(crate) struct Connection {
    tor: Tor,
    network: Option<PrivateNetwork>,
}

impl Connection {
    /// Connects to the tor of the arguments, or launches it.
    pub(crate) fn open(
        arguments: &Arguments,
        terminal: &Arc<Terminal>,
        signals: &Signals,
        output: Output,
    ) -> Result<Self> {
        let controller = match arguments {
            Arguments::PrivateNetwork => return Self::launch(signals, output),
            Arguments::Default => options(terminal)?.connect_default()?,
            Arguments::Endpoint(endpoint) => options(terminal)?.connect(endpoint.as_str())?,
        };
        Ok(Self { tor: controller.into(), network: None })
    }

    fn launch(signals: &Signals, output: Output) -> Result<Self> {
        let progress = move |text: String| output.remark(&text);
        let token = signals.cancel();
        let network = PrivateNetwork::builder()
            .cancel_token(&token)
            .on_progress(move |step| progress(format!("private network: {step}")))
            .launch()?;
        let launcher = Launcher::new()
            .cancel_token(&token)
            .network(&network)
            .option("SocksPort", "auto")
            .on_progress(move |step| progress(format!("tor: {step}")));
        Ok(Self { tor: Tor::launch(launcher)?, network: Some(network) })
    }

    pub(crate) fn controller(&self) -> &Controller {
        self.tor.controller()
    }

    /// Closes the connection, and ends a private network.
    pub(crate) fn close(self) {
        // A tor that has ended cannot be ended; this is no failure.
        let _ = self.tor.close();
        drop(self.network);
    }
}

/// Returns the options of the environment. If it has no password, the user is asked for one.
fn options(terminal: &Arc<Terminal>) -> Result<ConnectOptions> {
    let options = ConnectOptions::from_env()?;
    if env::var_os(PASSWORD_VARIABLE).is_some_and(|password| !password.is_empty()) {
        return Ok(options);
    }
    let terminal = Arc::clone(terminal);
    Ok(options.password_with(move || {
        terminal.read_hidden("password of tor's control port: ").map(Password::from)
    }))
}
