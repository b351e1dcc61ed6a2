//! Documents name files and commands that are there.

use std::fs;
use std::path::Path;

use crate::{TextFile, assert_none, files, root};

/// Documents beside `docs/`.
const AT_THE_ROOT: &[&str] = &["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

#[test]
fn what_documents_link_to_or_name_is_there() {
    let mut documents = files("docs", &["md"]);
    for path in AT_THE_ROOT {
        let text = fs::read_to_string(root().join(path)).unwrap();
        documents.push(TextFile { path: (*path).to_owned(), text });
    }
    assert_none(&dead_ends(&root(), &documents));
    assert_none(&unknown_names(&files("crates", &["rs"]), &documents));
}

#[test]
fn each_name_that_is_not_in_the_code_is_found() {
    let code =
        "pub(crate) struct Queue;\nimpl Queue {\n    fn push(self) {}\n}\nenum Kind {\n    Full(u8),\n}";
    let code = [TextFile { path: "crates/a.rs".to_owned(), text: code.to_owned() }];
    let check = |text: &str| {
        let document = TextFile { path: "docs/a.md".to_owned(), text: text.to_owned() };
        unknown_names(&code, &[document])
    };
    for text in ["`Queue::take_batch`", "`Gone::push`", "`Kind::Empty`", "`Queue::pop()`"] {
        assert_eq!(check(text).len(), 1, "{text}");
    }
    for text in
        ["`Queue::push`", "`Queue::push(job)`", "`Kind::Full`", "`queue::push`", "```rust\nGone::push\n```"]
    {
        assert_none(&check(text));
    }
}

#[test]
fn each_dead_end_is_found() {
    let document = |text: &str| [TextFile { path: "docs/adr/README.md".to_owned(), text: text.to_owned() }];
    for text in
        ["see [there](0099-nothing.md)", "[a](../../Cargo.nothing)", "in `crates/order-gone/src/lib.rs`"]
    {
        assert_eq!(dead_ends(&root(), &document(text)).len(), 1, "{text}");
    }
    for text in ["[a](../../Cargo.toml)", "[a](https://example.com)", "[a](#there)", "`crates/order-api`"] {
        assert_none(&dead_ends(&root(), &document(text)));
    }
}

fn dead_ends(root: &Path, documents: &[TextFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for TextFile { path, text } in documents {
        let beside = Path::new(path).parent().unwrap_or(Path::new(""));
        let links = link_targets(text).map(|target| (target, root.join(beside).join(target)));
        let named = named_paths(text).map(|name| (name, root.join(name)));
        let missing = links.chain(named).filter(|(_, file)| !file.exists());
        faults.extend(missing.map(|(name, _)| format!("{path}: there is no {name}")));
    }
    faults
}

/// What Markdown links lead to in this repository, without the part after `#`.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty() && !file.contains(':'))
}

/// Files and folders that are named in code marks, such as `crates/order-api`.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split('`').skip(1).step_by(2);
    let in_tree =
        |name: &&str| ["crates/", "xtask/", "docs/", ".ci/"].iter().any(|top| name.starts_with(top));
    marked.filter(in_tree).filter(|name| !name.contains(['*', '<', ' ']))
}

/// Names such as `Queue::push` in code marks, of which the code knows nothing.
fn unknown_names(code: &[TextFile], documents: &[TextFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for TextFile { path, text } in documents {
        // Examples at length may add what is not there yet.
        let prose: String = text.split("```").step_by(2).collect();
        let marked = prose.split('`').skip(1).step_by(2);
        let names = marked.filter_map(|name| name.split('(').next()?.split_once("::"));
        let types =
            names.filter(|(of, name)| of.starts_with(char::is_uppercase) && is_name(of) && is_name(name));
        let unknown = types.filter(|(of, name)| !code.iter().any(|file| has(&file.text, of, name)));
        faults.extend(unknown.map(|(of, name)| format!("{path}: there is no {of}::{name}")));
    }
    faults
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a file says something of a type, and has a function, a variant, a field or a constant of that name.
fn has(code: &str, of: &str, name: &str) -> bool {
    let words = || code.split(|c: char| !c.is_alphanumeric() && c != '_');
    code.contains(name)
        && words().any(|word| word == of)
        && code.lines().map(str::trim_start).any(|line| {
            let after = |keyword: &str| {
                line.split_once(keyword).is_some_and(|(_, rest)| starts_with_word(rest, name))
            };
            starts_with_word(line, name) || after("fn ") || after("const ") || after("pub ")
        })
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}
