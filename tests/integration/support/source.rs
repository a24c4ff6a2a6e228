//! Reads which paths a Rust source file uses: just enough of the language for that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A path that the code uses, resolved as far as the file alone allows: `crate::names::Signal`,
/// `std::net::TcpStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Stands in code that only tests see.
    pub(crate) in_tests: bool,
}

/// A piece of the public interface: an item that begins with `pub`, or the head of an `impl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) line: usize,
    /// `struct`, `enum`, `fn`, `impl` and so on, or the name of a field.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Every path and every name in it, resolved as in [`UsedPath`].
    pub(crate) paths: Vec<Vec<String>>,
}

/// The contents of a file that the checks need.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<UsedPath>,
    /// The names of the modules that the file declares, with their lines.
    pub(crate) modules: Vec<(String, usize)>,
    /// The public items of the file, without items for tests.
    pub(crate) signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    PathSeparator,
    Mark(char),
}

impl Source {
    /// Reads a file that is the module `module`, such as `["crate", "error", "auth"]`.
    pub(crate) fn read(text: &str, module: &[&str], is_test_file: bool) -> Self {
        let module = module.iter().map(|&name| name.to_owned()).collect();
        let mut reader = Reader {
            tokens: tokens(text),
            place: 0,
            module,
            braces: Vec::new(),
            next_is_test: false,
            is_test_file,
            imports: BTreeMap::new(),
            declared: BTreeSet::new(),
            source: Self::default(),
        };
        // Twice: an import may stand below the code that uses it.
        reader.read();
        reader.rewind();
        reader.read();
        reader.source
    }
}

struct Brace {
    is_module: bool,
    is_test: bool,
}

struct Reader {
    tokens: Vec<(Token, usize)>,
    place: usize,
    /// The module at this place, with inline ones.
    module: Vec<String>,
    braces: Vec<Brace>,
    /// After `#[cfg(test)]`, up to the item it belongs to.
    next_is_test: bool,
    is_test_file: bool,
    /// The imported names, for `use std::time; time::Instant::now()`.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules that the file declares, by their full paths: one can have the name of a crate.
    declared: BTreeSet<Vec<String>>,
    source: Source,
}

impl Reader {
    fn rewind(&mut self) {
        self.place = 0;
        self.braces.clear();
        self.next_is_test = false;
        self.source = Source::default();
    }

