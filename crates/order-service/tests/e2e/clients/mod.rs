//! The OpenAPI document, its page and manifests in other people's hands: their linters, their generated clients, their fuzzer,
//! their browser, all against the real binary.
//!
//! A folder for each language has the programs, which are run in a [`Workshop`], and the versions of all packages.

mod docs_page;
mod fuzzer;
mod generated;
mod linters;
mod manifests;
mod workshop;

use crate::server::{Program, Server};

/// A server that has no orders yet.
fn server() -> Server {
    Program::serve().argument("--store", "memory:").start()
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}
