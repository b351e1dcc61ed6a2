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
