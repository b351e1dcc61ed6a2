//! The licences of everything that the binary is made of, as one text. Crates have theirs as files; the same text stands there once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::packages::Package;

/// What such files' names begin with.
const NAMES: &[&str] = &["license", "licence", "copying", "notice", "unlicense"];
/// How deep they may be: C code has its own, such as `librdkafka/LICENSES.txt`.
const MAX_DEPTH: usize = 3;
/// Directories whose code is in no binary.
const NOT_BUILT: &[&str] = &["tests", "test", "examples", "benches", "fuzz", "doc", "docs", "demos"];

/// The text. Whoever has no file is under one of this project's own licences, which are there in full.
///
/// # Errors
///
/// A crate says nothing of its licence, or a file cannot be read.
pub(super) fn text(root: &Path, packages: &[Package]) -> Result<String> {
    // Texts, and who is under each.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in packages.iter().filter(|package| package.is_others()) {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.licence.as_deref().with_context(|| format!("{name} names no licence"))?;
        list.push_str(&format!("{name}: {licence}\n"));
        let mut files = Vec::new();
        collect(&package.directory, 0, &mut files)?;
        if files.is_empty() {
            files = standard(root, licence).with_context(|| format!("the licence of {name}"))?;
        }
        for file in files {
            let text = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").trim().to_owned();
            let under = texts.entry(text).or_default();
            if under.last() != Some(&name) {
                under.push(name.clone());
            }
        }
    }
    let mut all = format!(
        "order-service has these crates in it, or is built with them, under these licences (SPDX expressions):\n\n{list}"
    );
    for (text, under) in texts {
        all.push_str(&format!("\n{}\n{}:\n\n{text}\n", "-".repeat(80), under.join(", ")));
    }
    Ok(all)
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("look into {}", directory.display()))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let kind = entry.file_type()?;
        // A program of that name is no text of it.
        let is_code = [".rs", ".c", ".h", ".py", ".pl", ".json"].iter().any(|ending| name.ends_with(ending));
        if kind.is_dir() && depth < MAX_DEPTH && !NOT_BUILT.contains(&name.as_str()) {
            collect(&entry.path(), depth + 1, found)?;
        } else if kind.is_file() && !is_code && NAMES.iter().any(|begin| name.starts_with(begin)) {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// This project's copy of a licence that an expression allows.
fn standard(root: &Path, expression: &str) -> Result<Vec<PathBuf>> {
    let words: Vec<_> = expression.split([' ', '(', ')']).collect();
    for (name, file) in [("MIT", "LICENSE-MIT"), ("Apache-2.0", "LICENSE-APACHE")] {
        if words.contains(&name) && !words.contains(&"AND") {
            return Ok(vec![root.join(file)]);
        }
    }
    bail!("it has no file of its own, and {expression} is none of this project's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::packages_of_this_workspace;

    fn package(directory: &Path, name: &str, licence: Option<&str>, files: &[(&str, &str)]) -> Package {
        let directory = directory.join(name);
        for (file, text) in files {
            let file = directory.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        fs::create_dir_all(&directory).unwrap();
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
            repository: None,
            directory,
            checksum: Some("00".to_owned()),
            in_binary: true,
            needs: Vec::new(),
        }
    }

    #[test]
    fn each_text_stands_there_once_with_all_that_are_under_it() {
        let directory = tempfile::tempdir().unwrap();
        let files = [
            ("LICENSE-MIT", "Do what you like.\r\n"),
            ("c/COPYING.txt", "Of the C code."),
            ("licence.rs", "no"),
        ];
        let a = package(directory.path(), "a", Some("MIT"), &files);
        let b = package(
            directory.path(),
            "b",
            Some("MIT"),
            &[("License.md", "Do what you like.\n"), ("tests/NOTICE", "no")],
        );
        let text = text(&crate::root(), &[a, b]).unwrap();
        assert_eq!(text.matches("Do what you like.").count(), 1, "{text}");
        assert!(text.contains("a 1.0.0, b 1.0.0:\n\nDo what you like.\n"), "{text}");
        assert!(text.contains("a 1.0.0:\n\nOf the C code.\n") && !text.contains("no\n"), "{text}");
    }

    #[test]
    fn a_crate_without_a_file_is_under_a_licence_that_is_known_or_stops_the_release() {
        let directory = tempfile::tempdir().unwrap();
        let of = |licence| text(&crate::root(), &[package(directory.path(), "a", licence, &[])]);
        assert!(of(Some("MIT OR Apache-2.0")).unwrap().contains("Permission is hereby granted"));
        assert!(of(Some("Zlib")).unwrap_err().to_string().contains("the licence of a 1.0.0"));
        assert!(of(None).unwrap_err().to_string().contains("a 1.0.0 names no licence"));
    }

    #[test]
    fn everything_that_the_service_is_made_of_has_a_text() {
        let text = text(&crate::root(), &packages_of_this_workspace()).unwrap();
        for part in ["rusqlite", "librdkafka", "openssl-src", "tokio"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
