//! The layers of the descriptors of onion services, without encryption. A zero byte separates the
//! second layer from the first.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut layers = data.splitn(2, |byte| *byte == 0);
    let (Some(first), Some(second)) = (layers.next(), layers.next()) else { return };
    let Some(second) = torcon::fuzzing::onion_layers(first, second) else { return };
    let first = second.first_layer();
    serde_json::to_vec(first).unwrap();
    serde_json::to_vec(&second).unwrap();
    let _ = (first.check(), first.unrecognized().count(), first.needs_client_auth());
    let _ = (second.check(), second.unrecognized().count(), format!("{second:?}"));
    for point in second.introduction_points() {
        let _ = (point.fingerprint(), point.unrecognized().count(), format!("{point:?}"));
    }
});
