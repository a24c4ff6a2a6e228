//! Countries that a state keeps until the GeoIP data change.

use std::fs;
use std::net::IpAddr;

use torcon::State;
use torcon::names::CountryCode;

use super::controller;
use crate::support::real_tor::RealTor;

#[test]
fn a_state_keeps_countries_until_tor_loads_other_geoip_data() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let state = State::new(&controller).unwrap();
    let address: IpAddr = "192.0.2.77".parse().unwrap();
    let code = |text: &str| -> Option<CountryCode> { text.parse().ok() };
    for _ in 0..3 {
        assert_eq!(state.country(address).unwrap(), code("xy"));
        assert_eq!(state.country([127, 0, 0, 1]).unwrap(), None);
    }
    assert_eq!(state.relay_country([1; 20].into()).unwrap(), None);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("geoip");
    fs::write(&path, "3221225984,3221226239,ZA\n").unwrap();
    controller.set_conf(("GeoIPFile", path.to_str().unwrap())).unwrap();
    assert_eq!(controller.country(address).unwrap(), code("za"));
    assert_eq!(state.country(address).unwrap(), code("za"));
}
