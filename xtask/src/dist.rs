//! `cargo xtask dist`: what a release consists of, made in `target/dist`: an archive for this machine's kind, checksums, a bill of
//! materials, and the notes.

mod archive;
mod glibc;
mod licences;
mod notes;
mod packages;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::archive::Release;
use crate::prerequisites::{DIST_PREREQUISITES, RUST_PREREQUISITES, require};
use crate::{cargo, root, run_all};

/// Where a binary has the list of what it was made of, which `cargo auditable` puts there.
const AUDIT_SECTION: &[u8] = b".dep-v0";

/// Makes all of it. What could stand in the way is looked at before the minutes that the build takes.
pub(crate) fn dist() -> Result<ExitCode> {
    require([RUST_PREREQUISITES, DIST_PREREQUISITES])?;
    let root = root();
    let version = env!("CARGO_PKG_VERSION");
    let notes = notes::of(&changelog(&root)?, version)?;
    let target = host()?;
    let packages = packages::of_service(&metadata(&target)?, &fs::read_to_string(root.join("Cargo.lock"))?)?;
    let licences = licences::text(&root, &packages)?;
    let commit = commit(&root)?;

    let mut build = cargo(&["auditable", "build", "--release", "--locked", "--package", "order-service"]);
    build.args(["--target", &target]).env("ORDER_SERVICE_COMMIT", &commit);
    let code = run_all([build])?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let built = root.join("target").join(&target).join("release/order-service");
    let c_library = checked(&built, version, &commit)?;
    ensure!(self::commit(&root)? == commit, "what was built has changed meanwhile: it is not {commit} alone");

    let directory = root.join("target/dist");
    if directory.exists() {
        fs::remove_dir_all(&directory).context("remove an earlier release")?;
    }
    fs::create_dir_all(&directory)?;
    let bill = sbom::document(version, &packages);
    let release = Release { root: &root, directory: &directory, binary: &built, version, target: &target };
    let archive = release.assemble(&licences, &bill, &c_library)?;
    fs::write(directory.join(format!("order-service-{version}.cdx.json")), &bill)?;
    fs::write(directory.join("RELEASE-NOTES.md"), notes)?;
    archive::write_checksums(&directory)?;
    eprintln!("{} needs glibc {c_library} or newer; it is built from {commit}", archive.display());
    Ok(ExitCode::SUCCESS)
}

/// Prints what the changelog says of a version.
#[expect(clippy::print_stdout, reason = "it is what is asked for")]
pub(crate) fn release_notes(version: &str) -> Result<ExitCode> {
    print!("{}", notes::of(&changelog(&root())?, version)?);
    Ok(ExitCode::SUCCESS)
}

fn changelog(root: &Path) -> Result<String> {
    fs::read_to_string(root.join("CHANGELOG.md")).context("read CHANGELOG.md")
}

/// The kind of machine that this is, such as `x86_64-unknown-linux-gnu`.
fn host() -> Result<String> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc says what its host is")?.to_owned())
}

fn metadata(target: &str) -> Result<Value> {
    let words = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
    serde_json::from_str(&output(&mut cargo(&words))?).context("read what cargo says of packages")
}

/// What it is built from; with a mark where that is in no commit.
fn commit(root: &Path) -> Result<String> {
    let git = |words: &[&str]| output(Command::new("git").current_dir(root).args(words));
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
    let is_clean = git(&["status", "--porcelain"])?.is_empty();
    Ok(if is_clean { commit } else { format!("{commit}-changed") })
}

/// Looks whether it is what was to be built, and tells the oldest C library that it runs on.
fn checked(binary: &PathBuf, version: &str, commit: &str) -> Result<String> {
    let told = output(Command::new(binary).arg("--version"))?;
    let expected = format!("order-service {version} (commit {commit};");
    ensure!(told.starts_with(&expected), "it says {told:?}, and not {expected:?}");
    let bytes = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let has_list = bytes.windows(AUDIT_SECTION.len()).any(|window| window == AUDIT_SECTION);
    ensure!(has_list, "the binary has no list of what it is made of");
    glibc::needed(&bytes).context("the binary names no glibc")
}

/// What a command prints.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} fails: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The packages that the service of this workspace is made of, for tests.
#[cfg(test)]
fn packages_of_this_workspace() -> Vec<packages::Package> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    packages::of_service(&metadata(&host().unwrap()).unwrap(), &lock).unwrap()
}
