//! What the changelog says of a version.

use anyhow::{Context, Result, ensure};

/// Its section, without the heading.
///
/// # Errors
///
/// There is none, or nothing stands in it.
pub(super) fn of(changelog: &str, version: &str) -> Result<String> {
    let heading = format!("\n## [{version}] - ");
    let (_, after) = changelog
        .split_once(&heading)
        .with_context(|| format!("CHANGELOG.md has no section `## [{version}] - YEAR-MONTH-DAY`"))?;
    let section = after.split("\n## ").next().unwrap_or(after);
    let (_date, text) = section.split_once('\n').unwrap_or((section, ""));
    let text = text.trim();
    ensure!(!text.is_empty(), "CHANGELOG.md says nothing of {version}");
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\nNothing yet.\n\n## [1.1.0] - 2027-01-02\n\nMore.\n\n### Added\n\n\
                             - A thing.\n\n## [1.0.0] - 2027-01-01\n\nThe first.\n\n## [0.9.0] - 2026-12-31\n";

    #[test]
    fn notes_of_a_version_are_its_section() {
        assert_eq!(of(CHANGELOG, "1.1.0").unwrap(), "More.\n\n### Added\n\n- A thing.\n");
        assert_eq!(of(CHANGELOG, "1.0.0").unwrap(), "The first.\n");
        for (version, fault) in [("1.2.0", "no section"), ("1.1", "no section"), ("0.9.0", "says nothing")] {
            let error = of(CHANGELOG, version).unwrap_err().to_string();
            assert!(error.contains(fault), "{version}: {error}");
        }
    }

    #[test]
    fn this_version_has_notes() {
        let changelog = crate::dist::changelog(&crate::root()).unwrap();
        assert!(of(&changelog, env!("CARGO_PKG_VERSION")).unwrap().contains("### "));
    }
}
