//! Stores with millions of orders: loaded once through HTTP, copied for each use.
//!
//! Scenarios only ever get copies, so each begins on exactly this many orders, and a kept store stays as it was even
//! when its copy is killed in the middle of a write.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::build::Build;
use crate::load::{Group, Load};
use crate::order_ids::{OrderIds, PREPARED_KEYS_SEED, PREPARED_SEED};
use crate::request::Request;
use crate::server::Server;
use crate::shop_orders::ShopOrders;
use crate::work::{OneStep, Place};

/// The orders that a prepared store holds.
pub(crate) const PREPARED_IDS: OrderIds = OrderIds::RandomV4 { seed: PREPARED_SEED };
/// Progress is told after so many orders.
const ORDERS_PER_PORTION: u64 = 250_000;

/// A directory of prepared stores.
pub(crate) struct Prepared {
    root: PathBuf,
}

/// What a prepared store holds.
#[derive(Clone, Copy)]
pub(crate) enum Contents {
    /// This many orders, placed.
    Placed(u64),
    /// This many orders, each placed with an `Idempotency-Key`.
    PlacedWithKeys(u64),
    /// This many orders, each with the four events from placement to shipment, which lie far apart in the log: first all
    /// are placed, then all are paid, and so on.
    Shipped(u64),
    /// Orders as a shop has them.
    Shop(ShopOrders),
}

/// Stands beside a store that was loaded completely.
#[derive(Serialize, Deserialize)]
struct Loaded {
    peak_bytes: u64,
}

impl Prepared {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Copies a store into an empty directory, after loading it if it is not there.
    pub(crate) fn copy_to(&self, dir: &Path, contents: Contents, build: &Build) -> Result<()> {
        self.load_once(contents, build)?;
        copy_files(&self.root.join(contents.name()), dir).context("copy a prepared store")
    }

    /// The largest resident memory of the service while it took in this store, in bytes.
    pub(crate) fn peak_bytes(&self, contents: Contents, build: &Build) -> Result<u64> {
        Ok(self.load_once(contents, build)?.peak_bytes)
    }

    fn load_once(&self, contents: Contents, build: &Build) -> Result<Loaded> {
        let note = self.root.join(format!("{}.json", contents.name()));
        match fs::read(&note) {
            Ok(loaded) => serde_json::from_slice(&loaded).with_context(|| format!("read {}", note.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let loaded = self.load(contents, build)?;
                fs::write(&note, serde_json::to_vec(&loaded)?)?;
                Ok(loaded)
            }
            Err(error) => Err(error).with_context(|| format!("read {}", note.display())),
        }
    }

    fn load(&self, contents: Contents, build: &Build) -> Result<Loaded> {
        let store = self.root.join(contents.name());
        if store.exists() {
            // Without its note: a load that was cut short.
            fs::remove_dir_all(&store)?;
        }
        fs::create_dir_all(&store)?;
        let service = build.start(&store)?;
        let connections = build.connections();
        match contents {
            Contents::Placed(orders) => place_all(&service, orders, connections)?,
            Contents::PlacedWithKeys(orders) => {
                let keys = OrderIds::RandomV4 { seed: PREPARED_KEYS_SEED };
                place(&service, Place::with_keys(PREPARED_IDS, keys), orders, connections)?;
            }
            Contents::Shipped(orders) => {
                place_all(&service, orders, connections)?;
                ship_all(&service, orders, connections)?;
            }
            Contents::Shop(shop) => shop.load(&service, connections)?,
        }
        let peak_bytes = service.process().memory()?.peak_bytes;
        service.stop()?;
        Ok(Loaded { peak_bytes })
    }
}

impl Contents {
    fn name(self) -> String {
        match self {
            Self::Placed(orders) => format!("{orders}-orders"),
            Self::PlacedWithKeys(orders) => format!("{orders}-keyed-orders"),
            Self::Shipped(orders) => format!("{orders}-shipped-orders"),
            Self::Shop(shop) => format!("{}-shop-orders", shop.count()),
        }
    }
}

/// Places this many of the prepared orders on an empty store.
pub(crate) fn place_all(service: &Server, orders: u64, connections: usize) -> Result<()> {
    place(service, Place::new(PREPARED_IDS), orders, connections)
}

fn place(service: &Server, mut place: Place, orders: u64, connections: usize) -> Result<()> {
    let begin = Instant::now();
    let mut placed = 0;
    while placed < orders {
        let portion_begin = Instant::now();
        let portion = ORDERS_PER_PORTION.min(orders - placed);
        placed += portion;
        place.set_end(placed);
        let group = Group { connections, work: &mut place };
        Load::connect(service.address(), vec![group])?.run_to_end()?;
        let rate = portion as f64 / portion_begin.elapsed().as_secs_f64();
        eprintln!("loading: {placed} of {orders} random orders, {rate:.0} a second");
    }
    eprintln!("loaded {orders} orders in {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Leads this many of the prepared orders, which are placed, through the other three steps, one step after the other.
fn ship_all(service: &Server, orders: u64, connections: usize) -> Result<()> {
    let steps = [
        ("paid", Request::payment(PREPARED_IDS)),
        ("reserved", Request::reserve(PREPARED_IDS)),
        ("shipped", Request::ship(PREPARED_IDS)),
    ];
    for (done, request) in steps {
        let begin = Instant::now();
        let mut work = OneStep::new(PREPARED_IDS, request, orders);
        Load::connect(service.address(), vec![Group { connections, work: &mut work }])?.run_to_end()?;
        eprintln!(
            "loading: {orders} orders {done}, {:.0} a second",
            orders as f64 / begin.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Copies a directory's files and waits until they are on the disk, so that writing them back disturbs no measurement.
/// Sockets and locks of a server that is gone stay behind.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let copy = to.join(entry.file_name());
            fs::copy(entry.path(), &copy)?;
            fs::File::open(&copy)?.sync_all()?;
        }
    }
    Ok(())
}
