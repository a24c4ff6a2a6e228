use super::Source;

fn paths(text: &str) -> Vec<String> {
    let source = Source::read(text, &["crate", "link", "reader"], false);
    source
        .paths
        .iter()
        .map(|path| {
            let mark = if path.in_tests { " (tests)" } else { "" };
            format!("{} {}{mark}", path.line, path.segments.join("::"))
        })
        .collect()
}

#[test]
fn grouped_and_nested_imports_are_taken_apart() {
    let text = "use std::{\n    io::{self, Write as _},\n    net::TcpStream,\n};\n\
                    pub(crate) use crate::names::{Signal, keyword::*};\n";
    assert_eq!(
        paths(text),
        [
            "2 std::io",
            "2 std::io::Write",
            "3 std::net::TcpStream",
            "5 crate::names::Signal",
            "5 crate::names::keyword::*",
        ]
    );
}

#[test]
fn relative_paths_are_made_absolute() {
    let text = "use super::router::Router;\nuse self::inner::X;\n\
                    fn f() { super::super::wire::read(); }\n\
                    mod inner { use super::Y; fn g() { super::super::h::i() } }\n";
    assert_eq!(
        paths(text),
        [
            "1 crate::link::router::Router",
            "2 crate::link::reader::inner::X",
            "3 crate::wire::read",
            "4 crate::link::reader::Y",
            "4 crate::link::h::i",
        ]
    );
}

#[test]
fn imported_names_are_followed_also_when_renamed() {
    let text = "fn f() { clock::Instant::now(); t::spawn(); }\n\
                    use std::time as clock;\nuse std::thread::{self as t};\n";
    assert_eq!(
        paths(text),
        ["1 std::time::Instant::now", "1 std::thread::spawn", "2 std::time", "3 std::thread",]
    );
}

#[test]
fn a_module_of_the_file_is_not_the_crate_of_that_name() {
    let text = "pub use log::Line;\nmod log;\nfn f() { log::read(); nix::x(); }\n\
                mod inner { fn g() { log::warn!(\"x\"); } }\n";
    assert_eq!(
        paths(text),
        [
            "1 crate::link::reader::log::Line",
            "3 crate::link::reader::log::read",
            "3 nix::x",
            "4 log::warn",
        ]
    );
}

#[test]
fn comments_literals_and_lifetimes_hold_no_paths() {
    let text = r##"
//! See [`crate::tor::Tor`].
/* crate::a::b /* crate::c::d */ crate::e::f */
const A: &str = "crate::a \" ::b";
const B: &str = r#"crate::a" ::b"#;
const C: &[u8] = br"\"; const D: char = '"'; const E: char = '\''; const F: u8 = b'\\';
fn f<'a>(x: &'a str) -> impl Sized + use<'a> { 'outer: loop { break 'outer; } }
fn g() { crate::event::Event::parse(); r#crate::x(); ::std::fs::read("x"); <crate::a::B as C>::d() }
"##;
    assert_eq!(
        paths(text),
        ["8 crate::event::Event::parse", "8 crate::x", "8 std::fs::read", "8 crate::a::B",]
    );
}

#[test]
fn public_signatures_are_found_with_what_they_name() {
    let text = "use crossbeam_channel::Receiver;\n\
                    /// Docs.\n#[derive(Clone)]\npub struct A<T: Send> { pub a: Vec<Receiver<T>>, b: u8 }\n\
                    impl<T> A<T> { pub fn f(&self, x: fn(u8) -> u8) -> log::Level { Receiver::x() } }\n\
                    pub enum E { #[error(\"x\")] One(#[source] nix::Error), Two { three: u8 } }\n\
                    pub struct P(pub Receiver<u8>, u16);\n\
                    pub type R<T> = Result<T, E>;\n\
                    pub(crate) fn hidden(x: nix::Error) -> impl Sized {}\n\
                    pub const C: u8 = nix::X;\n\
                    #[cfg(test)]\nmod tests { pub fn t(x: nix::Error) {} }\n";
    let source = Source::read(text, &["crate", "link"], false);
    let shown: Vec<String> = source
        .signatures
        .iter()
        .map(|found| {
            let paths: Vec<String> = found.paths.iter().map(|path| path.join("::")).collect();
            format!("{}: {}", found.line, paths.join(" "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "4: struct A T Send",
            "4: a Vec crossbeam_channel::Receiver T",
            "5: impl T A T",
            "5: fn f self x fn u8 u8 log::Level",
            "6: enum E One nix::Error Two three u8",
            "7: struct P",
            "7: crossbeam_channel::Receiver u8",
            "8: type R T Result T E",
            "10: const C u8",
        ]
    );
}

#[test]
fn items_for_tests_are_marked() {
    let text = "fn a() { std::fs::read(); }\n\
                    #[cfg(test)]\nuse std::thread::sleep;\n\
                    fn b() { std::fs::read(); }\n\
                    #[cfg(test)]\nmod tests {\n fn c() { std::fs::read(); }\n}\n\
                    fn d() { std::fs::read(); }\n";
    assert_eq!(
        paths(text),
        [
            "1 std::fs::read",
            "3 std::thread::sleep (tests)",
            "4 std::fs::read",
            "7 std::fs::read (tests)",
            "9 std::fs::read",
        ]
    );
}
