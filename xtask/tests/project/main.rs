//! Rules of the project that no compiler knows: which crate may depend on which, what the pure layers must not touch,
//! and that documents name only what is there. Each rule is also shown a fault, so that it is seen to fail.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]

mod documents;
mod layers;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

/// Where the workspace is.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_owned()
}

/// A text file of the project.
struct TextFile {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Every file below `directory` with one of these extensions, in a stable order.
fn files(directory: &str, extensions: &[&str]) -> Vec<TextFile> {
    let mut found = Vec::new();
    collect(&root(), directory, extensions, &mut found);
    assert!(!found.is_empty(), "nothing to check in {directory}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, directory: &str, extensions: &[&str], found: &mut Vec<TextFile>) {
    for entry in fs::read_dir(root.join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, extensions, found);
        } else if extensions.iter().any(|extension| path.ends_with(&format!(".{extension}"))) {
            let text = fs::read_to_string(root.join(&path)).unwrap();
            found.push(TextFile { path, text });
        }
    }
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
