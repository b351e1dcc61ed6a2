//! Dependencies point inward: domain ← application ← {store, bus, api} ← service.

use std::env;
use std::process::Command;

use serde_json::Value;

use crate::{assert_none, root};

/// What each crate may depend on in this workspace.
const LAYERS: &[(&str, &[&str])] = &[
    ("order-domain", &[]),
    ("order-application", &["order-domain"]),
    // Only hyper knows of it.
    ("httpdate", &[]),
    // These three never see each other.
    ("order-store", &["order-domain", "order-application"]),
    ("order-bus", &["order-domain", "order-application"]),
    ("order-api", &["order-domain", "order-application"]),
    ("order-service", &["order-domain", "order-application", "order-store", "order-bus", "order-api"]),
    // Drives the built binary over sockets, as any client would, and the database that it stands on; and the rules alone.
    ("order-bench", &["order-domain", "test-servers"]),
    // Real servers, for tests, benchmarks and `cargo xtask servers`: nothing that is shipped knows of them.
    ("test-servers", &[]),
    ("xtask", &["test-servers"]),
];

/// All that the domain may use from outside the workspace.
const OUTSIDE_OF_DOMAIN: &[&str] = &["iso_currency", "thiserror"];

/// Outside crates that belong to one layer's job. Tests may use them anywhere but in the domain.
const OWNED: &[(&str, &[&str])] = &[
    // The benchmarks damage a store's views.
    ("rusqlite", &["order-store", "order-bench"]),
    ("axum", &["order-api", "order-service", "order-bench"]),
    ("hyper", &["order-service"]),
    ("async-nats", &["order-bus", "order-bench"]),
    ("rdkafka", &["order-bus", "order-bench"]),
    // The codec says what event data are.
    ("utoipa", &["order-api", "order-application"]),
    ("prometheus-client", &["order-api"]),
    // Reads the command line and the environment.
    ("clap", &["order-service", "order-bench", "xtask"]),
    // Erases what went wrong: only where nobody needs to tell errors apart any more.
    ("anyhow", &["order-service", "order-bench", "test-servers", "xtask"]),
];

struct Crate {
    name: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    in_workspace: bool,
    for_tests: bool,
}

#[test]
fn dependencies_point_inward() {
    assert_none(&dependency_faults(&workspace()));
}

#[test]
fn each_wrong_dependency_is_found() {
    let planted = |name: &str, dependency: &str, in_workspace, for_tests| {
        let dependency = Dependency { name: dependency.to_owned(), in_workspace, for_tests };
        dependency_faults(&[Crate { name: name.to_owned(), dependencies: vec![dependency] }])
    };
    for (name, dependency) in [
        ("order-domain", "order-application"),
        ("order-application", "order-store"),
        ("order-store", "order-bus"),
        ("order-bus", "order-store"),
        ("order-api", "order-store"),
        ("order-api", "order-bus"),
        ("order-bench", "order-service"),
        ("order-store", "test-servers"),
        ("order-service", "test-servers"),
        ("order-bench", "order-store"),
    ] {
        assert_eq!(planted(name, dependency, true, false).len(), 1, "{name} → {dependency}");
    }
    for (name, dependency) in [("order-domain", "serde"), ("order-application", "rusqlite")] {
        assert_eq!(planted(name, dependency, false, false).len(), 1, "{name} → {dependency}");
    }
    assert_eq!(planted("order-store", "order-bus", true, true), [""; 0], "tests may put layers together");
    assert_eq!(planted("order-store", "test-servers", true, true), [""; 0], "tests may start servers");
    assert_eq!(planted("order-domain", "order-store", true, true).len(), 1, "but not the domain's");
    assert_eq!(planted("order-billing", "serde", false, false).len(), 1, "a new crate takes its place first");
}

fn dependency_faults(crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for Crate { name, dependencies } in crates {
        let Some((_, inward)) = LAYERS.iter().find(|(layer, _)| layer == name) else {
            faults.push(format!("{name} has no place among the layers: give it a line in LAYERS"));
            continue;
        };
        for dependency in dependencies {
            if let Some(why) = fault(name, inward, dependency) {
                faults.push(format!("{name} must not depend on {}: {why}", dependency.name));
            }
        }
    }
    faults
}

fn fault(name: &str, inward: &[&str], dependency: &Dependency) -> Option<&'static str> {
    let other = dependency.name.as_str();
    let pure = name == "order-domain";
    if dependency.in_workspace {
        let allowed = inward.contains(&other) || (dependency.for_tests && !pure);
        return (!allowed).then_some("dependencies point inward");
    }
    if dependency.for_tests {
        return None;
    }
    if pure {
        return (!OUTSIDE_OF_DOMAIN.contains(&other)).then_some("the domain is pure");
    }
    let owners = OWNED.iter().find(|(owned, _)| *owned == other).map(|(_, owners)| owners);
    owners.filter(|owners| !owners.contains(&name)).map(|_| "it belongs to another layer")
}

/// The workspace as cargo sees it.
fn workspace() -> Vec<Crate> {
    let cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let dependencies = package["dependencies"].as_array().unwrap();
    Crate {
        name: package["name"].as_str().unwrap().to_owned(),
        dependencies: dependencies.iter().map(read_dependency).collect(),
    }
}

fn read_dependency(dependency: &Value) -> Dependency {
    Dependency {
        name: dependency["name"].as_str().unwrap().to_owned(),
        in_workspace: dependency.get("path").is_some(),
        for_tests: dependency["kind"] == "dev",
    }
}
