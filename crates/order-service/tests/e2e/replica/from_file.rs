//! `--from-file`, of the primary's log and of one that parted from it. Nobody is at the broker's address.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{readiness, replica};
use crate::export::fill;
use crate::server::{Program, Server, wait_until};

const NOBODY: &str = "nats://127.0.0.1:1";

/// A primary, and another that was restored from an early copy of it and has taken other orders since.
struct Histories {
    directory: TempDir,
    end: u64,
}

impl Histories {
    fn new() -> Self {
        let histories = Self { directory: tempfile::tempdir().unwrap(), end: 30 };
        let (data, restored) = (histories.primary(), histories.restored());
        let take = |data: &Path, orders| {
            let running = Program::serving(data).start();
            fill(&running, orders);
            running.stop();
        };
        take(&data, 0..10);
        fs::create_dir_all(&restored).unwrap();
        for entry in fs::read_dir(&data).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), restored.join(entry.file_name())).unwrap();
        }
        take(&data, 10..20);
        take(&restored, 20..40);
        histories
    }

    fn primary(&self) -> PathBuf {
        self.directory.path().join("primary")
    }

    fn restored(&self) -> PathBuf {
        self.directory.path().join("restored")
    }

    fn replica(&self, lines: &[String]) -> Program {
        fs::write(self.file(), lines.join("\n")).unwrap();
        replica(self.directory.path(), NOBODY).argument("--from-file", self.file())
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("events")
    }

    #[track_caller]
    fn refused(&self, lines: &[String]) -> String {
        let ended = self.replica(lines).run();
        assert_eq!((ended.status, ended.stdout.len()), (Some(1), 0), "{ended:?}");
        ended.stderr.last().unwrap().replace(&*self.file().to_string_lossy(), "FILE")
    }
}

fn export(data: &Path, from: u64) -> Vec<String> {
    let from = from.to_string();
    let ended = Program::new(["export", "--from-position", &from]).argument("--data-dir", data).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout
}

/// As releases wrote it that did not name the event before.
fn unnamed(lines: &[String]) -> Vec<String> {
    let without = |line: &String| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("previousid");
        event.to_string()
    };
    lines.iter().map(without).collect()
}

#[track_caller]
fn comes_to(replica: &Server, position: u64) {
    wait_until("it has the file's events", || (readiness(replica).1["position"] == position).then_some(()));
}

/// Another log's first line would fit by its position, and a new order by its version.
#[test]
fn a_file_goes_on_where_the_replica_ends_only_if_it_is_of_the_same_log() {
    let histories = Histories::new();
    let end = histories.end;
    let begun = histories.replica(&export(&histories.primary(), 1)[..20]).start();
    comes_to(&begun, 20);
    begun.stop();
    let copying = histories.replica(&export(&histories.primary(), 21)).start();
    comes_to(&copying, end);
    copying.stop();

    let others = export(&histories.restored(), end);
    let told = histories.refused(&others[1..]);
    let begins =
        format!("error: FILE, line 1: another log than this replica's, at position {}: the event", end + 1);
    assert!(told.starts_with(&begins), "{told}");
    let told = histories.refused(&unnamed(&others[1..]));
    assert!(told.contains(&format!("(`export --from-position {end}`)")), "{told}");
    let told = histories.refused(&unnamed(&others));
    assert!(told.contains(&format!("at position {end}: the event there has another id")), "{told}");
    let copying = histories.replica(&unnamed(&export(&histories.primary(), end))).start();
    comes_to(&copying, end);
    copying.stop();
}
