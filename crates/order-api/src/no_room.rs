//! Refusals for want of the memory that other clients' answers take.

use std::time::Duration;

use axum::response::Response;

use crate::ApiState;
use crate::asked_by::AskedBy;
use crate::problem::Problem;
use crate::problem::kind::OVERLOADED;
use crate::refusal::Refusal;
use crate::shares::Share;
use crate::turns::NoTurn;

/// Whoever has taken nothing of an answer for so long has come to a stand, and may lose it to others. What is taken is seen only when
/// the system's own buffers have room again: at 4 KiB/s that is every few seconds.
pub const LONG_UNTAKEN: Duration = Duration::from_secs(8);

/// The answer in place of one that there is no room for until other clients have taken theirs, to a request for `path` that has
/// changed nothing. Whoever serves connections gives it.
pub fn no_room(path: &str) -> Response {
    let detail = "Other clients leave too many answers lying. Nothing happened; send the request again.";
    Problem::new(&OVERLOADED, detail).into_response(path)
}

/// The answer in place of one that there is no room for, to a request for `path` that nobody has looked at, when the service stops.
/// Whoever serves connections gives it.
pub fn no_room_any_more(path: &str) -> Response {
    Refusal::no_turn(NoTurn::Over).0.into_response(path)
}

/// Sets bytes aside for a page, before it is read.
///
/// # Errors
/// When all pages would take more than they may. Then others have to let go of theirs, unless this client has much already.
pub(crate) fn reserve_page(
    api: &ApiState,
    asked_by: Option<&AskedBy>,
    bytes: usize,
) -> Result<Share, Refusal> {
    let reserved = api.pages.reserve_before_untaken(asked_by, bytes, LONG_UNTAKEN);
    reserved.map_err(|_| Refusal::too_many_pages())
}

/// Has a page count for what it turned out to take, where that is more than was set aside. If there is no room for it, it was read in
/// vain. To ask before whether there is room for the largest would spare that, and keep small pages from everybody whenever little is
/// left.
///
/// # Errors
/// As [`reserve_page`].
pub(crate) fn grow_page(share: &mut Share, bytes: usize) -> Result<(), Refusal> {
    share.could_grow_before_untaken(bytes, LONG_UNTAKEN).map_err(|_| Refusal::too_many_pages())?;
    share.grow_to(bytes, 0).map_err(|_| Refusal::too_many_pages())
}
