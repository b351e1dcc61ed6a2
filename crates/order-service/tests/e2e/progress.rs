//! What a long command shows on a terminal while it is at work.

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::export::fill;
use crate::server::Program;

/// Enough that a check tells how far it is: it does so every 4,096 events.
const ORDERS: usize = 3_000;

/// A terminal: what is written there, and where.
fn terminal() -> (File, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen, size).unwrap();
    let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(path).unwrap();
    (screen.into(), terminal)
}

/// All that a command shows until its end.
fn shown_by(program: Program) -> String {
    let (mut screen, terminal) = terminal();
    let reading = std::thread::spawn(move || {
        let (mut shown, mut piece) = (Vec::new(), [0; 4_096]);
        // The other end is gone: an error on Linux, the end elsewhere.
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            shown.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    let ended = program.with_errors_to(terminal).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    reading.join().unwrap()
}

#[test]
fn a_check_shows_its_phases_by_name_and_how_much_is_done_and_promises_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..ORDERS);
    server.stop();
    let phases_of_check = ["reading the store", "checking events", "checking orders", " of 4,500 ("];
    for (command, phases) in [("verify", &phases_of_check[..]), ("rebuild", &["reading the log"])] {
        let shown = shown_by(Program::new([command]).argument("--data-dir", directory.path()));
        for phase in phases {
            assert!(shown.contains(phase), "{command} does not say {phase:?}: {shown:?}");
        }
        assert!(!shown.contains("left") && !shown.contains('%'), "{command}: {shown:?}");
    }
}
