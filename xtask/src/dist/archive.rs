//! The archive: the binary with what comes with it, laid out as it is installed below `/usr/local`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::output;

const INSTALL: &str = include_str!("install.md");
/// What shells complete, and where each looks for it.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/order-service"),
    ("zsh", "share/zsh/site-functions/_order-service"),
    ("fish", "share/fish/vendor_completions.d/order-service.fish"),
];
/// What else the binary prints, and where it is put.
const PRINTED: [(&[&str], &str); 6] = [
    (&["systemd"], "lib/systemd/system/order-service.service"),
    (&["alerts"], "share/order-service/alerts.yaml"),
    (&["grafana"], "share/order-service/grafana.json"),
    (&["kubernetes"], "share/order-service/kubernetes-sqlite.yaml"),
    (&["kubernetes", "--store", "postgres"], "share/order-service/kubernetes-postgres.yaml"),
    (&["openapi"], "share/order-service/openapi.json"),
];
/// Files of the project that go along as they are.
const COPIED: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// What is to be packed.
pub(super) struct Release<'a> {
    pub(super) root: &'a Path,
    /// Where the archive goes.
    pub(super) directory: &'a Path,
    pub(super) binary: &'a Path,
    pub(super) version: &'a str,
    pub(super) target: &'a str,
}

impl Release<'_> {
    /// Makes the archive, and answers with its path.
    pub(super) fn assemble(&self, licences: &str, bill: &str, c_library: &str) -> Result<PathBuf> {
        let name = format!("order-service-{}-{}", self.version, self.target);
        let content = self.directory.join(&name);
        let write = |path: &str, bytes: &[u8]| {
            let path = content.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&content))?;
            fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
        };
        for file in COPIED {
            write(file, &fs::read(self.root.join(file)).with_context(|| format!("read {file}"))?)?;
        }
        copy_documents(&self.root.join("docs"), &content.join("docs"))?;
        let install = INSTALL.replace("{glibc}", c_library).replace("{version}", self.version);
        write("INSTALL.md", install.as_bytes())?;
        write("THIRD-PARTY-LICENSES.txt", licences.as_bytes())?;
        write("order-service.cdx.json", bill.as_bytes())?;
        for (shell, path) in COMPLETIONS {
            write(path, self.printed(&["completions", shell])?.as_bytes())?;
        }
        for (words, path) in PRINTED {
            write(path, self.printed(words)?.as_bytes())?;
        }
        let manual = self.printed(&["man"])?;
        write("share/man/man1/order-service.1", manual.as_bytes())?;
        let commands = commands(&manual);
        ensure!(!commands.is_empty(), "the manual page names no command");
        for command in commands {
            let page = self.printed(&["man", &command])?;
            write(&format!("share/man/man1/order-service-{command}.1"), page.as_bytes())?;
        }
        // With its mode.
        fs::create_dir_all(content.join("bin"))?;
        fs::copy(self.binary, content.join("bin/order-service")).context("copy the binary")?;
        self.pack(&name)
    }

    fn printed(&self, words: &[&str]) -> Result<String> {
        output(Command::new(self.binary).arg("print").args(words))
    }

    /// Nothing in it depends on who packs it, or when: times are those of the commit.
    fn pack(&self, name: &str) -> Result<PathBuf> {
        let git = Command::new("git").current_dir(self.root).args(["log", "-1", "--format=%ct"]).output();
        let time = git.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        let time = if time.trim().is_empty() { "0" } else { time.trim() };
        let archive = self.directory.join(format!("{name}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"])
            .arg(format!("--mtime=@{time}"))
            .arg("--use-compress-program=gzip --no-name --best")
            .arg("--create")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(self.directory)
            .arg(name);
        output(&mut tar)?;
        fs::remove_dir_all(self.directory.join(name))?;
        Ok(archive)
    }
}

/// Documents, in their folders.
fn copy_documents(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("look into {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_documents(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The commands that the manual page of the program refers to, as `order\-service\-serve(1)`.
fn commands(manual: &str) -> Vec<String> {
    let names = manual.lines().filter_map(|line| {
        line.strip_prefix(r"order\-service\-")?.strip_suffix("(1)").map(|name| name.replace('\\', ""))
    });
    names.filter(|name| name != "help").collect()
}

/// Checksums of all files of a release, as `sha256sum -c` takes them.
pub(super) fn write_checksums(directory: &Path) -> Result<()> {
    let mut names = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    names.sort();
    let checksums = output(Command::new("sha256sum").current_dir(directory).arg("--").args(&names))?;
    fs::write(directory.join(OsStr::new("SHA256SUMS")), checksums)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Answers `print` as the service does, with what it was asked for.
    const STAND_IN: &str = "#!/bin/sh\n[ \"$*\" != 'print man' ] || printf '%s\\n' .TP 'order\\-service\\-serve(1)' Serve .TP \
                            'order\\-service\\-help(1)'\necho \"$@\"\n";

    fn assemble(directory: &Path) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let binary = directory.with_extension("binary");
        fs::write(&binary, STAND_IN).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let root = crate::root();
        let release = Release { root: &root, directory, binary: &binary, version: "1.2.3", target: "a-b-c" };
        release.assemble("licences", "{}", "2.34").unwrap()
    }

    #[test]
    fn the_archive_has_all_that_comes_with_the_binary() {
        let parent = tempfile::tempdir().unwrap();
        let archive = assemble(&parent.path().join("dist"));
        let list = output(Command::new("tar").arg("--list").arg("--file").arg(&archive)).unwrap();
        for path in [
            "bin/order-service",
            "README.md",
            "CHANGELOG.md",
            "INSTALL.md",
            "LICENSE-MIT",
            "THIRD-PARTY-LICENSES.txt",
            "order-service.cdx.json",
            "docs/OPERATIONS.md",
            "docs/operations/postgresql.md",
            "docs/adr/README.md",
            "share/man/man1/order-service.1",
            "share/man/man1/order-service-serve.1",
            "share/zsh/site-functions/_order-service",
            "share/order-service/kubernetes-postgres.yaml",
            "lib/systemd/system/order-service.service",
        ] {
            assert!(
                list.lines().any(|line| line == format!("order-service-1.2.3-a-b-c/{path}")),
                "{path}: {list}"
            );
        }
        assert!(!list.contains("order-service-help.1"));
        let extract = |path: &str| {
            let mut tar = Command::new("tar");
            tar.arg("--extract").arg("--to-stdout").arg("--file").arg(&archive);
            output(tar.arg(format!("order-service-1.2.3-a-b-c/{path}"))).unwrap()
        };
        assert!(extract("INSTALL.md").contains("glibc 2.34"));
        assert_eq!(
            extract("share/order-service/kubernetes-postgres.yaml"),
            "print kubernetes --store postgres\n"
        );
        assert_eq!(extract("share/man/man1/order-service-serve.1"), "print man serve\n");
    }

    #[test]
    fn the_same_gives_the_same_bytes_and_checksums_say_so() {
        let parent = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| parent.path().join(name));
        let [first, second] = [&one, &two].map(|directory| fs::read(assemble(directory)).unwrap());
        assert!(first == second, "they differ");
        write_checksums(&one).unwrap();
        let check = |directory: &Path| {
            Command::new("sha256sum")
                .arg("--check")
                .arg("SHA256SUMS")
                .current_dir(directory)
                .output()
                .unwrap()
        };
        assert!(check(&one).status.success());
        fs::write(one.join("order-service-1.2.3-a-b-c.tar.gz"), "another").unwrap();
        assert!(!check(&one).status.success());
    }
}
