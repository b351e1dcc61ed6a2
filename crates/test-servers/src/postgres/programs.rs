//! Where PostgreSQL's programs are.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::options::PostgresVersion;
use super::wheel;

/// The directory of PostgreSQL's programs: `postgres`, `initdb`, `psql`, `pg_basebackup` and the others.
#[derive(Debug, Clone)]
pub struct Programs {
    directory: PathBuf,
}

/// Where operating systems put each version, before and after its number.
const PLACES: &[(&str, &str)] = &[
    // Debian and Ubuntu
    ("/usr/lib/postgresql/", "/bin"),
    // The PostgreSQL project's packages for Red Hat and its like
    ("/usr/pgsql-", "/bin"),
];

/// The bound when versions are looked for.
const NEWEST_THINKABLE: u32 = 40;

impl Programs {
    /// Finds the programs, or fetches them if need be.
    ///
    /// # Errors
    ///
    /// When there are none; the message says what to install.
    pub fn find(version: PostgresVersion) -> Result<Self> {
        match version {
            PostgresVersion::Newest => newest(),
            PostgresVersion::Installed(version) => {
                installed(version).with_context(|| format!("PostgreSQL {version} is not installed"))
            }
        }
    }

    /// The path of one of the programs.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.directory.join(program)
    }

    fn at(directory: &Path) -> Option<Self> {
        let all = ["postgres", "initdb", "psql", "pg_basebackup"];
        let complete = all.iter().all(|program| directory.join(program).is_file());
        complete.then(|| Self { directory: directory.to_owned() })
    }
}

/// The major versions that the operating system has installed, newest first.
#[must_use]
pub fn installed_versions() -> Vec<u32> {
    (1..=NEWEST_THINKABLE).rev().filter(|&version| installed(version).is_some()).collect()
}

fn newest() -> Result<Programs> {
    if let Some(directory) = env::var_os("PG_BIN") {
        let directory = PathBuf::from(directory);
        return Programs::at(&directory)
            .with_context(|| format!("PG_BIN={}: PostgreSQL's programs are not there", directory.display()));
    }
    let not_fetched = match wheel::programs() {
        Ok(directory) => return Programs::at(&directory).context("the fetched PostgreSQL lacks programs"),
        Err(error) => error,
    };
    let installed = installed_versions().first().and_then(|&version| installed(version)).or_else(on_the_path);
    let Some(programs) = installed else {
        bail!(
            "no PostgreSQL: none is installed, and none could be fetched ({not_fetched:#}). Install `python3` with \
             pip, or PostgreSQL (Debian's `postgresql`), or name the directory of its programs in PG_BIN"
        );
    };
    Ok(programs)
}

fn installed(version: u32) -> Option<Programs> {
    PLACES.iter().find_map(|(before, after)| Programs::at(Path::new(&format!("{before}{version}{after}"))))
}

/// Links are followed: PostgreSQL finds its other files from where it really is.
fn on_the_path() -> Option<Programs> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).find_map(|directory| {
        let postgres = fs::canonicalize(directory.join("postgres")).ok()?;
        Programs::at(postgres.parent()?)
    })
}
