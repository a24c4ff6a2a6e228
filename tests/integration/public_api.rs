//! The promises of the public interface for every type, and types that it must not show.
//!
//! The sources are read as text to see that no public type is missing from the lists here: a new
//! type fails the test until the lists say what it promises.

mod examples;
#[cfg(feature = "serde")]
mod serialized;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt::Debug;

use crate::support::source::{Signature, Source, library_sources};

/// Every public type may go to another thread, be used by several and be printed for developers.
fn every_type<T: Debug + Send + Sync + 'static>() {}

/// Most of them may be cloned too.
fn every_cloned_type<T: Clone + Debug + Send + Sync + 'static>() {
    every_type::<T>();
}

/// Every error can be handed around as programs do with errors.
fn every_error<T: StdError + Clone + Send + Sync + 'static>() {}

/// Makes a function that checks the promises when it is compiled, and the list of the names.
macro_rules! promises {
    ($list:ident, $check:ident, $promise:ident: $($type:ty,)*) => {
        const $list: &[&str] = &[$( stringify!($type), )*];

        fn $check() {
            $( $promise::<$type>(); )*
        }
    };
}

// One line per type, sorted.
promises! { CLONED, check_cloned, every_cloned_type:
    torcon::CancelToken,
    torcon::ConnectOptions,
    torcon::Controller,
    torcon::Endpoint,
    torcon::Error,
    torcon::EventQueueIter<'static>,
    torcon::Line<'static>,
    torcon::ListenerId,
    torcon::Password,
    torcon::Reply,
    torcon::ReplyLine<'static>,
    torcon::Request,
    torcon::WeakController,
    torcon::command::AddOnion,
    torcon::command::AddedOnion,
    torcon::command::AttachStream,
    torcon::command::AuthChallenge,
    torcon::command::Authenticate,
    torcon::command::CloseCircuit,
    torcon::command::CloseStream,
    torcon::command::ConfMap,
    torcon::command::ConfSetting,
    torcon::command::ConfValue,
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
    torcon::command::InfoMap,
    torcon::command::LoadConf,
    torcon::command::MapAddress,
    torcon::command::MapOutcome,
    torcon::command::OnionClientAuthAdd,
    torcon::command::OnionClientAuthAdded,
    torcon::command::OnionClientAuthRemove,
    torcon::command::OnionClientAuthRemoved,
    torcon::command::OnionClientAuthView,
    torcon::command::OnionClientCredential,
    torcon::command::PostDescriptor,
    torcon::command::ProtocolInfo,
    torcon::command::Quit,
    torcon::command::RedirectStream,
    torcon::command::ResetConf,
    torcon::command::Resolve,
    torcon::command::SaveConf,
    torcon::command::SendSignal,
    torcon::command::ServerChallenge,
    torcon::command::SetCircuitPurpose,
    torcon::command::SetConf,
    torcon::command::SetEvents,
    torcon::command::TakeOwnership,
    torcon::command::UseFeature,
    torcon::config::Config,
    torcon::config::ConfiguredService,
    torcon::config::NewValue,
    torcon::config::OptionType,
    torcon::config::OptionValue,
    torcon::config::OrAuto<u16>,
    torcon::config::WeakConfig,
    torcon::descriptor::AddressPattern,
    torcon::descriptor::AdvertisedBandwidth,
    torcon::descriptor::AnyDescriptor,
    torcon::descriptor::BridgeStatusHeader,
    torcon::descriptor::BandwidthHistory,
    torcon::descriptor::BridgeTransport,
    torcon::descriptor::CertificateExtension<'static>,
    torcon::descriptor::CertificateType,
    torcon::descriptor::CertifiedKeyType,
    torcon::descriptor::ConsensusSigners,
    torcon::descriptor::ConnectionDirections,
    torcon::descriptor::Consensus,
    torcon::descriptor::ConsensusParam,
    torcon::descriptor::DescriptorIndex<torcon::descriptor::Microdescriptor>,
    torcon::descriptor::DescriptorItem<'static>,
    torcon::descriptor::DescriptorIter<'static, torcon::descriptor::RouterStatus>,
    torcon::descriptor::DescriptorList<torcon::descriptor::RouterStatus>,
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
    torcon::descriptor::RelayIdentity,
    torcon::descriptor::ProtocolVersions,
    torcon::descriptor::RouterStatus,
    torcon::descriptor::ServerDescriptor,
    torcon::descriptor::SharedRandomCommit,
    torcon::descriptor::SharedRandomValue,
    torcon::descriptor::StatisticMap<String>,
    torcon::descriptor::Vote,
    torcon::error::AuthError,
    torcon::error::AuthProblem,
    torcon::error::BufferError,
    torcon::error::BufferProblem,
    torcon::error::Canceled,
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
    torcon::error::RefusedSignature,
    torcon::error::VerifyError,
    torcon::error::VerifyProblem,
    torcon::error::Wait,
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
    torcon::event::ExtraField<'static>,
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
    torcon::names::BridgeLine,
    torcon::names::BridgeDistribution,
    torcon::names::BuildFlag,
    torcon::names::BuildTimeoutAction,
    torcon::names::CircMinorChange,
    torcon::names::CircuitId,
    torcon::names::CircuitPurpose,
    torcon::names::CircuitReason,
    torcon::names::CircuitStatus,
    torcon::names::ClientAuthKey,
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
    torcon::names::InvalidName,
    torcon::names::IpVersion,
    torcon::names::IsoField,
    torcon::names::ListenerKind,
    torcon::names::LibeventBadness,
    torcon::names::NameserverStatus,
    torcon::names::NetworkLiveness,
    torcon::names::Nickname,
    torcon::names::OnionAddress,
    torcon::names::OnionKey,
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
    torcon::names::TransportPlugin,
    torcon::names::TransportType,
    torcon::names::UpstreamProxy,
    torcon::names::VersionReason,
    torcon::socks::Isolation,
    torcon::socks::SocksProxy,
    torcon::onion::AuthorizedClient,
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
    torcon::testkit::Answer,
    torcon::testnet::NetworkRelay,
}

