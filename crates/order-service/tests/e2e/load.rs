//! Clients at work: each takes order after order through the base workflow and writes down what it was told.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::http::{Answer, Client, post_under};
use crate::server::wait_until;

const WRITERS: usize = 8;

/// A command of the workflow, which is the order's event of the same number.
pub(crate) struct Step {
    pub(crate) event_type: &'static str,
    /// The order's status afterwards.
    pub(crate) status: &'static str,
    path: &'static str,
    /// The client's own id in the event's data.
    pub(crate) id_field: &'static str,
}

pub(crate) const STEPS: [Step; 4] = [
    Step { event_type: "order.placed.v1", status: "placed", path: "", id_field: "customer_id" },
    Step {
        event_type: "order.payment_authorized.v1",
        status: "payment_authorized",
        path: "/payment",
        id_field: "payment_id",
    },
    Step {
        event_type: "order.inventory_reserved.v1",
        status: "inventory_reserved",
        path: "/reserve",
        id_field: "reservation_id",
    },
    Step { event_type: "order.shipped.v1", status: "shipped", path: "/ship", id_field: "tracking_number" },
];

/// What a client knows of an order that it worked on.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) order_id: String,
    pub(crate) total_cents: u64,
    /// Commands that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Commands that may have taken effect.
    pub(crate) attempted: usize,
    /// An answer that does not fit what was acknowledged before. The client ended at it.
    pub(crate) contradiction: Option<String>,
}

impl Claim {
    /// An order on which nothing has been done yet.
    pub(crate) fn new(order_id: String, total_cents: u64) -> Self {
        Self { order_id, total_cents, acknowledged: 0, attempted: 0, contradiction: None }
    }

    /// The client's own id in the step's command.
    pub(crate) fn own_id(&self, step: usize) -> String {
        format!("{}-{step}", self.order_id)
    }

    /// Whether the commands came with keys, which are the client's own ids: every second order's did.
    pub(crate) fn has_keys(&self) -> bool {
        self.order_id.ends_with(['1', '3', '5', '7', '9'])
    }

    pub(crate) fn send(&self, step: usize, client: &mut Client) -> io::Result<Answer> {
        let (path, body) = self.request(step);
        if self.has_keys() {
            client.send(post_under(&self.own_id(step), &path, &body).as_bytes())?;
            return client.answer();
        }
        client.post(&path, &body)
    }

    fn contradicted(&mut self, step: usize, answer: &Answer) -> Finish {
        let ((path, body), status, text) = (self.request(step), answer.status, answer.text());
        self.contradiction = Some(format!("{path} with {body} was answered {status}: {text}"));
        Finish::Contradicted
    }

