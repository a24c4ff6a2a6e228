//! Replies that no tor sends.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{
    Accounting, AddressMapping, Answers, ConsensusLifetime, CurrentTime, DescriptorAnnotations,
    DownloadStatus, EntryGuard, GeoIpData, HandshakeCounts, ProcessInfo, Reachability,
    SharedRandom, Traffic, VersionStatus, read_digests,
};

/// Replies of tor 0.4.9.11, one of each form.
const REAL: [&str; 12] = [
    "1",
    "-1",
    "5368709120 5368709120",
    "2026-11-23 12:00:00",
    "2026-11-23T09:12:15",
    "fkt6GfVvBeRdbcvPHLjUbZG9Zom6pedSpocK/j66rBE=",
    "none recommended",
    "next-attempt-at 2026-11-23 09:26:15\nn-download-failures 0\nn-download-attempts 0\n\
     schedule DL_SCHED_CONSENSUS\nwant-authority DL_WANT_ANY_DIRSERVER\n\
     increment-on DL_SCHED_INCREMENT_FAILURE\nbackoff DL_SCHED_RANDOM_EXPONENTIAL\n\
     last-backoff-position 0\nlast-delay-used 0\n",
    "F520E85ED289C1DDE7F55FF34403371079C967A5\n74DCFCDC8F834DCB58C32223037DEEE734472546\n",
    "@downloaded-at 2026-11-23 09:12:28\n@source \"127.0.0.1\"\n",
    "a.example b.example NEVER\nc.test 127.0.0.1 \"2026-11-23 10:14:06\"",
    "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r unusable 2026-11-23 10:14:06",
];

/// Any bytes, or a reply of tor with some bytes replaced.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<u16>(), any::<u8>()), 0..4);
    let changed = (0..REAL.len(), changes).prop_map(|(which, changes)| {
        let mut bytes = REAL[which].as_bytes().to_vec();
        for (place, byte) in changes {
            let length = bytes.len();
            bytes[usize::from(place) % length] = byte;
        }
        bytes
    });
    prop_oneof![any::<Vec<u8>>(), changed, Just(Vec::new())]
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused_without_a_panic(bytes in answer(), other in answer()) {
        let find = |key: &str| if key.len() % 2 == 0 { &*bytes } else { &*other };
        let answers = Answers::new(&find);
        let refusals = [
            Accounting::read(answers).err(),
            ConsensusLifetime::read(answers).err(),
            CurrentTime::read(answers).err(),
            GeoIpData::read(answers).err(),
            HandshakeCounts::read(answers).err(),
            ProcessInfo::read(answers).err(),
            Reachability::read(answers).err(),
            SharedRandom::read(answers).err(),
            Traffic::read(answers).err(),
            AddressMapping::read_list("k", &bytes).err(),
            DownloadStatus::read("k", &bytes).err(),
            EntryGuard::read_list(&bytes).err(),
            read_digests("k", &bytes).err(),
        ];
        for refusal in refusals.into_iter().flatten() {
            assert!(refusal.to_string().starts_with("cannot read "), "{refusal}");
        }
        // These accept any reply.
        let annotations = DescriptorAnnotations::read(&bytes);
        assert_eq!(annotations.text(), String::from_utf8_lossy(&bytes));
        let status = VersionStatus::read(answers);
        assert!(status.recommended.len() <= bytes.len().max(other.len()) + 1);
    }
}