    fn read(&mut self) {
        while let Some((token, line)) = self.tokens.get(self.place).cloned() {
            match token {
                Token::Word(word) if word == "pub" && self.peek(1) != Some(&Token::Mark('(')) => {
                    self.place += 1;
                    self.signature(line);
                }
                Token::Word(word) if word == "impl" && self.is_item() => {
                    self.signature(line);
                    self.place += 1;
                }
                Token::Word(word) if word == "use" && self.peek(1) != Some(&Token::Mark('<')) => {
                    self.place += 1;
                    if self.peek(0) == Some(&Token::PathSeparator) {
                        self.place += 1;
                    }
                    self.use_tree(&[]);
                    self.next_is_test = false;
                }
                Token::Word(word) if word == "mod" => self.module_item(line),
                Token::Word(_) => self.inline_path(),
                Token::Mark('{') => {
                    self.open(false);
                }
                Token::Mark('}') => {
                    self.place += 1;
                    if self.braces.pop().is_some_and(|brace| brace.is_module) {
                        self.module.pop();
                    }
                }
                Token::Mark(';') => {
                    self.place += 1;
                    self.next_is_test = false;
                }
                Token::Mark('#') if self.is_cfg_test() => {
                    self.place += 7;
                    self.next_is_test = true;
                }
                Token::Mark(_) | Token::PathSeparator => self.place += 1,
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.place + ahead).map(|(token, _)| token)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is_cfg_test(&self) -> bool {
        self.peek(1) == Some(&Token::Mark('['))
            && self.word(2) == Some("cfg")
            && self.peek(3) == Some(&Token::Mark('('))
            && self.word(4) == Some("test")
            && self.peek(5) == Some(&Token::Mark(')'))
    }

    fn in_tests(&self) -> bool {
        self.is_test_file || self.next_is_test || self.braces.iter().any(|brace| brace.is_test)
    }

    fn open(&mut self, is_module: bool) {
        self.place += 1;
        self.braces.push(Brace { is_module, is_test: self.next_is_test });
        self.next_is_test = false;
    }

    /// Returns whether an item can begin here, which tells `impl X {` from `-> impl X`.
    fn is_item(&self) -> bool {
        match self.place.checked_sub(1).map(|before| &self.tokens[before].0) {
            None | Some(Token::Mark('}' | '{' | ';' | ']')) => true,
            Some(Token::Word(word)) => word == "unsafe",
            Some(_) => false,
        }
    }

    /// Looks ahead over the public item that begins here.
    fn signature(&mut self, line: usize) {
        if self.in_tests() {
            return;
        }
        let kind = self.word(0).unwrap_or("(").to_owned();
        let name = self.word(1).unwrap_or_default().to_owned();
        // The items inside are public too, or are not, or have their own marks.
        let takes_body = matches!(kind.as_str(), "enum" | "trait" | "use");
        let mut depth = 0_usize;
        let mut paths = Vec::new();
        let mut ahead = 0;
        while let Some(token) = self.peek(ahead) {
            match token {
                Token::Mark('#') => {
                    ahead = self.after_attribute(ahead);
                    continue;
                }
                Token::Mark('{') if depth == 0 && !takes_body => break,
                Token::Mark('(') if depth == 0 && kind == "struct" => break,
                Token::Mark('=') if depth == 0 && kind != "type" => break,
                Token::Mark(';' | ',') if depth == 0 => break,
                // Not the arrow of a function.
                Token::Mark('-') => ahead += 1,
                Token::Mark('(' | '[' | '{' | '<') => depth += 1,
                Token::Mark(')' | ']' | '}' | '>') => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => break,
                },
                Token::Word(_) => {
                    let mut path = Vec::new();
                    while let Some(word) = self.word(ahead) {
                        path.push(word.to_owned());
                        if self.peek(ahead + 1) != Some(&Token::PathSeparator)
                            || self.word(ahead + 2).is_none()
                        {
                            break;
                        }
                        ahead += 2;
                    }
                    paths.push(self.resolved(&path));
                }
                _ => {}
            }
            ahead += 1;
            if takes_body && depth == 0 && self.peek(ahead - 1) == Some(&Token::Mark('}')) {
                break;
            }
        }
        self.source.signatures.push(Signature { line, kind, name, paths });
    }

    fn after_attribute(&self, mut ahead: usize) -> usize {
        let mut depth = 0_usize;
        while let Some(token) = self.peek(ahead) {
            ahead += 1;
            match token {
                Token::Mark('[') => depth += 1,
                Token::Mark(']') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
        }
        ahead
    }

    fn module_item(&mut self, line: usize) {
        self.place += 1;
        let Some(name) = self.word(0).map(str::to_owned) else { return };
        self.place += 1;
        self.source.modules.push((name.clone(), line));
        self.declared.insert([self.module.as_slice(), std::slice::from_ref(&name)].concat());
        if self.peek(0) == Some(&Token::Mark('{')) {
            self.module.push(name);
            self.open(true);
        }
    }

    /// Reads what follows `use`, or a part of a group, after `prefix`.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            let line = self.tokens.get(self.place).map_or(0, |&(_, line)| line);
            match self.peek(0).cloned() {
                Some(Token::Word(word)) => {
                    self.place += 1;
                    path.push(word);
                    if self.peek(0) == Some(&Token::PathSeparator) {
                        self.place += 1;
                        continue;
                    }
                    // `use a::{self}` names `a` itself.
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let mut name = path.last().cloned().unwrap_or_default();
                    if self.word(0) == Some("as") {
                        name = self.word(1).unwrap_or("_").to_owned();
                        self.place += 2;
                    }
                    let path = self.absolute(&path);
                    self.imports.insert(name, path.clone());
                    self.found(path, line);
                }
                Some(Token::Mark('*')) => {
                    self.place += 1;
                    path.push("*".to_owned());
                    let path = self.absolute(&path);
                    self.found(path, line);
                }
                Some(Token::Mark('{')) => {
                    self.place += 1;
                    while !matches!(self.peek(0), None | Some(Token::Mark('}'))) {
                        let before = self.place;
                        self.use_tree(&path);
                        if self.peek(0) == Some(&Token::Mark(',')) || self.place == before {
                            self.place += 1;
                        }
                    }
                    self.place += 1;
                }
                _ => {}
            }
            return;
        }
    }

    fn inline_path(&mut self) {
        let line = self.tokens[self.place].1;
        let mut path = Vec::new();
        while let Some(word) = self.word(0).map(str::to_owned) {
            path.push(word);
            self.place += 1;
            if self.peek(0) != Some(&Token::PathSeparator) || self.word(1).is_none() {
                break;
            }
            self.place += 1;
        }
        if path.len() > 1 {
            let path = self.resolved(&path);
            self.found(path, line);
        }
    }