// Handles with one owner.
promises! { NOT_CLONED, check_not_cloned, every_type:
    torcon::CancelGuard,
    torcon::EventQueue,
    torcon::PendingReply,
    torcon::descriptor::DescriptorReader<torcon::descriptor::RouterStatus, std::io::Empty>,
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
    torcon::testkit::FakeTor,
    torcon::testkit::FakeTorBuilder,
    torcon::testkit::Script,
    torcon::testnet::PrivateNetwork,
    torcon::testnet::PrivateNetworkBuilder,
}

promises! { ERRORS, check_errors, every_error:
    torcon::Error,
    torcon::error::AuthError,
    torcon::error::AuthProblem,
    torcon::error::BufferError,
    torcon::error::BufferProblem,
    torcon::error::Canceled,
    torcon::error::CircuitError,
    torcon::error::CircuitProblem,
    torcon::error::ConfigError,
    torcon::error::ConnectError,
    torcon::error::ConnectProblem,
    torcon::error::Disconnect,
    torcon::error::InvalidInput,
    torcon::error::LaunchError,
    torcon::error::LaunchProblem,
    torcon::error::OnionDescriptorError,
    torcon::error::OnionDescriptorProblem,
    torcon::error::OnionError,
    torcon::error::OnionProblem,
    torcon::error::PathError,
    torcon::error::PathProblem,
    torcon::error::ProtocolError,
    torcon::error::ReadError,
    torcon::error::ReadProblem,
    torcon::error::Rejection,
    torcon::error::ResolveError,
    torcon::error::ResolveProblem,
    torcon::error::SocksError,
    torcon::error::SocksProblem,
    torcon::error::SupervisorError,
    torcon::error::SupervisorProblem,
    torcon::error::TestnetError,
    torcon::error::TestnetProblem,
    torcon::error::Timeout,
    torcon::error::VerifyError,
    torcon::error::VerifyProblem,
    torcon::names::InvalidName,
}

