//! What tools say that judge manifests for Kubernetes, and files of Docker Compose: its own loader.

use std::fs;
use std::path::Path;

use super::server;
use super::workshop::Workshop;
use crate::print::printed;

/// What reads such files in Docker Compose itself.
const COMPOSE: &str = "github.com/compose-spec/compose-go/v2/cmd";

#[test]
fn the_manifests_are_manifests_of_kubernetes() {
    let workshop = Workshop::new("python", &server()).with_python();
    for store in ["sqlite", "postgres"] {
        let manifests = printed(&["kubernetes", "--store", store]);
        fs::write(workshop.path("manifests.yaml"), manifests).unwrap();
        workshop.run(&["python3", "-m", "kubernetes_validate", "--strict", "manifests.yaml"]);
    }
    // Those of the page for operators: a pod and a job.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations/kubernetes.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap());
    let manifests: Vec<_> = blocks.collect();
    assert_eq!(manifests.len(), 2);
    fs::write(workshop.path("page.yaml"), manifests.join("\n---\n")).unwrap();
    workshop.run(&["python3", "-m", "kubernetes_validate", "--strict", "page.yaml"]);
}

#[test]
fn the_compose_file_is_one_of_docker_compose() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose.yaml");
    let text = fs::read_to_string(file).unwrap();
    let workshop = Workshop::new("go", &server());
    fs::write(workshop.path("compose.yaml"), &text).unwrap();
    workshop.run(&["go", "tool", COMPOSE, "compose.yaml"]);
    // And it judges.
    fs::write(workshop.path("bad.yaml"), text.replace("retries:", "retrys:")).unwrap();
    workshop.run(&["sh", "-c", &format!("! go tool {COMPOSE} bad.yaml")]);
}
