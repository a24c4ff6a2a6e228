//! Which public types implement `Serialize`, with the feature `serde`, and which must not.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{missing, public_types};

fn serialized<T: Serialize>() {}

fn deserialized<T: Serialize + DeserializeOwned>() {}

/// Has one implementation for each type, and a second one for each type with `Serialize`. Which of
/// them is meant is then not clear to the compiler, so that a type that must not be serialized cannot
/// be in a list of [`not_serialized!`].
trait NotSerialized<Marker> {
    fn check() {}
}

impl<T: ?Sized> NotSerialized<()> for T {}
impl<T: ?Sized + Serialize> NotSerialized<u8> for T {}

macro_rules! serialized {
    ($list:ident, $check:ident, $promise:ident: $($type:ty,)*) => {
        const $list: &[&str] = &[$( stringify!($type), )*];

        fn $check() {
            $( $promise::<$type>(); )*
        }
    };
}

macro_rules! not_serialized {
    ($list:ident, $check:ident: $($type:ty,)*) => {
        const $list: &[&str] = &[$( stringify!($type), )*];

        fn $check() {
            $( <$type as NotSerialized<_>>::check(); )*
        }
    };
}

// Names, events, answers, descriptors and values of options.
serialized! { SERIALIZED, check_serialized, serialized:
    torcon::command::ConfMap,
    torcon::command::InfoMap,
    torcon::config::OptionType,
    torcon::config::OptionValue,
    torcon::config::OrAuto<u16>,
    torcon::descriptor::AddressPattern,
    torcon::descriptor::AdvertisedBandwidth,
    torcon::descriptor::AnyDescriptor,
    torcon::descriptor::BridgeStatusHeader,
    torcon::descriptor::BandwidthHistory,
    torcon::descriptor::BridgeTransport,
    torcon::descriptor::CertificateType,
    torcon::descriptor::CertifiedKeyType,
    torcon::descriptor::ConnectionDirections,
    torcon::descriptor::Consensus,
    torcon::descriptor::ConsensusParam,
    torcon::descriptor::DescriptorItem<'static>,
    torcon::descriptor::DirectoryAuthority,
    torcon::descriptor::DirectorySignature,
    torcon::descriptor::Ed25519Certificate,
    torcon::descriptor::ExitPolicy,
    torcon::descriptor::ExitPolicyRule,
    torcon::descriptor::ExtraInfo,
    torcon::descriptor::IntroductionPoint,
    torcon::descriptor::KeyCertificate,
    torcon::descriptor::LinkSpecifier,
    torcon::descriptor::MeasurementInterval,
    torcon::descriptor::Microdescriptor,
    torcon::descriptor::MicrodescriptorDigest,
    torcon::descriptor::NoisyCount,
    torcon::descriptor::OnionAuthClient,
    torcon::descriptor::OnionDescriptor,
    torcon::descriptor::OnionFirstLayer,
    torcon::descriptor::OnionFlowControl,
    torcon::descriptor::OnionPowParams,
    torcon::descriptor::OnionSecondLayer,
    torcon::descriptor::OverloadRateLimits,
    torcon::descriptor::PackageVersion,
    torcon::descriptor::PaddingCounts,
    torcon::descriptor::ProtocolVersions,
    torcon::descriptor::RouterStatus,
    torcon::descriptor::ServerDescriptor,
    torcon::descriptor::SharedRandomCommit,
    torcon::descriptor::SharedRandomValue,
    torcon::descriptor::StatisticMap<String>,
    torcon::descriptor::Vote,
    torcon::event::AddrMapEvent,
    torcon::event::Bootstrap,
    torcon::event::BuildTimeoutSetEvent,
    torcon::event::BwEvent,
    torcon::event::CellCount,
    torcon::event::CellQueue,
    torcon::event::CellStatsEvent,
    torcon::event::CellTime,
    torcon::event::CircBwEvent,
    torcon::event::CircEvent,
    torcon::event::CircMinorEvent,
    torcon::event::ClientCount,
    torcon::event::ClientsSeenEvent,
    torcon::event::ClockSource,
    torcon::event::ConfChange,
    torcon::event::ConfChangedEvent,
    torcon::event::ConnBwEvent,
    torcon::event::Decimal,
    torcon::event::DescChangedEvent,
    torcon::event::Event,
    torcon::event::EventKind,
    torcon::event::EventText,
    torcon::event::GuardEvent,
    torcon::event::HsDescContentEvent,
    torcon::event::HsDescEvent,
    torcon::event::HsPow,
    torcon::event::LogEvent,
    torcon::event::MappedAddress,
    torcon::event::NetworkLivenessEvent,
    torcon::event::NewConsensusEvent,
    torcon::event::NewDescEvent,
    torcon::event::NsEvent,
    torcon::event::OrConnEvent,
    torcon::event::OrConnPeer,
    torcon::event::OtherEvent,
    torcon::event::PtLogEvent,
    torcon::event::PtStatusEvent,
    torcon::event::SignalEvent,
    torcon::event::StatusArea,
    torcon::event::StatusArgument,
    torcon::event::StatusDetail,
    torcon::event::StatusEvent,
    torcon::event::StreamBwEvent,
    torcon::event::StreamEvent,
    torcon::event::TbEmptyEvent,
    torcon::event::TransportLaunchedEvent,
    torcon::info::Accounting,
    torcon::info::AccountingInterval,
    torcon::info::AddressMapping,
    torcon::info::ConsensusDownload,
    torcon::info::ConsensusLifetime,
    torcon::info::CurrentTime,
    torcon::info::DescriptorAnnotations,
    torcon::info::DownloadBackoff,
    torcon::info::DownloadIncrement,
    torcon::info::DownloadSchedule,
    torcon::info::DownloadSource,
    torcon::info::DownloadStatus,
    torcon::info::EntryGuard,
    torcon::info::EntryGuardStatus,
    torcon::info::GeoIpData,
    torcon::info::HandshakeCount,
    torcon::info::HandshakeCounts,
    torcon::info::MappingOrigin,
    torcon::info::ProcessInfo,
    torcon::info::Reachability,
    torcon::info::SharedRandom,
    torcon::info::Traffic,
    torcon::info::VersionStanding,
    torcon::info::VersionStatus,
    torcon::names::AddressMethod,
    torcon::names::AuthMethod,
    torcon::names::BandwidthWeight,
    torcon::names::BootstrapTag,
    torcon::names::BridgeDistribution,
    torcon::names::BuildFlag,
    torcon::names::BuildTimeoutAction,
    torcon::names::CircMinorChange,
    torcon::names::CircuitId,
    torcon::names::CircuitPurpose,
    torcon::names::CircuitReason,
    torcon::names::CircuitStatus,
    torcon::names::ClientAuthPublicKey,
    torcon::names::ClientName,
    torcon::names::ClientProtocol,
    torcon::names::ClockSourceType,
    torcon::names::ConnectionId,
    torcon::names::ConnectionType,
    torcon::names::ConsensusFlavor,
    torcon::names::CountryCode,
    torcon::names::DescriptorListing,
    torcon::names::DigestAlgorithm,
    torcon::names::DirDownload,
    torcon::names::DirResponse,
    torcon::names::Fingerprint,
    torcon::names::GuardStatus,
    torcon::names::GuardType,
    torcon::names::HibernationStatus,
    torcon::names::HsDescAction,
    torcon::names::HsDescAuth,
    torcon::names::HsDescReason,
    torcon::names::HsState,
    torcon::names::IpVersion,
    torcon::names::IsoField,
    torcon::names::ListenerKind,
    torcon::names::LibeventBadness,
    torcon::names::NameserverStatus,
    torcon::names::NetworkLiveness,
    torcon::names::Nickname,
    torcon::names::OnionAddress,
    torcon::names::OnionPort,
    torcon::names::OrConnReason,
    torcon::names::OrConnStatus,
    torcon::names::PaddingCount,
    torcon::names::PortResult,
    torcon::names::PortTarget,
    torcon::names::PtConnect,
    torcon::names::PtSeverity,
    torcon::names::Recommendation,
    torcon::names::RelayFlag,
    torcon::names::RelaySpec,
    torcon::names::RouterPurpose,
    torcon::names::Severity,
    torcon::names::Signal,
    torcon::names::StatusAction,
    torcon::names::StreamId,
    torcon::names::StreamPurpose,
    torcon::names::StreamReason,
    torcon::names::StreamSource,
    torcon::names::StreamStatus,
    torcon::names::Target,
    torcon::names::TimePeriod,
    torcon::names::TokenBucket,
    torcon::names::TorVersion,
    torcon::names::TransportType,
    torcon::names::VersionReason,
}

