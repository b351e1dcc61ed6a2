//! Another process that has a store open: this very program, which its environment tells what to do.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, io};

use order_application::{Append, Checkpoint, EventLog, Position, ReplicaStore, ViewsProgress};
use order_store::SqliteStore;
#[cfg(feature = "full-tests")]
use rustix::process::{Pid, Signal, kill_process};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::sqlite::SMALL_BATCHES;

const JOB: &str = "ORDER_STORE_TEST_JOB";
const STORE: &str = "ORDER_STORE_TEST_STORE";
/// What it says after each acknowledgement, with the position.
const REACHED: &str = "reached ";

pub(crate) struct OtherProcess {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl OtherProcess {
    /// A server that takes orders without end: an event, and then three in one append.
    pub(crate) fn serves(path: &Path) -> Self {
        Self::start("serve", path)
    }

    /// A replica that is brought twenty orders of two events in each call, without end.
    pub(crate) fn replicates(path: &Path) -> Self {
        Self::start("replicate", path)
    }

    fn start(job: &str, path: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "other_process::it_does_what_it_is_told", "--nocapture"])
            .envs([(JOB, job.as_ref()), (STORE, path.as_os_str())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// Waits until it has been told that this position is durable. Answers with the one it has reached.
    pub(crate) fn wait_for(&mut self, position: u64) -> u64 {
        loop {
            let line = self.said.next().expect("it has ended").unwrap();
            let reached = line.split_once(REACHED).map_or(0, |(_, reached)| reached.parse().unwrap());
            if reached >= position {
                return reached;
            }
        }
    }

    /// Stops it where it is, with all that it has open.
    #[cfg(feature = "full-tests")]
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Kills it, and answers with the last position that it was told.
    pub(crate) fn kill(mut self) -> u64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let reached = |line: io::Result<String>| line.unwrap().split_once(REACHED)?.1.parse().ok();
        (&mut self.said).filter_map(reached).last().unwrap_or(0)
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the test run itself there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_it_is_told() {
    let (Ok(job), Some(path)) = (env::var(JOB), env::var_os(STORE)) else { return };
    match job.as_str() {
        "serve" => serve(path.as_ref()).await,
        "replicate" => replicate(path.as_ref()).await,
        other => panic!("no such job: {other}"),
    }
}

async fn serve(path: &Path) {
    let store = SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    let mut reached = store.end().await.unwrap();
    loop {
        let mut order = TestOrder::new(&format!("order-{reached}"));
        store.append(order.place()).await.unwrap();
        reached = store.append(order.pay(3)).await.unwrap();
        say(reached);
    }
}

async fn replicate(path: &Path) {
    let store = SqliteStore::open_replica(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    loop {
        let head = store.end().await.unwrap();
        let mut orders: Vec<_> = (0..20).map(|n| TestOrder::new(&format!("order-{head}-{n}"))).collect();
        let mut appends: Vec<Append> = orders.iter_mut().map(TestOrder::place).collect();
        appends.extend(orders.iter_mut().map(|order| order.pay(1)));
        let position = head.plus(40);
        let checkpoint = Checkpoint { position, evidence: Some(position.to_string().into()) };
        store.replicate(appends, "replica", checkpoint).await.unwrap();
        say(position);
    }
}

fn say(position: Position) {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{REACHED}{position}").and_then(|()| out.flush()).unwrap();
}
