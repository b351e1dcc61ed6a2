//! `kill -9` while a new store is made: `verify` says of whatever is left that nothing is lost, and the next start makes the store.

use super::with_fault;
use crate::damage::verify;
use crate::server::Program;

const UNFINISHED: &str =
    "a first start that did not finish: there is nothing in the log yet, and nothing is lost";

#[test]
fn a_first_start_that_is_killed_at_any_write_or_sync_is_begun_again() {
    let mut unfinished = 0;
    let writes = (1..=34).step_by(3).map(|nth| ("pwrite64", nth));
    let syncs = (1..=6).map(|nth| ("fdatasync", nth));
    for (call, nth) in writes.chain(syncs) {
        let directory = tempfile::tempdir().unwrap();
        let fault = format!("{call}:signal=KILL:when={nth}");
        if let Ok(server) = with_fault(&fault, directory.path()).try_start() {
            server.kill();
        }
        let ended = verify(&directory);
        assert_eq!(ended.status, Some(0), "{fault}: {ended:?}");
        assert_eq!(ended.stdout.last().unwrap(), "all is well: 0 events of 0 orders checked", "{fault}");
        unfinished += usize::from(ended.stdout[0] == UNFINISHED);
        let server = Program::serving(directory.path()).start();
        assert_eq!(server.get("/orders").status, 200, "{fault}");
        server.kill();
        assert_eq!(verify(&directory).status, Some(0), "{fault}");
    }
    assert!(unfinished > 0, "none was killed before there were tables");
}