// Keys, passwords and whatever may hold them: commands with secrets, their replies, values of options
// without the name of their option.
not_serialized! { SECRET, check_secret:
    torcon::names::BridgeLine,
    torcon::names::TransportPlugin,
    torcon::names::UpstreamProxy,
    torcon::ConnectOptions,
    torcon::Line<'static>,
    torcon::Password,
    torcon::Reply,
    torcon::ReplyLine<'static>,
    torcon::Request,
    torcon::command::AddOnion,
    torcon::command::AddedOnion,
    torcon::command::AuthChallenge,
    torcon::command::Authenticate,
    torcon::command::ConfSetting,
    torcon::command::ConfValue,
    torcon::command::LoadConf,
    torcon::command::OnionClientAuthAdd,
    torcon::command::OnionClientAuthAdded,
    torcon::command::OnionClientAuthRemove,
    torcon::command::OnionClientAuthRemoved,
    torcon::command::OnionClientAuthView,
    torcon::command::OnionClientCredential,
    torcon::command::ProtocolInfo,
    torcon::command::ResetConf,
    torcon::command::ServerChallenge,
    torcon::command::SetConf,
    torcon::config::ConfiguredService,
    torcon::config::NewValue,
    torcon::event::ExtraField<'static>,
    torcon::names::ClientAuthKey,
    torcon::names::OnionKey,
    torcon::socks::Isolation,
    torcon::socks::SocksProxy,
    torcon::onion::AuthorizedClient,
}

