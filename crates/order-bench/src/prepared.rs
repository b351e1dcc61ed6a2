//! Stores with millions of random orders: loaded once through HTTP, copied for each use.
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
use crate::order_ids::{OrderIds, PREPARED_SEED};
use crate::server::Server;
use crate::work::Place;

/// The orders that a prepared store holds.
pub(crate) const PREPARED_IDS: OrderIds = OrderIds::RandomV4 { seed: PREPARED_SEED };
/// Progress is told after so many orders.
const ORDERS_PER_PORTION: u64 = 250_000;

/// A directory of prepared stores.
pub(crate) struct Prepared {
    root: PathBuf,
}

/// Stands beside a store that was loaded completely.
#[derive(Serialize, Deserialize)]
struct Loaded {
    orders: u64,
    peak_bytes: u64,
}

impl Prepared {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Copies the store of this many orders into an empty directory, after loading it if it is not there.
    pub(crate) fn copy_to(&self, dir: &Path, orders: u64, build: &Build) -> Result<()> {
        self.load_once(orders, build)?;
        copy_files(&self.store(orders), dir).context("copy a prepared store")
    }

    /// The largest resident memory of the service while it took in this many orders, in bytes.
    pub(crate) fn peak_bytes(&self, orders: u64, build: &Build) -> Result<u64> {
        Ok(self.load_once(orders, build)?.peak_bytes)
    }

    fn load_once(&self, orders: u64, build: &Build) -> Result<Loaded> {
        let note = self.root.join(format!("{orders}-orders.json"));
        match fs::read(&note) {
            Ok(loaded) => serde_json::from_slice(&loaded).with_context(|| format!("read {}", note.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let loaded = self.load(orders, build)?;
                fs::write(&note, serde_json::to_vec(&loaded)?)?;
                Ok(loaded)
            }
            Err(error) => Err(error).with_context(|| format!("read {}", note.display())),
        }
    }

    fn load(&self, orders: u64, build: &Build) -> Result<Loaded> {
        let store = self.store(orders);
        if store.exists() {
            // Without its note: a load that was cut short.
            fs::remove_dir_all(&store)?;
        }
        fs::create_dir_all(&store)?;
        let service = build.start(&store)?;
        place_all(&service, orders, build.connections())?;
        let peak_bytes = service.process().memory()?.peak_bytes;
        service.stop()?;
        Ok(Loaded { orders, peak_bytes })
    }

    fn store(&self, orders: u64) -> PathBuf {
        self.root.join(format!("{orders}-orders"))
    }
}

/// Places this many of the prepared orders on an empty store.
pub(crate) fn place_all(service: &Server, orders: u64, connections: usize) -> Result<()> {
    let begin = Instant::now();
    let mut place = Place::new(PREPARED_IDS);
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
