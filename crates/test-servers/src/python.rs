//! Python packages: clients in another language, for tests of what others see.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::{Kept, keep, pip_install};

/// A directory for `PYTHONPATH` with these packages, such as `name==1.2.3`, all that they need among them. They are
/// fetched if this user has not fetched them before.
///
/// # Errors
///
/// When they cannot be had.
pub fn python_packages(packages: &[&str]) -> Result<PathBuf> {
    let name = format!("python-{}", packages.join("+"));
    keep(&Kept::new(), &name, |directory| {
        packages.iter().try_for_each(|package| pip_install(package, directory))
    })
}
