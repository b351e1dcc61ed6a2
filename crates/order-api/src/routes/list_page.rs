//! A page of a list: all that its head says is decided before its first byte, and a large body is made a piece at a time,
//! as the connection takes it.

use std::sync::Arc;
use std::vec;

use axum::body::{Body, Bytes};
use futures_util::stream;
use order_application::{
    ListedOrder, OrderFilter, OrderPage, Position, QueryError, StoreError, VersionedOrder,
};
use order_domain::OrderId;

use crate::asked_by::AskedBy;
use crate::refusal::Refusal;
use crate::shares::Share;
use crate::view::{View, write_basic, write_full};
use crate::{Api, ApiState, answer, no_room};

/// Full views up to so many bytes are kept from when the page was decided; those after them are made again when it is their
/// turn.
const KEPT_BYTES: usize = 256 * 1024;
/// Full views are sent in pieces of this many bytes, about.
const PIECE_BYTES: usize = 32 * 1024;
/// What an order of a page takes while its page is made and sent, about.
const ENTRY_BYTES: usize = 512;
/// The same of a full view, as far as it is kept. A page of larger ones counts for what they take once it is decided.
const FULL_VIEW_BYTES: usize = 4 * 1024;

/// A page that is decided.
pub(super) struct ListPage {
    pub(super) body: Body,
    /// Orders that could not be read.
    pub(super) left_out: usize,
    /// Where the next page begins.
    pub(super) next: Option<Position>,
}

/// How many bytes a page of at most so many orders sets aside.
pub(super) fn reserved_bytes(limit: usize, view: View) -> usize {
    let kept = match view {
        View::Basic => 0,
        View::Full => KEPT_BYTES.min(limit * FULL_VIEW_BYTES),
    };
    limit * ENTRY_BYTES + kept
}

/// Decides a page. Full views may be large, so it ends early once it is; and they are much work, so only a few pages of them
/// are decided at a time, and others get to run in between.
///
/// # Errors
/// When an order cannot be read for a reason that is not its own, or when all pages would take more than they may.
pub(super) async fn decide(
    api: &Api,
    asked_by: Option<&AskedBy>,
    page: OrderPage,
    filter: &OrderFilter,
    view: View,
    mut share: Share,
) -> Result<ListPage, Refusal> {
    let _turn = match view {
        View::Basic => None,
        View::Full => {
            let turn = api.full_pages.turn_of(asked_by, &api.config.shutdown).await;
            Some(turn.map_err(Refusal::no_turn)?)
        }
    };
    let OrderPage { orders, mut left_out, mut next } = page;
    let (count, mut shown) = (orders.len(), Shown::default());
    for (index, ListedOrder { summary, place, left_out_before }) in orders.into_iter().enumerate() {
        match view {
            View::Basic => shown.add(|out| write_basic(out, &summary), None),
            View::Full => shown.add_full(api, &summary.order_id, filter).await?,
        }
        if shown.bytes >= api.config.max_page_bytes && index + 1 < count {
            (left_out, next) = (left_out_before, Some(place));
            break;
        }
    }
    left_out += shown.gone;
    no_room::grow_page(&mut share, shown.most_held())?;
    Ok(ListPage { body: shown.into_body(Arc::clone(api), filter, share), left_out, next })
}

/// What became of an order since its list was read.
enum Found {
    Here(Arc<VersionedOrder>),
    /// It does not belong here any more.
    Elsewhere,
    /// It became so since; or the list is damaged, and has a row of no order.
    Unreadable,
}

async fn read(api: &ApiState, order_id: &OrderId, filter: &OrderFilter) -> Result<Found, QueryError> {
    match api.service.order(order_id).await {
        Err(
            QueryError::OrderNotFound
            | QueryError::Store(StoreError::Corrupt(_) | StoreError::NewerRelease(_)),
        ) => Ok(Found::Unreadable),
        Ok(order) if !filter.accepts(&order.summary(order_id)) => Ok(Found::Elsewhere),
        order => Ok(Found::Here(order?)),
    }
}

/// The orders of a page while it is decided.
#[derive(Default)]
struct Shown {
    /// Views that are kept, each with a comma before it.
    kept: Vec<u8>,
    /// Orders whose views are made again.
    later: Vec<OrderId>,
    /// The bytes of the largest of these.
    largest_later: usize,
    /// The bytes of all of them.
    bytes: usize,
    /// Orders that could be read a moment ago, and count as left out.
    gone: usize,
}

