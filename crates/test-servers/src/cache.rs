//! What is fetched once and kept: servers' programs, for machines on which they are not installed, and packages.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::command::output;

/// The start of the name of what is still being fetched.
const UNFINISHED: &str = "fetching-";

/// A kept package. Tried once in a process: what cannot be fetched for one test cannot be fetched for the next.
pub(crate) type Kept = OnceLock<Result<PathBuf, String>>;

/// The directory `name` in the cache; `fetch` fills it if this user has not fetched it before.
pub(crate) fn keep(kept: &Kept, name: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let found = kept.get_or_init(|| find_or_fetch(name, fetch).map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

/// What changes whenever one of the parts does, for the name of what is made from them. (Another Rust may hash
/// otherwise: then it is fetched once more.)
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Installs Python packages, such as `name==1.2.3`, without what they depend on.
pub(crate) fn pip_install(packages: &[&str], target: &Path) -> Result<()> {
    let quietly = ["--quiet", "--no-deps", "--disable-pip-version-check", "--retries", "2"];
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install"]).args(quietly).arg("--target").arg(target).args(packages);
    output(pip.env("PIP_ROOT_USER_ACTION", "ignore")).map(drop)
}

fn find_or_fetch(name: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache()?;
    let package = cache.join(name);
    if !package.exists() {
        let lock = File::create(cache.join("lock")).context("open the cache's lock")?;
        lock.lock().context("lock the cache")?;
        // Another process may have fetched it meanwhile.
        if !package.exists() {
            remove_unfinished(&cache)?;
            fetch_aside(&cache, &package, fetch)?;
        }
    }
    Ok(package)
}

/// Installed aside and renamed: what stands in its place is complete.
fn fetch_aside(cache: &Path, package: &Path, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let aside = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(cache)?;
    let unpacked = aside.path().join("package");
    fetch(&unpacked)?;
    // The user whom servers run as is not the one who fetches, if that is root.
    output(Command::new("chmod").args(["-R", "a+rX"]).arg(&unpacked))?;
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
