//! What a tool says that judges manifests for Kubernetes.

use std::fs;

use super::server;
use super::workshop::Workshop;
use crate::print::printed;

#[test]
fn the_manifests_are_manifests_of_kubernetes() {
    let workshop = Workshop::new("python", &server()).with_python();
    for store in ["sqlite", "postgres"] {
        let manifests = printed(&["kubernetes", "--store", store]);
        fs::write(workshop.path("manifests.yaml"), manifests).unwrap();
        workshop.run(&["python3", "-m", "kubernetes_validate", "--strict", "manifests.yaml"]);
    }
}