// Handles, options and iterators, which are no data; commands, whose data is their arguments; errors,
// whose text is for people; and the types of a state, whose data is in its events.
not_serialized! { NO_DATA, check_no_data:
    torcon::testkit::Answer,
    torcon::testkit::FakeTor,
    torcon::testkit::FakeTorBuilder,
    torcon::testkit::Script,
    torcon::CancelGuard,
    torcon::CancelToken,
    torcon::error::Canceled,
    torcon::Controller,
    torcon::Endpoint,
    torcon::Error,
    torcon::EventQueueIter<'static>,
    torcon::ListenerId,
    torcon::WeakController,
    torcon::command::AttachStream,
    torcon::command::CloseCircuit,
    torcon::command::CloseStream,
    torcon::command::DelOnion,
    torcon::command::DescriptorPosted,
    torcon::command::DropGuards,
    torcon::command::DropOwnership,
    torcon::command::DropTimeouts,
    torcon::command::ExtendCircuit,
    torcon::command::GetConf,
    torcon::command::GetInfo,
    torcon::command::GetProtocolInfo,
    torcon::command::HsFetch,
    torcon::command::HsPost,
    torcon::command::MapAddress,
    torcon::command::MapOutcome,
    torcon::command::PostDescriptor,
    torcon::command::Quit,
    torcon::command::RedirectStream,
    torcon::command::Resolve,
    torcon::command::SaveConf,
    torcon::command::SendSignal,
    torcon::command::SetCircuitPurpose,
    torcon::command::SetEvents,
    torcon::command::TakeOwnership,
    torcon::command::UseFeature,
    torcon::config::Config,
    torcon::config::WeakConfig,
    torcon::descriptor::CertificateExtension<'static>,
    torcon::descriptor::DescriptorIndex<torcon::descriptor::Microdescriptor>,
    torcon::descriptor::ConsensusSigners,
    torcon::descriptor::DescriptorReader<torcon::descriptor::RouterStatus, std::io::Empty>,
    torcon::descriptor::DescriptorIter<'static, torcon::descriptor::RouterStatus>,
    torcon::descriptor::DescriptorList<torcon::descriptor::RouterStatus>,
    torcon::descriptor::RelayIdentity,
    torcon::error::RefusedSignature,
    torcon::error::VerifyError,
    torcon::error::VerifyProblem,
    torcon::error::AuthError,
    torcon::error::AuthProblem,
    torcon::error::BufferError,
    torcon::error::BufferProblem,
    torcon::error::CircuitEnd,
    torcon::error::CircuitError,
    torcon::error::CircuitProblem,
    torcon::error::ConfigError,
    torcon::error::ConnectAttempt,
    torcon::error::ConnectError,
    torcon::error::ConnectProblem,
    torcon::error::Disconnect,
    torcon::error::HsDirFailure,
    torcon::error::HsDirUpload,
    torcon::error::InvalidInput,
    torcon::error::LaunchError,
    torcon::error::LaunchProblem,
    torcon::error::OnionDescriptorError,
    torcon::error::OnionDescriptorProblem,
    torcon::error::OnionError,
    torcon::error::OnionProblem,
    torcon::error::HopRole,
    torcon::error::PathError,
    torcon::error::PathObstacle,
    torcon::error::PathProblem,
    torcon::error::ProtocolError,
    torcon::error::ReadError,
    torcon::error::ReadProblem,
    torcon::error::Rejection,
    torcon::error::RejectionLine,
    torcon::error::ResolveError,
    torcon::error::ResolveProblem,
    torcon::error::SocksCode,
    torcon::error::SocksError,
    torcon::error::SocksProblem,
    torcon::error::SupervisorError,
    torcon::error::SupervisorProblem,
    torcon::error::SocksStep,
    torcon::error::TestnetError,
    torcon::error::TestnetProblem,
    torcon::error::TestnetStep,
    torcon::error::Timeout,
    torcon::error::RemovedBy,
    torcon::error::UploadOutcome,
    torcon::error::Wait,
    torcon::names::InvalidName,
    torcon::onion::CheckObstacle,
    torcon::onion::CheckStep,
    torcon::onion::OnionProgress,
    torcon::onion::IfRemoved,
    torcon::onion::LastUpload,
    torcon::onion::OnionCheck,
    torcon::onion::Publication,
    torcon::process::ControlVia,
    torcon::process::Progress,
    torcon::process::Ready,
    torcon::state::AddressChange,
    torcon::state::AddressUpdate,
    torcon::state::Attach,
    torcon::state::AttacherOptions,
    torcon::state::Circuit,
    torcon::state::CircuitChange,
    torcon::state::CircuitInfo,
    torcon::state::CircuitUpdate,
    torcon::state::MissingPart,
    torcon::state::OrConnection,
    torcon::state::Path,
    torcon::state::PathSpec,
    torcon::state::Relays,
    torcon::state::Snapshot,
    torcon::state::State,
    torcon::state::StateListenerId,
    torcon::state::Stream,
    torcon::state::StreamChange,
    torcon::state::StreamInfo,
    torcon::state::StreamUpdate,
    torcon::state::WeakState,
    torcon::supervisor::IfChanged,
    torcon::supervisor::SupervisedPart,
    torcon::supervisor::SupervisorOptions,
    torcon::supervisor::SupervisorStatus,
    torcon::supervisor::UnrestoredPart,
    torcon::testnet::NetworkProgress,
    torcon::testnet::NetworkRelay,
    torcon::EventQueue,
    torcon::PendingReply,
    torcon::socks::TorStream,
    torcon::state::AttacherGuard,
    torcon::Supervisor,
    torcon::Tor,
    torcon::onion::LocalListener,
    torcon::onion::OnionEndpoint,
    torcon::onion::OnionListener,
    torcon::onion::OnionService,
    torcon::onion::OnionStream,
    torcon::process::Launcher,
    torcon::process::TorProcess,
    torcon::testnet::PrivateNetwork,
    torcon::testnet::PrivateNetworkBuilder,
}

