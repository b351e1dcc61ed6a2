//! Node packages: clients in another language, a browser, and tools that judge what others are given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{Kept, fingerprint, keep};
use crate::command::output;

const PACKAGE: &str = "package.json";
const LOCK: &str = "package-lock.json";

/// The `node_modules` that the `package-lock.json` of a project asks for. They are fetched if this user has not fetched
/// them before.
///
/// # Errors
///
/// When they cannot be had.
pub fn node_packages(project: &Path) -> Result<PathBuf> {
    let read = |name| fs::read_to_string(project.join(name)).with_context(|| format!("read {name}"));
    let (package, lock) = (read(PACKAGE)?, read(LOCK)?);
    let name = format!("node-{}", fingerprint(&[&package, &lock]));
    let kept = keep(&Kept::new(), &name, |directory| {
        fs::create_dir(directory)?;
        fs::write(directory.join(PACKAGE), &package)?;
        fs::write(directory.join(LOCK), &lock)?;
        let mut npm = Command::new("npm");
        // No package gets to run anything while it is installed.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory);
        output(&mut npm).map(drop)
    })?;
    Ok(kept.join("node_modules"))
}
