//! Python packages: clients in another language, for tests of what others see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{Kept, fingerprint, keep, pip_install};
use crate::command::output;

/// A directory for `PYTHONPATH` with these packages, such as `name==1.2.3`, all that they need among them. They are
/// fetched if this user has not fetched them before.
///
/// # Errors
///
/// When they cannot be had.
pub fn python_packages(packages: &[&str]) -> Result<PathBuf> {
    // Compiled packages work with one version of Python only.
    let version = output(Command::new("python3").arg("--version"))?;
    let name = format!("python-{}", fingerprint(&[&[version.trim()], packages].concat()));
    keep(&Kept::new(), &name, |directory| pip_install(packages, directory))
}

/// The same, for the packages that a `requirements.txt` pins.
///
/// # Errors
///
/// When it cannot be read, or they cannot be had.
pub fn python_requirements(file: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let pinned: Vec<_> = text.lines().filter(|line| line.contains("==")).collect();
    python_packages(&pinned)
}
