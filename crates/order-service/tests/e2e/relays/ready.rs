//! How a relay says it is, in `/ready` and in the log.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use crate::server::Server;

/// Nothing that a test waits for takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks: each is a request.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: String,
    pub(crate) position: u64,
    pub(crate) lag: u64,
    pub(crate) detail: String,
}

/// Looks again and again, with a bound.
#[track_caller]
pub(crate) fn patiently<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    patiently_or(what, || look().ok_or(""))
}

/// The same for a look that can say why it is not so yet.
#[track_caller]
pub(crate) fn patiently_or<T, E: Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(why) => assert!(Instant::now() < deadline, "gave up waiting until {what}: {why}"),
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// A broker that is away is no reason to send no traffic: the answer is always 200.
#[track_caller]
pub(crate) fn status(server: &Server, relay: &str) -> Status {
    let answer = server.get("/ready");
    assert_eq!(answer.status, 200, "{answer:?}");
    let ready = answer.json();
    let told = &ready["checks"]["relays"][relay];
    assert!(told.is_object(), "no {relay} in {ready}");
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| told[name].as_u64().unwrap();
    Status { state: text("state"), position: number("position"), lag: number("lag"), detail: text("detail") }
}

/// Waits until a relay says what is wanted.
#[track_caller]
pub(crate) fn wait_for(server: &Server, relay: &str, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    patiently_or(&format!("{relay} is {what}"), || {
        let now = status(server, relay);
        if wanted(&now) { Ok(now) } else { Err(Otherwise { now, server }) }
    })
}

struct Otherwise<'a> {
    now: Status,
    server: &'a Server,
}

impl Display for Otherwise<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{}", self.now, self.server.log())
    }
}

#[track_caller]
pub(crate) fn wait_for_state(server: &Server, relay: &str, state: &str) -> Status {
    wait_for(server, relay, state, |status| status.state == state)
}

/// What the log warns of about a relay.
pub(crate) fn warnings(server: &Server, relay: &str) -> Vec<String> {
    let relay = format!("\"{relay}\"");
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(&relay) && line.contains("\"WARN\""));
    lines.map(str::to_owned).collect()
}