/// Returns the names of the dependencies, as code writes them.
fn dependencies() -> Vec<String> {
    let manifest = include_str!("../../Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).expect("there are dependencies");
    let section = section.split("\n[").next().unwrap_or(section);
    let names = section.lines().filter_map(|line| line.split_once('='));
    names
        .map(|(name, _)| name.trim())
        // The feature `serde` implements its traits.
        .filter(|name| !name.starts_with('#') && *name != "serde")
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// Returns the paths of other crates that a file shows in its public interface.
fn foreign(file: &str, text: &str) -> Vec<String> {
    let dependencies = dependencies();
    let is_foreign =
        |path: &&Vec<String>| path.len() > 1 && dependencies.iter().any(|name| *name == path[0]);
    let mut found = Vec::new();
    for Signature { line, kind, name, paths } in signatures(file, text) {
        for path in paths.iter().filter(is_foreign) {
            let item = format!("{kind} {name}");
            found.push(format!("{file}:{line}: {} shows {}", item.trim_end(), path.join("::")));
        }
    }
    found
}

fn signatures(file: &str, text: &str) -> Vec<Signature> {
    let inner = file.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs"));
    let segments: Vec<&str> = inner.expect("sources are src/**/*.rs").split('/').collect();
    let is_test_file = segments.last() == Some(&"tests");
    let module: Vec<&str> = match segments.as_slice() {
        ["lib"] => vec!["crate"],
        segments => [&["crate"], segments].concat(),
    };
    Source::read(text, &module, is_test_file).signatures
}

/// Returns the path of every public struct and enum of the library.
fn public_types() -> Vec<String> {
    let root = include_str!("../../src/lib.rs");
    let mut types = Vec::new();
    for (file, text) in library_sources() {
        let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
        let family = inner.split('/').next().unwrap_or(inner);
        // The public items of a private family stand at the root.
        let is_page = root.lines().any(|line| line == format!("pub mod {family};"));
        let place = if is_page { format!("torcon::{family}") } else { "torcon".to_owned() };
        for found in signatures(&file, &text) {
            // Within a macro the name is still a variable; its uses have one.
            if matches!(found.kind.as_str(), "struct" | "enum") && !found.name.is_empty() {
                types.push(format!("{place}::{}", found.name));
            }
        }
    }
    types
}

/// Returns those of `types` whose names stand in none of `lists`; the same type may be reached by
/// its family and by the root.
fn missing<'a>(types: impl Iterator<Item = &'a String>, lists: &[&[&str]]) -> Vec<&'a String> {
    let name = |path: &str| {
        // A generic argument may be a path too.
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path).trim().to_owned()
    };
    let promised: BTreeSet<String> =
        lists.iter().flat_map(|list| list.iter()).map(|path| name(path)).collect();
    types.filter(|path| !promised.contains(&name(path))).collect()
}

#[track_caller]
fn assert_complete(missing: &[&String], list: &str) {
    let lines: Vec<String> = missing.iter().map(|path| format!("    {path},")).collect();
    assert!(
        lines.is_empty(),
        "these {} stand not in {list} of tests/integration/public_api.rs; add:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn every_public_type_has_promised_what_it_can_do() {
    check_cloned();
    check_not_cloned();
    let types = public_types();
    let missing = missing(types.iter(), &[CLONED, NOT_CLONED]);
    assert_complete(&missing, "CLONED or NOT_CLONED");
}

#[test]
fn every_public_error_is_an_error_that_can_be_handed_around() {
    check_errors();
    let types = public_types();
    let is_error = |path: &&String| path.ends_with("Error") || path.ends_with("Problem");
    assert_complete(&missing(types.iter().filter(is_error), &[ERRORS]), "ERRORS");
}

#[test]
fn the_public_interface_shows_no_type_of_another_crate() {
    let found: Vec<String> =
        library_sources().iter().flat_map(|(file, text)| foreign(file, text)).collect();
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_type_of_another_crate_is_found_in_a_signature_and_not_in_a_body() {
    let text = "use crossbeam_channel::{Receiver, bounded};\n\
                use std::io;\n\
                pub struct Queue { inner: Receiver<u8>, pub open: Receiver<u8> }\n\
                impl Queue {\n    pub fn take(self) -> Receiver<u8> { bounded(1).1 }\n    \
                pub fn put(&self, log: &str) -> io::Result<()> { log::debug!(\"x\") }\n    \
                pub(crate) fn inner(&self) -> &Receiver<u8> { &self.inner }\n}\n\
                impl From<nix::Error> for Queue { }\n\
                pub use parking_lot::Mutex;\n";
    assert_eq!(
        foreign("src/controller/queue.rs", text),
        [
            "src/controller/queue.rs:3: open shows crossbeam_channel::Receiver",
            "src/controller/queue.rs:5: fn take shows crossbeam_channel::Receiver",
            "src/controller/queue.rs:9: impl From shows nix::Error",
            "src/controller/queue.rs:10: use parking_lot shows parking_lot::Mutex",
        ]
    );
    for name in ["crossbeam_channel", "parking_lot", "nix", "log", "tempfile", "thiserror"] {
        assert!(dependencies().iter().any(|found| found == name), "{name} of {:?}", dependencies());
    }
}