    fn resolved(&self, path: &[String]) -> Vec<String> {
        if path == ["self"] {
            return path.to_vec();
        }
        match self.imports.get(&path[0]) {
            Some(import) => [import, &path[1..]].concat(),
            None => self.absolute(path),
        }
    }

    /// Puts the module's own path in the place of `self` and `super`, and before its own modules.
    fn absolute(&self, path: &[String]) -> Vec<String> {
        let mut base = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("self") => rest = &rest[1..],
            Some("super") => {
                while rest.first().is_some_and(|word| word == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            Some(name) => {
                base.push(name.to_owned());
                if !self.declared.contains(&base) {
                    return path.to_vec();
                }
                rest = &rest[1..];
            }
            None => {}
        }
        base.extend_from_slice(rest);
        base
    }

    fn found(&mut self, segments: Vec<String>, line: usize) {
        let in_tests = self.in_tests();
        self.source.paths.push(UsedPath { segments, line, in_tests });
    }
}

/// Returns every source file of the library, named from the crate's root, with its text.
pub(crate) fn library_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read") {
            let path = entry.expect("the sources can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("the sources are in the crate");
                let name = name.to_str().expect("names of sources are UTF-8").to_owned();
                files.push((name, fs::read_to_string(&path).expect("the sources are UTF-8")));
            }
        }
    }
    files.sort();
    assert!(files.iter().any(|(name, _)| name == "src/lib.rs"), "the sources were not found");
    files
}

/// Cuts a source into words and marks, without comments and literals.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut place, mut line) = (0, 1);
    while place < chars.len() {
        let start = place;
        match at(place) {
            '/' if at(place + 1) == '/' => {
                while place < chars.len() && at(place) != '\n' {
                    place += 1;
                }
            }
            '/' if at(place + 1) == '*' => {
                let mut depth = 0;
                while place < chars.len() {
                    match (at(place), at(place + 1)) {
                        ('/', '*') => (depth, place) = (depth + 1, place + 2),
                        ('*', '/') => (depth, place) = (depth - 1, place + 2),
                        _ => place += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => place = end_of_string(&chars, place),
            '\'' if at(place + 1) == '\\' => {
                // The escaped character itself may be a quote.
                place += 3;
                while place < chars.len() && at(place) != '\'' {
                    place += 1;
                }
                place += 1;
            }
            '\'' if at(place + 2) == '\'' => place += 3,
            // A lifetime or a label: its word is no path.
            '\'' => {
                place += 1;
                while is_word(at(place)) {
                    place += 1;
                }
            }
            first if is_word(first) => {
                while is_word(at(place)) {
                    place += 1;
                }
                let word: String = chars[start..place].iter().collect();
                let is_raw_prefix = matches!(word.as_str(), "r" | "br" | "cr");
                if is_raw_prefix && (at(place) == '"' || raw_hashes(&chars, place).is_some()) {
                    place = end_of_raw_string(&chars, place);
                } else if word == "r" && at(place) == '#' {
                    // A raw identifier: the word follows.
                    place += 1;
                } else {
                    tokens.push((Token::Word(word), line));
                }
            }
            ':' if at(place + 1) == ':' => {
                tokens.push((Token::PathSeparator, line));
                place += 2;
            }
            mark => {
                if !mark.is_whitespace() {
                    tokens.push((Token::Mark(mark), line));
                }
                place += 1;
            }
        }
        let end = place.min(chars.len());
        line += chars[start..end].iter().filter(|&&found| found == '\n').count();
    }
    tokens
}

fn is_word(found: char) -> bool {
    found == '_' || found.is_alphanumeric()
}

fn end_of_string(chars: &[char], mut place: usize) -> usize {
    place += 1;
    while place < chars.len() {
        match chars[place] {
            '\\' => place += 2,
            '"' => return place + 1,
            _ => place += 1,
        }
    }
    place
}

/// Returns how many `#` stand before the quote of a raw string, if one begins here.
fn raw_hashes(chars: &[char], place: usize) -> Option<usize> {
    let hashes = chars[place..].iter().take_while(|&&found| found == '#').count();
    (chars.get(place + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of_raw_string(chars: &[char], place: usize) -> usize {
    let hashes = raw_hashes(chars, place).unwrap_or(0);
    let mut place = place + hashes + 1;
    while place < chars.len() {
        let closes = chars[place] == '"'
            && chars[place + 1..].iter().take(hashes).filter(|&&found| found == '#').count()
                == hashes;
        if closes {
            return place + 1 + hashes;
        }
        place += 1;
    }
    place
}

#[cfg(test)]
mod tests;