    fn request(&self, step: usize) -> (String, String) {
        let (order_id, own_id) = (&self.order_id, self.own_id(step));
        let body = match step {
            0 => format!(
                r#"{{"order_id":"{order_id}","customer_id":"{own_id}","items":[{{"SKU":"sku","Quantity":1,"UnitPriceCents":{}}}]}}"#,
                self.total_cents
            ),
            1 => format!(r#"{{"payment_id":"{own_id}"}}"#),
            2 => format!(r#"{{"reservation_id":"{own_id}"}}"#),
            _ => format!(r#"{{"tracking_number":"{own_id}","carrier":"UPS"}}"#),
        };
        let path =
            if step == 0 { "/orders".to_owned() } else { format!("/orders/{order_id}{}", STEPS[step].path) };
        (path, body)
    }
}

/// Why a client ended.
#[derive(Debug)]
pub(crate) enum Finish {
    /// It was asked to.
    Stopped,
    /// The server announced that it closes the connection.
    Told,
    /// The connection broke.
    Broken(io::Error),
    /// An answer did not fit what was acknowledged before; the claim says which.
    Contradicted,
}

/// How far the clients are, all together.
#[derive(Default)]
pub(crate) struct Progress {
    acknowledged: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
    pause: AtomicBool,
    pausing: AtomicUsize,
}

impl Progress {
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Answers of the 5xx kind.
    #[cfg(feature = "full-tests")]
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Does something while no client waits for an answer.
    #[cfg(feature = "full-tests")]
    pub(crate) fn in_a_pause(&self, act: impl FnOnce()) {
        self.pause.store(true, Ordering::Relaxed);
        wait_until("every client pauses", || (self.pausing.load(Ordering::Relaxed) == WRITERS).then_some(()));
        act();
        self.pause.store(false, Ordering::Relaxed);
    }

    fn stops(&self) -> bool {
        if self.pause.load(Ordering::Relaxed) {
            self.pausing.fetch_add(1, Ordering::Relaxed);
            let over = || !self.pause.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed);
            wait_until("the pause is over", || over().then_some(()));
            self.pausing.fetch_sub(1, Ordering::Relaxed);
        }
        self.stop.load(Ordering::Relaxed)
    }
}

/// Lets the clients end also when the test panics in between.
struct StopOnDrop<'a>(&'a Progress);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Keeps the server under load while `during` runs. Order ids begin with `name`.
pub(crate) fn under_load(port: u16, name: &str, during: impl FnOnce(&Progress)) -> (Vec<Claim>, Vec<Finish>) {
    under_watched_load(port, name, &|_| {}, during)
}

/// The same, and whichever client hears an acknowledgement calls `heard` at once, with how many there have been.
pub(crate) fn under_watched_load(
    port: u16,
    name: &str,
    heard: &(dyn Fn(u64) + Sync),
    during: impl FnOnce(&Progress),
) -> (Vec<Claim>, Vec<Finish>) {
    let progress = Progress::default();
    // A server that is killed at a chosen call may be gone before all have come.
    let clients: Vec<_> = (0..WRITERS).map_while(|_| Client::connect(port).ok()).collect();
    std::thread::scope(|scope| {
        let writers: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| {
                let writer = Writer { client, name: format!("{name}-{number}"), progress: &progress, heard };
                scope.spawn(move || writer.run())
            })
            .collect();
        let stop = StopOnDrop(&progress);
        during(&progress);
        drop(stop);
        let outcomes = writers.into_iter().map(|writer| writer.join().unwrap());
        let (claims, finishes): (Vec<_>, Vec<_>) = outcomes.unzip();
        (claims.concat(), finishes)
    })
}

struct Writer<'a> {
    client: Client,
    name: String,
    progress: &'a Progress,
    heard: &'a (dyn Fn(u64) + Sync),
}

impl Writer<'_> {
    fn run(mut self) -> (Vec<Claim>, Finish) {
        let mut claims = Vec::new();
        loop {
            let number = claims.len();
            let order_id = format!("{}-{number}", self.name);
            let mut claim = Claim::new(order_id, 1 + number as u64 % 1000);
            let finish = (0..STEPS.len()).find_map(|step| self.take(&mut claim, step).err());
            claims.push(claim);
            if let Some(finish) = finish {
                return (claims, finish);
            }
        }
    }

    /// One step of an order, sent again as long as the server says that it cannot now.
    fn take(&mut self, claim: &mut Claim, step: usize) -> Result<(), Finish> {
        loop {
            if self.progress.stops() {
                return Err(Finish::Stopped);
            }
            let before = claim.attempted;
            claim.attempted = step + 1;
            let answer = claim.send(step, &mut self.client).map_err(Finish::Broken)?;
            match answer.status {
                201 | 202 => {
                    let before = self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
                    (self.heard)(before + 1);
                    if answer.version() != Some(step as u64 + 1) {
                        return Err(claim.contradicted(step, &answer));
                    }
                    claim.acknowledged = step + 1;
                }
                500.. => {
                    self.progress.refused.fetch_add(1, Ordering::Relaxed);
                    if nothing_happened(&answer) {
                        claim.attempted = before;
                    }
                }
                _ => return Err(claim.contradicted(step, &answer)),
            }
            if answer.closes() {
                return Err(Finish::Told);
            }
            if claim.acknowledged > step {
                return Ok(());
            }
        }
    }
}

/// Refusals that promise so.
fn nothing_happened(answer: &Answer) -> bool {
    ["storage-full", "overloaded"].contains(&answer.code().as_str())
}
