//! Views that are rebuilt while the process is killed or the disk is full: the old ones are served on, and nobody ever
//! reads half of the new ones.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use super::full_disk::Attached;
use super::with_fault;
use crate::damage::{edit_views, verify, view_reads};
use crate::http::Answer;
use crate::server::{Program, Server, wait_until};

const ORDERS: usize = 120;

/// A stopped store of some orders, and what is read of it. One of its views is damaged, which has all of them rebuilt as
/// soon as somebody asks for that order.
fn damaged_store() -> (tempfile::TempDir, Vec<Answer>) {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    let mut names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    names.extend((0..ORDERS).map(|n| format!("more-{n}")));
    for name in names {
        let placement = format!(
            r#"{{"order_id":"{name}","customer_id":"c","items":[{{"SKU":"s","Quantity":2,"UnitPriceCents":5}}]}}"#
        );
        assert_eq!(server.post("/orders", &placement).status, 201);
    }
    let right = view_reads(&server);
    server.stop();
    edit_views(&directory, "UPDATE orders SET total_cents = 1 WHERE order_id = 'more-7'");
    (directory, right)
}

/// Asks for the damaged order, and for those that are not.
fn assert_old_views_are_served(server: &Server) {
    let damaged = server.get("/orders/more-7");
    assert!(damaged.status == 503 || damaged.text().contains(r#""TotalCents":10"#), "{damaged:?}");
    for path in ["/orders/a", "/orders/b", "/orders/more-8"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(server.get("/orders/nobody-s").status, 404);
}

fn becomes(server: &Server, state: &str) {
    let wanted = format!(r#""views":{{"state":"{state}""#);
    wait_until(&format!("the views are {state}"), || {
        server.get("/ready").text().contains(&wanted).then_some(())
    });
}

fn view_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.to_string_lossy().contains(".views.") && path.extension().is_some_and(|e| e == "db")
        })
        .collect()
}

#[test]
fn a_rebuild_that_is_killed_again_and_again_leaves_whole_views() {
    let (directory, right) = damaged_store();
    for nth in [1, 2, 3, 5, 8, 11, 14, 18, 22, 26] {
        let fault = format!("pwrite64:signal=KILL:when={nth}");
        if let Ok(mut server) = with_fault(&fault, directory.path()).try_start() {
            // It dies of one of its writes, at the latest of those by which it stops.
            let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                assert_old_views_are_served(&server);
                becomes(&server, "current");
            }));
            if asked.is_ok() {
                server.stop();
                edit_views(&directory, "UPDATE orders SET total_cents = 1 WHERE order_id = 'more-7'");
            } else {
                assert_eq!(server.wait().signal(), Some(9), "{fault}: {}", server.log());
            }
        }
        assert!(!view_files(directory.path()).is_empty());
    }
    let server = Program::serving(directory.path()).start();
    assert_old_views_are_served(&server);
    becomes(&server, "current");
    assert_eq!(view_reads(&server), right);
    assert_eq!(view_files(directory.path()).len(), 1);
    server.stop();
    assert_eq!(verify(&directory).status, Some(0));
}

#[test]
fn a_disk_that_is_full_during_a_rebuild_keeps_the_old_views_in_service() {
    let (directory, right) = damaged_store();
    // The scrubber would find the damage, and have them rebuilt, before the disk is full.
    let server = Program::serving(directory.path()).argument("--scrub-rate", "0").start();
    let next = directory.path().join("orders.views.2.db");
    let full = Attached::without_space(&server, std::slice::from_ref(&next));
    // strace needs a moment until it has each of the server's threads in hand.
    wait_until("strace is attached", || {
        let threads = fs::read_dir(format!("/proc/{}/task", server.process())).unwrap();
        let statuses = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")));
        let is_traced = |status: String| !status.contains("TracerPid:\t0");
        statuses.into_iter().all(|status| status.is_ok_and(is_traced)).then_some(())
    });
    assert_old_views_are_served(&server);
    becomes(&server, "failed");
    assert!(!next.exists(), "what was half-made is gone at once");
    assert_old_views_are_served(&server);
    drop(full);
    becomes(&server, "current");
    assert_eq!(view_reads(&server), right);
    server.stop();
    assert_eq!(verify(&directory).status, Some(0));
}
