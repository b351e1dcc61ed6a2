//! Clients that are made of the document: each compiles as its language's strictest checks want it, and leads an order
//! from placement to parcel.

use super::workshop::{DOCUMENT, Workshop};
use super::{server, url};

#[test]
fn a_typescript_client_leads_an_order_through_its_life() {
    let server = server();
    let workshop = Workshop::new("typescript", &server).with_node();
    workshop.run(&["node_modules/.bin/openapi-typescript", DOCUMENT, "--output", "schema.mts"]);
    workshop.run(&["node_modules/.bin/tsc"]);
    workshop.run(&["node", "built/main.mjs", &url(&server)]);
}

#[test]
fn a_go_client_leads_an_order_through_its_life() {
    let server = server();
    let workshop = Workshop::new("go", &server);
    std::fs::create_dir(workshop.path("api")).unwrap();
    workshop.run(&["go", "tool", "oapi-codegen", "-config", "generator.yaml", DOCUMENT]);
    workshop.run(&["go", "vet", "./..."]);
    workshop.run(&["go", "run", ".", &url(&server)]);
}

#[test]
fn a_python_client_leads_an_order_through_its_life() {
    let server = server();
    let workshop = Workshop::new("python", &server).with_python();
    let generate = ["python3", "-m", "openapi_python_client", "generate", "--fail-on-warning"];
    let settings =
        ["--path", DOCUMENT, "--config", "generator.yaml", "--meta", "none", "--output-path", "orders"];
    workshop.run(&[&generate[..], &settings].concat());
    workshop.run(&["python3", "-m", "mypy", "--strict", "main.py"]);
    workshop.run(&["python3", "main.py", &url(&server)]);
}
