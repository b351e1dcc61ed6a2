//! What tools say that judge OpenAPI documents.

use super::server;
use super::workshop::{DOCUMENT, Workshop};

#[test]
fn redocly_finds_no_error_in_the_document() {
    let lint = ["node_modules/.bin/redocly", "lint", "--config", "redocly.yaml", DOCUMENT];
    Workshop::new("node", &server()).with_node().run(&lint);
}

#[test]
fn spectral_finds_no_error_in_the_document() {
    let lint = ["node_modules/.bin/spectral", "lint", "--ruleset", "spectral.yaml", DOCUMENT];
    Workshop::new("node", &server()).with_node().run(&[&lint[..], &["--fail-severity", "warn"]].concat());
}

#[test]
fn the_document_is_an_openapi_document() {
    Workshop::new("node", &server()).with_python().run(&[
        "python3",
        "-m",
        "openapi_spec_validator",
        DOCUMENT,
    ]);
}
