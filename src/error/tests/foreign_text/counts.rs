//! How many foreign texts each kind of error shows.

use super::Variants;
#[cfg(feature = "onion-descriptor")]
use crate::error::OnionDescriptorProblem;
#[cfg(feature = "testnet")]
use crate::error::TestnetProblem;
#[cfg(feature = "verify")]
use crate::error::VerifyProblem;
use crate::error::{
    AuthProblem, BufferProblem, CircuitProblem, ConnectProblem, Disconnect, Error, LaunchProblem,
    OnionProblem, PathObstacle, PathProblem, ReadProblem, ResolveProblem, SocksProblem,
    SupervisorProblem, UploadOutcome, Wait,
};

variants! {
    Error {
        Rejected 2,
        Closed 2,
        Config 3,
        Timeout 1,
        Canceled 1,
        Protocol 2,
        Read 1,
        Buffer 1,
        Connect 2,
        Auth 3,
        Launch 1,
        Socks 3,
        Circuit 2,
        Path 2,
        Onion 1,
        #[cfg(feature = "onion-descriptor")]
        OnionDescriptor 2,
        Resolve 2,
        Supervisor 1,
        InvalidInput 2,
        // Of the program that uses torcon.
        Io 0,
        #[cfg(feature = "testnet")]
        Testnet 1,
        #[cfg(feature = "verify")]
        Verify 2,
    }
    Disconnect {
        Closed 0,
        Quit 0,
        EndOfStream 0,
        Read 0,
        Write 0,
        LineTooLong 0,
        ReplyTooLong 0,
        OutOfStep 0,
        Protocol 2,
        ReaderFailed 0,
    }
    Wait {
        Connect 0,
        Reply 1,
        Event 0,
        Closed 0,
        Bootstrap 0,
        Progress 0,
        Exit 0,
        SocksGreeting 0,
        SocksReply 0,
        Network 0,
        Publication 0,
        OnionDescriptor 0,
        Incoming 0,
        OnionService 0,
        Resolve 0,
        Circuit 0,
        Built 0,
        CircuitClosed 0,
        StreamClosed 0,
        NewIdentity 0,
        Status 0,
    }
    AuthProblem {
        Refused 2,
        PasswordMissing 0,
        CookieUnreadable 1,
        CookieNotAFile 1,
        CookieSize 1,
        CookiePathMissing 0,
        CookieElsewhere 1,
        PlainCookieOnly 0,
        CookieLeftOut 0,
        WrongServerProof 1,
        Challenge 2,
        NoKnownMethod 0,
        Random 0,
    }
    BufferProblem {
        Full 0,
        File 0,
    }
    CircuitProblem {
        Failed 4,
        Closed 4,
        NotBuilt 1,
        Onion 0,
        Purpose 1,
        NotAttached 2,
        Stream 2,
        OtherCircuit 0,
        NotSeen 0,
    }
    ConnectProblem {
        Resolve 0,
        Io 0,
        Timeout 1,
        Silent 1,
        NotAControlPort 1,
        Closed 2,
        Rejected 2,
        InvalidInput 2,
        Auth 3,
    }
    LaunchProblem {
        NotFound 1,
        Spawn 1,
        Directory 1,
        Thread 0,
        Exited 0,
        ExitedLater 0,
        Stderr 1,
        Refused 1,
        TransportProgram 1,
        NotTor 1,
        Timeout 1,
        Control 2,
        OtherTor 1,
        ConnectorPanicked 0,
        NotConnected 0,
        Signal 0,
        StatusUnknown 0,
    }
    OnionProblem {
        Busy 0,
        Listen 1,
        Accept 0,
        Closed 0,
        Removed 2,
        KeyDiscarded 0,
        File 1,
        Unsafe 1,
        NotForTor 1,
        DirectoryInUse 1,
        AddressInUse 0,
        Key 1,
        OtherKey 1,
        ClientExists 0,
        LastClient 0,
        Remote 0,
        NetworkDisabled 0,
        NotPublished 1,
        NotFetched 1,
        Incompatible 3,
        Random 0,
    }
    UploadOutcome {
        Pending 1,
        Uploaded 1,
        Unanswered 1,
        Failed 2,
    }
    PathProblem {
        NoConsensus 0,
        NoCandidate 2,
    }
    PathObstacle {
        Lacks 1,
        Has 1,
        Excluded 0,
        NotWanted 0,
        InPath 0,
        NoDescriptor 0,
        ExitPolicy 0,
        Country 0,
        Family 0,
        Subnet 0,
    }
    ReadProblem {
        Io 0,
        NotText 0,
        Malformed 2,
        Truncated 0,
        TooLong 0,
        Unexpected 1,
        OtherKind 0,
        Unsupported 1,
    }
    ResolveProblem {
        Failed 1,
        Closed 1,
    }
    SocksProblem {
        NoListener 0,
        ListenerElsewhere 1,
        Resolve 0,
        Unreachable 0,
        Timeout 1,
        NotSocks 1,
        Closed 0,
        Broken 0,
        NoMethod 0,
        Credentials 0,
        Refused 0,
        Protocol 2,
        NoRandom 0,
    }
    SupervisorProblem {
        NotConnected 2,
        Timeout 2,
        Permanent 2,
        CrashLoop 2,
        Exhausted 2,
        Panicked 1,
        Changed 0,
        Stopped 0,
    }
}

#[cfg(feature = "onion-descriptor")]
variants! {
    OnionDescriptorProblem {
        WrongAddress 0,
        ClientAuthNeeded 0,
        ClientNotAuthorized 0,
        Damaged 0,
        Syntax 2,
    }
}

#[cfg(feature = "testnet")]
variants! {
    TestnetProblem {
        NotFound 1,
        Spawn 1,
        Failed 1,
        Unreadable 0,
        Directory 1,
        NotEmpty 1,
        Resource 0,
        Tor 2,
        Exited 0,
        Timeout 1,
    }
}

#[cfg(feature = "verify")]
variants! {
    VerifyProblem {
        Missing 0,
        Repeated 0,
        Malformed 0,
        NotCovered 1,
        Signature 0,
        OtherKey 0,
        Fingerprint 0,
        Expired 0,
        NotYetValid 0,
        Untrusted 0,
        NoCertificate 0,
        Algorithm 1,
        TooFewSignatures 1,
    }
}
