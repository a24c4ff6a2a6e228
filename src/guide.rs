//! How to do what programs do with Tor: one page for each task, with whole programs.
//!
//! Nothing in this module is code; each module is a page.
//!
//! | page | about |
//! | --- | --- |
//! | [Start here](start_here) | the first program, three ideas, errors |
//! | [Authentication](authentication) | cookies and passwords, and what each refusal means |
//! | [Places](places) | a packaged tor, Tor Browser, a container, Tails, Whonix |
//! | [Bridges](bridges) | a launch behind a bridge, a pluggable transport or a proxy |
//! | [Onion service](onion_service) | an address that stays, clients with keys, restarts |
//! | [HTTP](http) | an HTTP client over Tor, and over one circuit |
//! | [HTTP server](http_server) | an HTTP server behind an onion address |
//! | [Paths](paths) | chosen relays, exit scanning, attachers |
//! | [Directory](directory) | relays, consensus, descriptors, statistics; files of tor and CollecTor |
//! | [Monitoring](monitoring) | traffic, circuits, the log, health |
//! | [Testing](testing) | tests of your program without the internet |
//! | [Ending](ending) | Ctrl-C, exit, and what is left behind |
//! | [From txtorcon](from_txtorcon) | its classes and their counterparts |
//! | [From Stem](from_stem) | its names and their counterparts |

/// Declares a module for the page of each file.
macro_rules! pages {
    ($($page:ident)*) => {
        $(
            pub mod $page {
                #![doc = include_str!(concat!("guide/", stringify!($page), ".md"))]
            }
        )*
    };
}

pages! {
    start_here
    authentication
    places
    bridges
    onion_service
    http
    http_server
    paths
    directory
    monitoring
    ending
    from_txtorcon
    from_stem
}

// Its links lead to the modules of two features; documentation without them, to the published one.
pub mod testing {
    #![doc = include_str!("guide/testing.md")]
    #![doc = ""]
    #![cfg_attr(feature = "testkit", doc = "[`testkit`]: crate::testkit")]
    #![cfg_attr(
        not(feature = "testkit"),
        doc = "[`testkit`]: https://docs.rs/torcon/latest/torcon/testkit/"
    )]
    #![cfg_attr(
        feature = "testnet",
        doc = "[`PrivateNetwork::builder`]: crate::testnet::PrivateNetwork::builder"
    )]
    #![cfg_attr(
        not(feature = "testnet"),
        doc = "[`PrivateNetwork::builder`]: https://docs.rs/torcon/latest/torcon/testnet/"
    )]
}
