//! Whom servers run as.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::geteuid;

/// In this order.
const INSTEAD_OF_ROOT: &[&str] = &["postgres", "nobody"];

/// Whom servers run as: ourselves, unless we are root, which PostgreSQL and others refuse to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerUser {
    instead_of_root: Option<Ids>,
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    user: u32,
    group: u32,
}

impl ServerUser {
    pub(crate) fn find() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { instead_of_root: None });
        }
        let users = fs::read_to_string("/etc/passwd").context("look for a user for servers")?;
        let ids = INSTEAD_OF_ROOT.iter().find_map(|name| ids(&users, name));
        let ids = ids.with_context(|| format!("none of the users {INSTEAD_OF_ROOT:?} exists"))?;
        Ok(Self { instead_of_root: Some(ids) })
    }

    /// The words that run `program` as this user.
    pub(crate) fn words(self, program: impl AsRef<OsStr>) -> Vec<OsString> {
        let mut words = Vec::new();
        if let Some(Ids { user, group }) = self.instead_of_root {
            let (user, group) = (user.to_string(), group.to_string());
            words.extend(
                ["setpriv", "--reuid", &user, "--regid", &group, "--clear-groups", "--"].map(Into::into),
            );
        }
        words.push(program.as_ref().to_owned());
        words
    }

    /// Makes a file or a directory (not what is in it) this user's.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        let Some(Ids { user, group }) = self.instead_of_root else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("hand over {}", path.display()))
    }

    /// Writes a file that only this user can read, as servers want their keys.
    pub(crate) fn write_private(self, path: &Path, content: &[u8]) -> Result<()> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(content));
        written.with_context(|| format!("write {}", path.display()))?;
        self.own(path)
    }

    /// Copies a file so that only this user can read the copy.
    pub(crate) fn copy_private(self, from: &Path, to: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.write_private(to, &content)
    }
}

/// Lets a command know nothing of the caller's surroundings: not its directory, which another user may not enter, nor
/// its home, language and PostgreSQL settings.
pub(crate) fn settle(command: &mut Command, directory: &Path) {
    command.current_dir(directory).env("HOME", directory).env("LC_ALL", "C");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
}

/// From lines such as `nobody:x:65534:65534:…`: passwd(5).
fn ids(users: &str, name: &str) -> Option<Ids> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some(Ids { user: numbers.next()?.parse().ok()?, group: numbers.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users = "nobody2:x:7:8::/:\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\n";
        let Ids { user, group } = ids(users, "nobody").unwrap();
        assert_eq!((user, group), (65534, 65533));
        assert!(ids(users, "body").is_none());
    }
}
