//! Which public items have an example in their documentation.
//!
//! Every struct and trait has one, and every function that blocks. The documentation of an enum
//! lists its variants, and its examples are those of the types that return it.

use crate::support::source::library_sources;

/// Items without an example, with the reason.
const WITHOUT_EXAMPLE: &[(&str, &str)] = &[];

/// An item of the public interface with its documentation.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    line: usize,
    kind: String,
    name: String,
    documentation: String,
    has_public_path: bool,
}

impl Item {
    fn needs_example(&self) -> bool {
        match self.kind.as_str() {
            "struct" | "trait" => self.has_public_path,
            "fn" => self.blocks(),
            _ => false,
        }
    }

    /// Returns whether the documentation says that a call blocks; that of a method with `sends!`
    /// is completed by the macro.
    fn blocks(&self) -> bool {
        self.documentation.contains("Blocks ") || self.documentation.contains("sends!(")
    }

    fn has_example(&self) -> bool {
        self.documentation.lines().any(|line| line.trim_start().starts_with("```"))
    }
}

/// Reads the head of an item: its kind and its name. A macro that defines structs is used with rows
/// such as `SetConf = "SETCONF";`.
fn head(line: &str) -> Option<(String, String)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let first_word =
        |text: &str| text.split(|letter| !is_part(letter)).next().unwrap_or("").to_owned();
    if let Some(item) = line.strip_prefix("pub ") {
        let item = item.trim_start_matches("const ").trim_start_matches("unsafe ");
        let (kind, rest) = item.split_once(' ')?;
        let name = first_word(rest);
        let is_item = ["fn", "struct", "trait", "enum"].contains(&kind) && !name.is_empty();
        return is_item.then(|| (kind.to_owned(), name));
    }
    let (name, rest) = line.split_once(" = \"")?;
    let is_row = rest.ends_with("\";") && name.chars().all(is_part);
    is_row.then(|| ("struct".to_owned(), name.to_owned()))
}

/// Returns the public items of a source, without those for tests.
fn items(source: &str) -> Vec<Item> {
    let mut found = Vec::new();
    let mut attributes = String::new();
    let mut documentation = String::new();
    let mut in_attribute = false;
    for (line, text) in (1..).zip(source.lines()) {
        let text = text.trim();
        if text.starts_with("mod tests") && attributes.contains("cfg(test)") {
            break;
        }
        if in_attribute || text.starts_with("#[") {
            in_attribute = !text.ends_with(']');
            attributes.push_str(text);
            if text.contains("sends!(") {
                documentation.push_str("sends!(\n");
            }
        } else if let Some(doc) = text.strip_prefix("///") {
            documentation.push_str(doc);
            documentation.push('\n');
        } else {
            if let Some((kind, name)) = head(text) {
                found.push(Item {
                    line,
                    kind,
                    name,
                    documentation: std::mem::take(&mut documentation),
                    // A sealing trait is public, but in a module that is not.
                    has_public_path: !attributes.contains("unnameable_types"),
                });
            }
            attributes.clear();
            documentation.clear();
        }
    }
    found
}

#[test]
fn every_public_struct_and_trait_and_every_blocking_function_has_an_example() {
    let mut missing = Vec::new();
    let mut needed = 0;
    let mut exceptions_used = Vec::new();
    for (file, text) in library_sources() {
        if file.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        for item in items(&text).into_iter().filter(Item::needs_example) {
            needed += 1;
            let Item { line, kind, name, .. } = &item;
            let place = format!("{file} {name}");
            let is_exception = WITHOUT_EXAMPLE.iter().any(|(exception, _)| *exception == place);
            match (item.has_example(), is_exception) {
                (false, false) => missing.push(format!("{file}:{line}: {kind} {name}")),
                (false, true) => exceptions_used.push(place),
                (true, _) => {}
            }
        }
    }
    assert!(needed > 400, "the sources were not read: {needed} items");
    assert!(missing.is_empty(), "these have no example:\n{}", missing.join("\n"));
    for (exception, _) in WITHOUT_EXAMPLE {
        assert!(exceptions_used.iter().any(|used| used == exception), "{exception} has an example");
    }
}

#[test]
fn an_item_is_read_with_its_documentation() {
    let source = r#"
/// Sends a command.
///
/// Blocks for at most a minute.
#[must_use = "brackets ] in a text, \
              and two lines"]
pub fn send(&self) -> Result<()> {
    #[doc = sends!("QUIT")]
    pub const fn quit() {}

    /// # Examples
    ///
    /// ```
    /// ```
    SetConf = "SETCONF";

#[expect(unnameable_types, reason = "seals the trait")]
pub trait Sealed {}

pub(crate) struct Hidden;
pub struct $name;

#[cfg(test)]
mod tests {
    pub struct OfTests;
}
"#;
    let items = items(source);
    let read: Vec<_> = items
        .iter()
        .map(|item| (item.name.as_str(), item.needs_example(), item.has_example()))
        .collect();
    assert_eq!(
        read,
        [
            ("send", true, false),
            ("quit", true, false),
            ("SetConf", true, true),
            ("Sealed", false, false),
        ]
    );
}
