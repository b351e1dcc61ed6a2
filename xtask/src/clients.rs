//! What the tests need in which other languages' tools and clients meet the service.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use test_servers::{node_packages, python_requirements};

/// Where these tests are, with the versions of all packages.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/order-service/tests/e2e/clients");

/// Fetches the packages of all languages if need be, for the same reason as the servers' programs.
pub(crate) fn fetch() -> Result<()> {
    let clients = Path::new(CLIENTS);
    node_packages(&clients.join("node")).context("the full tests need Node packages")?;
    python_requirements(&clients.join("python/requirements.txt"))
        .context("the full tests need Python packages")?;
    // A tool in Go comes as its sources, and is built for minutes on a busy machine.
    let compose = &["build", "-o", "/dev/null", "github.com/compose-spec/compose-go/v2/cmd"];
    for words in [&["mod", "download"][..], &["tool", "oapi-codegen", "-version"], compose] {
        let mut go = Command::new("go");
        go.args(words).env("GOTOOLCHAIN", "local").current_dir(clients.join("go")).stdout(Stdio::null());
        ensure!(go.status().context("run go")?.success(), "the full tests need Go modules: {go:?} fails");
    }
    Ok(())
}
