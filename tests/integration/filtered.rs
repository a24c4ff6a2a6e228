//! A real tor behind a filter, as Whonix and Tails run it: by the profiles of real applications.

/// The profiles of the filters.
mod profiles;
/// A service that is published on a whole network, and a client, each behind a filter.
mod published;
/// Every feature by every profile.
mod table;

use std::time::Duration;

use torcon::{Controller, Error};

use crate::error_text::{chain, check_text};
use crate::support::filter::{Filter, Profile};
use crate::support::real_tor::RealTor;

/// A limit that only a hanging operation reaches.
const LIMIT: Duration = Duration::from_secs(60);

/// A tor whose network is off, and a filter in front of it.
struct Filtered {
    tor: RealTor,
    filter: Filter,
    profile: &'static Profile,
}

impl Filtered {
    fn start(profile: &'static Profile) -> Self {
        let tor = RealTor::start();
        let filter = Filter::before(tor.address(), tor.cookie_path(), profile);
        Self { tor, filter, profile }
    }

    #[track_caller]
    fn connect(&self) -> Controller {
        torcon::connect(self.filter.endpoint().as_str()).expect("the filter accepts every client")
    }
}

/// Returns the outcome of a call: `ok`, the command that the filter refused, or the whole text of
/// another error.
#[track_caller]
fn outcome<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            check_text(&error);
            let refused = match &error {
                Error::Rejected(rejection) => Some(rejection.command().to_owned()),
                Error::Config(error) => Some(error.rejection().command().to_owned()),
                _ => None,
            };
            match refused {
                Some(command) => {
                    assert!(error.is_filtered(), "{error:?}");
                    format!("no {command}")
                }
                None => chain(&error),
            }
        }
    }
}
