//! What the service is made of, by what cargo knows.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

const SERVICE: &str = "order-service";

/// A crate that the binary has in it, or that took part in making it.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) directory: PathBuf,
    /// SHA-256 of what the registry has; crates of this workspace have none.
    pub(super) checksum: Option<String>,
    /// Whether its code is in the binary. It is not of what only runs when the binary is built.
    pub(super) in_binary: bool,
    /// Package URLs of what it needs.
    pub(super) needs: Vec<String>,
}

impl Package {
    /// Its name for all tools (<https://github.com/package-url/purl-spec>).
    pub(super) fn url(&self) -> String {
        url(&self.name, &self.version)
    }

    /// Whether it comes from elsewhere.
    pub(super) fn is_others(&self) -> bool {
        self.checksum.is_some()
    }

    pub(super) fn is_service(&self) -> bool {
        self.name == SERVICE && !self.is_others()
    }
}

fn url(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// The service and all that it needs, by name. `metadata` is what `cargo metadata` says, `lock` is `Cargo.lock`.
///
/// # Errors
///
/// They are not what they were.
pub(super) fn of_service(metadata: &Value, lock: &str) -> Result<Vec<Package>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: HashMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: HashMap<String, Vec<Value>> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (text(&node["id"]), list(&node["deps"])))
        .collect();
    let service =
        packages.iter().find(|(_, package)| package["name"] == SERVICE && package["source"].is_null());
    let (service, _) = service.context("the service is in the workspace")?;

    // Who is reached, and whether on a way that leads into the binary.
    let mut reached: BTreeMap<String, bool> = BTreeMap::new();
    let mut open = vec![(service.clone(), true)];
    while let Some((id, in_binary)) = open.pop() {
        if reached.get(&id).is_some_and(|known| *known || !in_binary) {
            continue;
        }
        reached.insert(id.clone(), in_binary);
        // What such a crate needs is to build its C code with.
        let hands_on = in_binary && !has_c_code(&packages[&id]);
        for (needed, package, is_normal) in needs(&nodes, &packages, &id) {
            let goes_in = hands_on && is_in_binary(package, is_normal);
            open.push((needed, goes_in || (in_binary && has_c_code(package))));
        }
    }
    let checksums = checksums(lock);
    let package = |(id, in_binary): (&String, &bool)| {
        let package = &packages[id];
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let mut needed: Vec<_> = needs(&nodes, &packages, id)
            .map(|(_, package, _)| url(&text(&package["name"]), &text(&package["version"])))
            .collect();
        needed.sort();
        needed.dedup();
        Package {
            licence: package["license"].as_str().map(|expression| expression.replace('/', " OR ")),
            repository: package["repository"].as_str().map(str::to_owned),
            directory: Path::new(&text(&package["manifest_path"]))
                .parent()
                .unwrap_or(Path::new(""))
                .to_owned(),
            checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
            in_binary: *in_binary,
            needs: needed,
            name,
            version,
        }
    };
    let mut found: Vec<_> = reached.iter().map(package).collect();
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(found)
}

/// What a package needs when it is used, not when it is tested: which, and whether for more than building it.
fn needs<'a>(
    nodes: &'a HashMap<String, Vec<Value>>,
    packages: &'a HashMap<String, Value>,
    id: &str,
) -> impl Iterator<Item = (String, &'a Value, bool)> {
    nodes.get(id).into_iter().flatten().filter_map(|dependency| {
        let needed = text(&dependency["pkg"]);
        let package = packages.get(&needed)?;
        let kinds = dependency["dep_kinds"].as_array()?;
        let is_normal = kinds.iter().any(|kind| kind["kind"].is_null());
        let is_for_building = kinds.iter().any(|kind| kind["kind"] == "build");
        (is_normal || is_for_building).then_some((needed, package, is_normal))
    })
}

/// Macros run in the compiler.
fn is_in_binary(package: &Value, is_normal: bool) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    let mut kinds = targets.flat_map(|target| target["kind"].as_array().into_iter().flatten());
    let is_macro = kinds.any(|kind| kind == "proc-macro");
    is_normal && !is_macro
}

/// Whether it is nothing but C code for another crate, which that builds in.
fn has_c_code(package: &Value) -> bool {
    package["name"].as_str().is_some_and(|name| name.ends_with("-src"))
}

/// Checksums by name and version.
fn checksums(lock: &str) -> HashMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let entry = |package: &str, name: &str| {
        let prefix = format!("{name} = \"");
        package.lines().find_map(|line| Some(line.strip_prefix(&prefix)?.trim_end_matches('"').to_owned()))
    };
    packages
        .filter_map(|package| {
            Some(((entry(package, "name")?, entry(package, "version")?), entry(package, "checksum")?))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use crate::dist::packages_of_this_workspace;

    #[test]
    fn the_service_is_made_of_what_it_needs_and_not_of_what_tests_need() {
        let packages = packages_of_this_workspace();
        let find = |name: &str| packages.iter().find(|package| package.name == name);
        for in_binary in
            ["order-service", "order-domain", "rusqlite", "libsqlite3-sys", "openssl-src", "tokio"]
        {
            assert!(find(in_binary).is_some_and(|package| package.in_binary), "{in_binary}");
        }
        for for_building in ["serde_derive", "syn", "cc"] {
            assert!(find(for_building).is_some_and(|package| !package.in_binary), "{for_building}");
        }
        for for_tests in ["proptest", "rcgen", "test-servers", "xtask"] {
            assert!(find(for_tests).is_none(), "{for_tests}");
        }
        assert!(packages.len() > 150, "{}", packages.len());
    }

    #[test]
    fn what_comes_from_elsewhere_has_its_checksum_and_its_licence() {
        for package in packages_of_this_workspace() {
            let is_in_workspace = package.directory.starts_with(crate::root());
            assert_eq!(package.is_others(), !is_in_workspace, "{package:?}");
            assert!(package.licence.is_some(), "{package:?}");
        }
    }
}
