//! Unsafe code: the library, its tests and its examples have none.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates forbid it by an attribute, since the lint of the manifest must allow exceptions.
const FORBIDDEN_IN: [&str; 3] = ["src/lib.rs", "tests/integration/main.rs", "tests/storm/main.rs"];

/// `GlobalAlloc` is an unsafe trait, and the bench counts allocations.
const ALLOWED_IN: [&str; 1] = ["benches/speed/support/allocations.rs"];

#[test]
fn only_the_allocator_of_the_bench_may_have_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = Vec::new();
    for directory in ["src", "tests", "examples", "benches"] {
        for file in source_files(&root.join(directory)) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if text.contains("unsafe_code") && name != "tests/integration/unsafe_code.rs" {
                named.push(name);
            }
        }
    }
    named.retain(|file| !FORBIDDEN_IN.contains(&file.as_str()));
    assert_eq!(named, ALLOWED_IN);
    for file in FORBIDDEN_IN {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
}

fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
