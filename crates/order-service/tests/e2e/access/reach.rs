//! Without rules only this machine reaches the service, unless it is told otherwise.

use crate::access::AccessFile;
use crate::server::Program;
use crate::start_up::{USAGE, assert_refused};

#[test]
fn without_rules_no_address_is_taken_that_other_machines_reach() {
    let directory = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        for (option, other) in [("--listen", "--operate-listen"), ("--operate-listen", "--listen")] {
            let serve = Program::new(["serve", "--store", "memory:"]).argument(option, address);
            let ended = serve.argument(other, "127.0.0.1:0").run();
            let fault = format!("{option}: other machines reach this address");
            assert_refused(&ended, USAGE, &[&fault]);
        }
    }
    let replica = Program::new(["replica", "--from", "nats://127.0.0.1:1", "--listen", "0.0.0.0:0"]);
    let ended = replica.argument("--store", "memory:").in_directory(directory.path()).run();
    assert_refused(&ended, USAGE, &["--open-access"]);
}

#[test]
fn with_rules_or_when_told_so_every_address_is_taken() {
    let on_every = || Program::new(["serve", "--store", "memory:", "--listen", "0.0.0.0:0"]);
    let open = on_every().argument("--open-access", "true").start();
    assert_eq!(open.get("/orders").status, 200);
    let file = AccessFile::new();
    file.add("checkout", "place", "");
    let guarded = on_every().argument("--access", file.path()).start();
    assert_eq!(guarded.get("/orders").status, 401);
    let both = on_every().argument("--access", file.path()).argument("--open-access", "true").run();
    assert_refused(&both, USAGE, &["--access and --open-access say opposite things"]);
}
