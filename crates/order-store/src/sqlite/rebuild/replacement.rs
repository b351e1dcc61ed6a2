//! Complete views, for the view writer to go on with.

use std::ops::ControlFlow;
use std::path::Path;

use fastbloom::BloomFilter;
use order_application::Position;

use crate::sqlite::SqliteLimits;
use crate::sqlite::rebuild::catch_up::{self, CatchUpOptions};
use crate::sqlite::rebuild::folding::OnUnreadable;
use crate::sqlite::views::Views;
use crate::sqlite_error::OpenError;

pub(crate) struct ReplacementViews {
    pub(crate) views: Views,
    /// Tells the orders that they have from those that are surely new.
    pub(super) orders: BloomFilter,
    /// What an event means that cannot be read.
    pub(super) unreadable: OnUnreadable,
}

impl ReplacementViews {
    /// Brings views that nobody reads up to a position, if they are not there. `progress` is told how far they are.
    pub(crate) fn bring_up(
        mut self,
        log_path: &Path,
        limits: &SqliteLimits,
        up_to: Position,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Self, OpenError> {
        let options = CatchUpOptions {
            up_to,
            known: Some(&mut self.orders),
            unreadable: self.unreadable,
            limits,
            progress: &mut |done, _| progress(done),
        };
        let mut caught_up = catch_up::run(log_path, self.views, options)?;
        caught_up.flush()?;
        Ok(Self { views: caught_up.views, ..self })
    }
}