impl Shown {
    /// Adds an order's full view, if it is still there. Lets others run after each piece.
    async fn add_full(
        &mut self,
        api: &ApiState,
        order_id: &OrderId,
        filter: &OrderFilter,
    ) -> Result<(), QueryError> {
        let pieces_before = self.bytes / PIECE_BYTES;
        match read(api, order_id, filter).await? {
            Found::Here(order) => self.add(|out| write_full(out, order_id, &order), Some(order_id)),
            Found::Elsewhere => {}
            Found::Unreadable => self.gone += usize::from(filter.is_empty()),
        }
        if self.bytes / PIECE_BYTES > pieces_before {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Adds the view that `write` writes. One that can be made again later is only kept while there is room.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>), again: Option<&OrderId>) {
        let before = self.kept.len();
        self.kept.push(b',');
        write(&mut self.kept);
        let bytes = self.kept.len() - before;
        self.bytes += bytes;
        if let Some(order_id) = again
            && (!self.later.is_empty() || self.kept.len() > KEPT_BYTES)
        {
            self.kept.truncate(before);
            self.later.push(order_id.clone());
            self.largest_later = self.largest_later.max(bytes);
        }
    }

    /// What the page holds at most until it is taken: what is kept, or a piece that is made again.
    fn most_held(&self) -> usize {
        let piece = if self.later.is_empty() { 0 } else { PIECE_BYTES + self.largest_later };
        self.later.len() * ENTRY_BYTES + self.kept.len().max(piece)
    }

    fn into_body(self, api: Api, filter: &OrderFilter, share: Share) -> Body {
        let Self { mut kept, later, .. } = self;
        let is_begun = begin(&mut kept);
        if later.is_empty() {
            kept.push(b']');
        }
        // What one large order took is not kept.
        kept.shrink_to_fit();
        if later.is_empty() {
            return answer::counted(kept, share).into();
        }
        let orders = later.into_iter();
        let rest =
            Rest { api, filter: filter.clone(), kept, is_begun, orders, is_over: false, _share: share };
        Body::from_stream(stream::unfold(rest, Rest::next))
    }
}

/// Makes the first comma the beginning of an array. Whether there was one.
fn begin(views: &mut Vec<u8>) -> bool {
    match views.first_mut() {
        Some(comma) => *comma = b'[',
        None => views.push(b'['),
    }
    views.len() > 1
}

/// What is still to be sent of a page.
struct Rest {
    api: Api,
    filter: OrderFilter,
    kept: Vec<u8>,
    /// Whether an order has been written.
    is_begun: bool,
    orders: vec::IntoIter<OrderId>,
    is_over: bool,
    _share: Share,
}

impl Rest {
    /// The next piece. An error breaks the connection off: a shorter page would look whole.
    async fn next(mut self) -> Option<(Result<Bytes, QueryError>, Self)> {
        if self.is_over {
            return None;
        }
        let piece = self.piece().await;
        let broken = &self.api.broken_lists;
        if let Err(error) = &piece {
            if broken.is_news() {
                tracing::error!(%error, "a list broke off in the middle; others may as well");
            }
            self.is_over = true;
        } else if self.is_over
            && let Some(more) = broken.over()
        {
            tracing::info!(more, "a list came to its end; so many more had broken off before");
        }
        Some((piece.map(Bytes::from), self))
    }

    async fn piece(&mut self) -> Result<Vec<u8>, QueryError> {
        let mut piece = std::mem::take(&mut self.kept);
        while piece.len() < PIECE_BYTES {
            let Some(order_id) = self.orders.next() else {
                piece.push(b']');
                self.is_over = true;
                break;
            };
            let order = self.api.service.order(&order_id).await?;
            // It changed since the page was decided, and does not belong here any more.
            if !self.filter.accepts(&order.summary(&order_id)) {
                continue;
            }
            if std::mem::replace(&mut self.is_begun, true) {
                piece.push(b',');
            }
            write_full(&mut piece, &order_id, &order);
        }
        // Nobody counts what it has grown beyond that.
        piece.shrink_to_fit();
        Ok(piece)
    }
}
