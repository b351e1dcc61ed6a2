//! Other event-sourcing libraries at the same work: programs in `peers/`, built and run if their toolchain is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::interrupt;
use crate::load::Span;
use crate::report::Figures;
use crate::server::child_command;

/// Each has its folder in `peers/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The crates `cqrs-es` and `postgres-es`.
    CqrsEs,
    /// Emmett, on Node.js.
    Emmett,
}

/// A peer that is ready to run.
pub(crate) struct BuiltPeer {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Peer {
    pub(crate) const ALL: [Self; 2] = [Self::CqrsEs, Self::Emmett];

    /// As its folder and its library are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CqrsEs => "cqrs-es",
            Self::Emmett => "emmett",
        }
    }

    /// Builds it below a directory where later runs find it again.
    ///
    /// # Errors
    ///
    /// When its toolchain is not there, or cannot get what the peer depends on.
    pub(crate) fn build(self, build_dir: &Path) -> Result<BuiltPeer> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(self.name());
        let build = build_dir.join("peers").join(self.name());
        fs::create_dir_all(&build).with_context(|| format!("create {}", build.display()))?;
        match self {
            Self::CqrsEs => build_with_cargo(&source, &build),
            Self::Emmett => install_with_npm(&source, &build),
        }
    }
}

impl BuiltPeer {
    /// Lets so many clients place orders at once, in an empty database.
    pub(crate) fn measure(&self, database: &str, clients: usize, span: Span) -> Result<Figures> {
        let mut peer = child_command(&self.program)?;
        peer.args(&self.arguments).arg(database).arg(clients.to_string());
        peer.args([span.warm_up, span.measured].map(|time| time.as_secs_f64().to_string()));
        let output = peer.output().with_context(|| format!("run {}", self.program.display()))?;
        interrupt::check()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{}: {}", self.program.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        let said: Said =
            serde_json::from_str(said.trim()).with_context(|| format!("a peer said {said:?}"))?;
        Ok(said.into())
    }
}

/// What a peer prints.
#[derive(Deserialize)]
struct Said {
    requests_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

impl From<Said> for Figures {
    fn from(said: Said) -> Self {
        let Said { requests_per_s, p50_ms, p99_ms, p999_ms, max_ms } = said;
        Self {
            requests_per_s,
            p50_ms,
            p99_ms,
            p999_ms,
            max_ms,
            server_cpu_us_per_request: None,
            loadgen_cores: None,
        }
    }
}

fn build_with_cargo(source: &Path, build: &Path) -> Result<BuiltPeer> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
    run(cargo.arg(source.join("Cargo.toml")).arg("--target-dir").arg(build))?;
    Ok(BuiltPeer { program: build.join("release/peer-cqrs-es"), arguments: Vec::new() })
}

/// Installed beside a copy, so that nothing is left in the source tree.
fn install_with_npm(source: &Path, build: &Path) -> Result<BuiltPeer> {
    for file in ["package.json", "package-lock.json", "place.js"] {
        fs::copy(source.join(file), build.join(file)).with_context(|| format!("copy {file}"))?;
    }
    run(Command::new("npm")
        .args(["ci", "--prefer-offline", "--silent", "--no-fund", "--no-audit"])
        .current_dir(build))?;
    let place = build.join("place.js");
    let place = place.to_str().context("the target directory's name is UTF-8")?;
    Ok(BuiltPeer { program: "node".into(), arguments: vec![place.to_owned()] })
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
