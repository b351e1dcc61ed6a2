//! A full disk refuses commands with a 507, goes on reading, and recovers by itself.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::checker::{check, check_list, verify};
use crate::load::{Claim, under_load};
use crate::server::{Program, Server, wait_until};

/// What commands are answered while the disk is full.
const FULL: (u16, &str) = (507, "storage-full");

/// More than a hundred commands were refused, for very few reasons.
#[track_caller]
fn assert_told_once(server: &Server) {
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("request failed") || line.contains("no space left"));
    assert!(told.count() < 10, "{log}");
    wait_until("it is told how many there were", || {
        server.log().contains("more requests failed like this").then_some(())
    });
}

/// Fills the disk under load by `fill`, looks at what the server does meanwhile, and makes space again.
#[track_caller]
fn assert_survives<F>(
    server: &Server,
    refusal: (u16, &str),
    fill: impl FnOnce() -> F,
    make_space: impl FnOnce(F),
) -> Vec<Claim> {
    let (claims, _) = under_load(server.port(), "load", |progress| {
        wait_until("there is a load", || (progress.acknowledged() > 200).then_some(()));
        let full = fill();
        wait_until("commands are refused", || {
            assert!(!server.log().contains("stopped for good"), "{}", server.log());
            (progress.refused() > 100).then_some(())
        });
        let refused = server.post(
            "/orders",
            r#"{"order_id":"full","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#,
        );
        assert_eq!((refused.status, refused.code().as_str()), refusal);
        for path in [
            "/health",
            "/orders",
            "/orders?limit=1000",
            "/orders/load-0-0",
            "/orders/load-0-0/events",
            "/events",
        ] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        // strace that lets go of a call half-way leaves it with an error that no disk has.
        progress.in_a_pause(|| make_space(full));
        let before = progress.acknowledged();
        wait_until("commands are taken again", || {
            assert!(!server.log().contains("stopped for good"), "{}", server.log());
            (progress.acknowledged() > before + 200).then_some(())
        });
    });
    assert_told_once(server);
    assert_eq!(server.get("/orders/full").status, 404);
    check(server, 0, &claims).unwrap();
    check_list(server).unwrap();
    server.assert_no_panic();
    claims
}

/// `strace` while it is attached.
pub(super) struct Attached {
    strace: Child,
    /// Who reads meanwhile, and so keeps the write-ahead log from starting anew.
    reader: Option<rusqlite::Connection>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Asked, not killed: it lets go of the server first.
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        let _ = self.strace.wait();
    }
}

impl Attached {
    /// Fails the server's writes for want of space: all of them, or those to these files.
    pub(super) fn without_space(server: &Server, files: &[PathBuf]) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-p", &server.process().to_string()]);
        strace.args(["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC"]);
        for file in files {
            strace.arg("-P").arg(file);
        }
        Self { strace: strace.stderr(Stdio::null()).spawn().unwrap(), reader: None }
    }
}

#[track_caller]
fn assert_survives_no_space(refusal: (u16, &str), fill: impl FnOnce(&Server, &Path) -> Attached) {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    let claims = assert_survives(&server, refusal, || fill(&server, directory.path()), drop);
    server.kill();
    let server = Program::serving(directory.path()).start();
    check(&server, 0, &claims).unwrap();
    server.stop();
    verify(directory.path()).unwrap();
}

#[test]
fn no_space_is_told_and_survived() {
    assert_survives_no_space(FULL, |server, _| Attached::without_space(server, &[]));
}

/// What the views have no space for is in the log, so the end does not wait for space.
#[test]
fn a_server_stops_when_it_is_told_to_with_changes_that_its_views_have_no_space_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    let views = ["orders.views.1.db", "orders.views.1.db-wal"].map(|name| directory.path().join(name));
    let full = Attached::without_space(&server, &views);
    let tasks = format!("/proc/{}/task", server.process());
    wait_until("strace is attached to every thread", || {
        let mut tasks = fs::read_dir(&tasks).unwrap();
        let is_traced = |task: PathBuf| {
            fs::read_to_string(task.join("status")).is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
        };
        tasks.all(|task| is_traced(task.unwrap().path())).then_some(())
    });
    let claim = Claim { acknowledged: 1, attempted: 1, ..Claim::new("last".to_owned(), 1) };
    assert_eq!(claim.send(0, &mut server.connect()).unwrap().status, 201);
    // Before the views are written for the first time: that is when it would not hear of the end while it waits for space.
    server.stop();
    drop(full);
    let server = Program::serving(directory.path()).start();
    check(&server, 0, &[claim]).unwrap();
    server.stop();
    verify(directory.path()).unwrap();
}