#[test]
fn every_public_type_is_serialized_or_has_a_reason_not_to_be() {
    check_serialized();
    check_secret();
    check_no_data();
    let types = public_types();
    let missing = missing(types.iter(), &[SERIALIZED, SECRET, NO_DATA]);
    assert!(
        missing.is_empty(),
        "in no list of tests/integration/public_api/serialized.rs: {missing:?}"
    );
}

#[test]
fn names_are_deserialized_from_their_text() {
    deserialized::<torcon::names::Fingerprint>();
    deserialized::<torcon::names::Nickname>();
    deserialized::<torcon::names::RelaySpec>();
    deserialized::<torcon::names::CircuitId>();
    deserialized::<torcon::names::OnionAddress>();
    deserialized::<torcon::names::OnionPort>();
    deserialized::<torcon::names::CountryCode>();
    deserialized::<torcon::names::Signal>();
    deserialized::<torcon::EventKind>();
    deserialized::<torcon::descriptor::AddressPattern>();
    deserialized::<torcon::descriptor::ExitPolicy>();
    deserialized::<torcon::descriptor::ExitPolicyRule>();
    deserialized::<torcon::descriptor::ProtocolVersions>();
}

#[test]
fn descriptors_are_maps_of_the_values_of_their_methods() {
    let status = "r test004r 6PeNDK0uSrN68tulQ+U+hPeyBqw FANtNjdwf/PO5Ex06DjrCVOi690 \
                  2038-01-01 00:00:00 127.0.0.1 5004 0\ns Exit Fast\nw Bandwidth=56\np accept 80\n";
    let status = torcon::descriptor::RouterStatus::parse(status).unwrap();
    assert_eq!(
        serde_json::to_string(&status).unwrap(),
        "{\"nickname\":\"test004r\",\"identity\":\"E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC\",\
         \"published\":{\"secs_since_epoch\":2145916800,\"nanos_since_epoch\":0},\
         \"address\":\"127.0.0.1\",\"or_port\":5004,\"dir_port\":null,\"version\":null,\
         \"version_text\":null,\
         \"protocols\":null,\"bandwidth\":56,\"measured_bandwidth\":null,\"is_unmeasured\":false,\
         \"exit_ports\":\"accept 80\",\"has_no_ed25519_identity\":false,\
         \"or_addresses\":[\"127.0.0.1:5004\"],\
         \"flags\":[\"Exit\",\"Fast\"],\"microdescriptor_digests\":[],\
         \"unrecognized\":[],\
         \"descriptor_digest\":\"FANtNjdwf/PO5Ex06DjrCVOi690\",\"ed25519_identity\":null,\
         \"microdescriptor_digest\":null,\"weights\":{\"Bandwidth\":\"56\"},\"stats\":{}}"
    );
}
