//! The bill of materials, as CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>). Nothing in it depends on when and where it is
//! made: the same sources give the same bytes.

use serde_json::{Value, json};

use super::packages::Package;

/// All of it, for a version of the service.
pub(super) fn document(version: &str, packages: &[Package]) -> String {
    let service = packages.iter().find(|package| package.is_service());
    let others = packages.iter().filter(|package| !package.is_service());
    let needs = |package: &Package| json!({"ref": package.url(), "dependsOn": package.needs});
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": service.map(|service| component(service, "application")),
            "properties": [{"name": "order-service:release", "value": version}],
        },
        "components": others.map(|package| component(package, "library")).collect::<Vec<_>>(),
        "dependencies": packages.iter().map(needs).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn component(package: &Package, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": package.url(),
        "name": package.name,
        "version": package.version,
        "scope": if package.in_binary { "required" } else { "excluded" },
        "purl": package.url(),
    });
    if let Some(licence) = &package.licence {
        component["licenses"] = json!([{"expression": licence}]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::dist::packages_of_this_workspace;

    #[test]
    fn every_component_is_named_once_and_whatever_is_needed_is_a_component() {
        let bill: Value = serde_json::from_str(&document("1.2.3", &packages_of_this_workspace())).unwrap();
        let components = bill["components"].as_array().unwrap();
        let mut named: HashSet<_> = components.iter().map(|component| &component["bom-ref"]).collect();
        assert_eq!(named.len(), components.len());
        assert!(named.insert(&bill["metadata"]["component"]["bom-ref"]));
        for dependency in bill["dependencies"].as_array().unwrap() {
            assert!(named.contains(&dependency["ref"]), "{dependency}");
            for needed in dependency["dependsOn"].as_array().unwrap() {
                assert!(named.contains(needed), "{needed}");
            }
        }
        let sqlite = components.iter().find(|component| component["name"] == "libsqlite3-sys").unwrap();
        assert_eq!(sqlite["scope"], "required");
        assert_eq!(sqlite["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(sqlite["licenses"][0]["expression"], "MIT");
    }
}
