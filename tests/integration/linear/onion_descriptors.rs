use torcon::descriptor::OnionDescriptor;
use torcon::names::OnionKey;

use super::{LINES, Reach, Shape, check};

#[test]
fn descriptors_of_onion_services_are_parsed_in_linear_time() {
    let address = OnionKey::from_seed([7; 32]).address();
    let descriptors = [
        Shape::of("hs-descriptor 3\n"),
        Shape::Repeated { start: "hs-descriptor 3\n", unit: "signature A\n" },
        Shape::Repeated { start: "hs-descriptor 3\nrevision-counter ", unit: "1" },
        Shape::Repeated { start: "hs-descriptor 3\nsuperencrypted\n", unit: "-----BEGIN X\n" },
        Shape::Repeated {
            start: "hs-descriptor 3\nsuperencrypted\n-----BEGIN X\n",
            unit: "AAAA\n",
        },
    ];
    let shapes = [&descriptors[..], LINES].concat();
    check("descriptors of onion services", Reach::Short, &shapes, |text| {
        let text = format!("hs-descriptor 3\n{text}");
        let descriptor = OnionDescriptor::parse(text).expect("the first line is right");
        let _ = (descriptor.check(), descriptor.id(), descriptor.revision());
        let _ = (descriptor.unrecognized().count(), descriptor.decrypt(&address, None));
    });
}
