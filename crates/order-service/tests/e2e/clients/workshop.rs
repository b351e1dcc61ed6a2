//! Where a program in another language is built and run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use test_servers::{node_packages, python_requirements};

use crate::server::Server;

/// Longer than any of these programs takes on a busy machine, in seconds.
const LIMIT_SECONDS: &str = "600";

/// Nobody is told that a program was used, nor asked for a newer one; what is said has no colours.
const QUIET: [(&str, &str); 5] = [
    ("REDOCLY_TELEMETRY", "off"),
    ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"),
    ("GOTOOLCHAIN", "local"),
    ("GOFLAGS", ""),
    ("NO_COLOR", "1"),
];

/// The document as the binary serves it.
pub(super) const DOCUMENT: &str = "openapi.json";

/// For what programs put aside: it goes with the test, too.
const TEMPORARY: &str = "temporary";

/// A folder that goes with the test, with the program's sources and the document.
pub(super) struct Workshop {
    directory: TempDir,
    python_path: PathBuf,
}

impl Workshop {
    /// With the sources in a folder beside this file.
    pub(super) fn new(sources: &str, server: &Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in fs::read_dir(here().join(sources)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
        }
        fs::create_dir(directory.path().join(TEMPORARY)).unwrap();
        fs::write(directory.path().join(DOCUMENT), server.get("/openapi.json").body).unwrap();
        Self { directory, python_path: PathBuf::new() }
    }

    /// With what `node/package-lock.json` names.
    pub(super) fn with_node(self) -> Self {
        let packages = node_packages(&here().join("node")).unwrap();
        symlink(packages, self.path("node_modules")).unwrap();
        self
    }

    /// With what `python/requirements.txt` names.
    pub(super) fn with_python(mut self) -> Self {
        self.python_path = python_requirements(&here().join("python/requirements.txt")).unwrap();
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a program here, which must succeed.
    #[track_caller]
    pub(super) fn run(&self, words: &[&str]) {
        // This program ends what it has started with all that has come of it.
        let mut command = Command::new("timeout");
        command.arg(LIMIT_SECONDS).args(words).current_dir(&self.directory).stdin(Stdio::null());
        command.env("PYTHONPATH", &self.python_path).env("TMPDIR", self.path(TEMPORARY)).envs(QUIET);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{words:?}: {}\n{said}", output.status);
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients")
}
