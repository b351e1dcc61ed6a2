//! Files that whoever runs the service may not use, with real permissions: the service runs as an ordinary user of the machine,
//! whoever runs the tests.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::lost_files::place;
use crate::server::{Ended, Program};
use crate::start_up::FAILURE;

/// Whom the service runs as if root runs the tests: no permission stops root.
const NOBODY: u32 = 65_534;

/// A place that an ordinary user can reach, with a data directory that is that user's.
struct Home {
    directory: TempDir,
    /// The words before the program's.
    words: Vec<String>,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let mut words = Vec::new();
        if geteuid().is_root() {
            let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            words =
                [&["setpriv".to_owned()], &ids[..], &["--clear-groups".to_owned(), "--".to_owned()]].concat();
        }
        let home = Self { directory, words };
        fs::create_dir(home.data()).unwrap();
        home.give(&home.data(), 0o700);
        home
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    fn program<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        Program::started_by(&words, arguments).in_directory(self.directory.path())
    }

    fn serving(&self) -> Program {
        self.program(["serve", "--listen", "127.0.0.1:0"]).argument("--data-dir", self.data())
    }

    /// Makes a file or a directory the ordinary user's.
    fn give(&self, path: &Path, mode: u32) {
        if geteuid().is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Makes a file or a directory another user's, who lets others do as much. Where the tests are no root's, its owner may do no
    /// more either.
    fn take_away(&self, path: &Path, others: u32) {
        let owner = if geteuid().is_root() {
            chown(path, Some(0), Some(0)).unwrap();
            0o700
        } else {
            others << 6
        };
        fs::set_permissions(path, Permissions::from_mode(owner | others)).unwrap();
    }

    /// The store's files, of a server that was killed after an order or stopped.
    fn fill(&self, is_killed: bool) {
        let server = self.serving().start();
        assert_eq!(place(&server, "before"), 201);
        if is_killed {
            server.kill();
        } else {
            server.stop();
        }
    }

    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.data()).unwrap().map(|file| file.unwrap().path());
        // The index of a write-ahead log is made anew.
        let files = files.filter(|path| !path.to_string_lossy().ends_with("-shm"));
        files.filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
    }

    /// It is all there, and orders are taken.
    fn assert_served(&self) {
        let server = self.serving().start();
        assert_eq!(server.get("/orders/before").status, 200);
        assert_eq!(place(&server, "after"), 201);
        server.stop();
    }
}

/// Ended, and said that a file may not be used, and what to do.
fn is_refused(ended: &Ended, path: &Path) -> bool {
    let denied = "Permission denied (os error 13); who runs the service must own it, and be able to write it";
    ended.status == Some(FAILURE)
        && ended.stderr == [format!("error: cannot use {}: {denied}", path.display())]
}

/// A check that found nothing but that.
fn is_fault(ended: &Ended, path: &Path) -> bool {
    let told = format!("cannot use {}: Permission denied", path.display());
    ended.status == Some(3) && ended.stdout.len() == 2 && ended.stdout[0].contains(&told)
}

#[test]
fn files_of_another_user_are_refused_by_their_names_and_left_as_they_are() {
    let files = ["orders.lock", "orders.db", "orders.db-wal", "orders.views.1.db", "orders.views.1.db-wal"];
    let mut wrong = Vec::new();
    for others in [0o0, 0o4] {
        let home = Home::new();
        home.fill(true);
        for name in files {
            let (file, before) = (home.file(name), home.content());
            home.take_away(&file, others);
            let rebuilding = home.program(["rebuild"]).argument("--data-dir", home.data());
            for program in [home.serving(), rebuilding] {
                let ended = program.run();
                if !is_refused(&ended, &file) {
                    wrong.push(format!("serve or rebuild, {name}, {others:o}: {ended:?}"));
                }
            }
            // What is only read may be as it likes; views that cannot be are told with what else there is.
            for command in ["verify", "export"] {
                let ended = home.program([command]).argument("--data-dir", home.data()).run();
                let is_told = is_refused(&ended, &file)
                    || others == 0o4 && ended.status == Some(0)
                    || name.contains("views") && command == "export" && ended.status == Some(0)
                    || name.contains("views") && is_fault(&ended, &file);
                if !is_told {
                    wrong.push(format!("{command}, {name}, {others:o}: {ended:?}"));
                }
            }
            home.give(&file, 0o600);
            if home.content() != before {
                wrong.push(format!("{name}, {others:o}: something was changed"));
            }
        }
        home.assert_served();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_directory_that_may_not_be_written_is_refused_by_its_name() {
    for is_killed in [false, true] {
        let home = Home::new();
        home.fill(is_killed);
        let before = home.content();
        home.take_away(&home.data(), 0o5);
        let rebuilding = home.program(["rebuild"]).argument("--data-dir", home.data());
        for program in [home.serving(), rebuilding] {
            let ended = program.run();
            assert!(is_refused(&ended, &home.data()), "killed: {is_killed}: {ended:?}");
        }
        // Whoever only reads leaves nothing there.
        for command in ["verify", "export"] {
            let ended = home.program([command]).argument("--data-dir", home.data()).run();
            assert_eq!(ended.status, Some(0), "{command}, killed: {is_killed}: {ended:?}");
        }
        home.give(&home.data(), 0o700);
        assert!(home.content() == before, "something was changed");
        home.assert_served();
    }
}

#[test]
fn a_directory_of_another_user_is_refused_before_anything_is_made() {
    let home = Home::new();
    home.take_away(&home.data(), 0o5);
    for data in [home.data(), home.file("inner")] {
        let ended = home.program(["serve", "--listen", "127.0.0.1:0"]).argument("--data-dir", &data).run();
        assert!(is_refused(&ended, &data), "{ended:?}");
    }
    assert!(home.content().is_empty());
    home.give(&home.data(), 0o700);
}