/// The negative control: the same checker, on a server that takes a failed commit for done. Under load the clients themselves
/// would notice, with their next command.
#[test]
fn an_acknowledgement_on_a_full_disk_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::serving(directory.path());
    let server = program.variable("ORDER_SERVICE_PLANTED_FAULT", "ack-failed-commit").start();
    let full = Attached::without_space(&server, &[]);
    let mut client = server.connect();
    let mut claims = Vec::new();
    wait_until("the disk is full", || {
        let order_id = format!("full-{}", claims.len());
        let claim = Claim { acknowledged: 1, attempted: 1, ..Claim::new(order_id, 1) };
        assert_eq!(claim.send(0, &mut client).unwrap().status, 201);
        let read = server.get(&format!("/orders/{}/events", claim.order_id));
        claims.push(claim);
        (read.status == 404).then_some(())
    });
    drop(full);
    let breach = check(&server, 0, &claims);
    assert!(breach.as_ref().is_err_and(|breach| breach.contains("has 0 events in the store")), "{breach:?}");
}

/// SQLite has another name for it when its index of the write-ahead log finds no space, after the write-ahead log itself
/// found some. It grows every 4,096 pages, and so seldom, unless a reader pins the write-ahead log.
#[test]
fn no_space_for_the_shared_memory_is_told_and_survived() {
    const NEARLY_4096_PAGES: u64 = 3_000 * 4_120;
    assert_survives_no_space((503, "outcome-unknown"), |server, directory| {
        let reader = rusqlite::Connection::open(directory.join("orders.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
        let length = || fs::metadata(directory.join("orders.db-wal")).unwrap().len();
        wait_until("the write-ahead log is long", || (length() > NEARLY_4096_PAGES).then_some(()));
        let mut full = Attached::without_space(server, &[directory.join("orders.db-shm")]);
        full.reader = Some(reader);
        full
    });
}

/// A small file system of the test's own, in a namespace of its own that ends with this.
struct SmallDisk {
    holder: Child,
    directory: PathBuf,
}

const MOUNT: &str = r#"mount -t tmpfs -o size=16m small "$0" && echo mounted && exec cat"#;

impl SmallDisk {
    /// `None` where the system does not let its users mount anything.
    fn mount(at: &Path) -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(at);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut disk = Self { holder: unshare.spawn().ok()?, directory: at.to_owned() };
        let mut line = String::new();
        BufReader::new(disk.holder.stdout.take()?).read_line(&mut line).ok()?;
        (line == "mounted\n").then_some(disk)
    }

    /// A program that sees the disk.
    fn program(&self, arguments: &[&str]) -> Program {
        let holder = self.holder.id().to_string();
        let enter = ["nsenter", "--target", &holder, "--user", "--mount", "--preserve-credentials"];
        Program::started_by(&enter, arguments).argument("--data-dir", self.directory.join("data"))
    }

    /// A file on the disk, as it is seen from outside.
    fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.directory.strip_prefix("/").unwrap()).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_small_disk_that_fills_up_is_told_and_survived() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path()) else {
        eprintln!(
            "this system lets nobody mount: the tests in which writes find no space stand for this one"
        );
        return;
    };
    let serve = || disk.program(&["serve", "--listen", "127.0.0.1:0"]).start();
    let server = serve();
    let filler = disk.file("filler");
    let fill = || {
        let mut file = File::create(&filler).unwrap();
        // To the last byte.
        let error = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    };
    let claims = assert_survives(&server, FULL, fill, |()| fs::remove_file(&filler).unwrap());
    server.kill();
    let server = serve();
    check(&server, 0, &claims).unwrap();
    server.stop();
    let verified = disk.program(&["verify"]).run();
    assert_eq!(verified.status, Some(0), "{verified:?}");
    fill();
    let refused = disk.program(&["serve", "--listen", "127.0.0.1:0"]).run();
    assert!(refused.stderr[0].contains("orders.db: its disk is full"), "{refused:?}");
}
