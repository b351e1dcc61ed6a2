//! Requests that nobody would think of.

use super::workshop::{DOCUMENT, Workshop};
use super::{server, url};

/// What is sent and what is checked stands in `python/schemathesis.toml`.
#[test]
fn no_answer_is_one_that_the_document_does_not_describe() {
    let server = server();
    let workshop = Workshop::new("python", &server).with_python();
    workshop.run(&["python3", "-m", "schemathesis.cli", "run", DOCUMENT, "--url", &url(&server)]);
    server.stop();
}
