//! Refusals for want of the memory that other clients' answers take.

use axum::response::Response;

use crate::ApiState;
use crate::asked_by::AskedBy;
use crate::problem::Problem;
use crate::problem::kind::OVERLOADED;
use crate::refusal::Refusal;
use crate::shares::{NotGiven, Share};

/// The answer in place of one that there is no room for until other clients have taken theirs, to a request for `path` that has
/// changed nothing. Whoever serves connections gives it.
pub fn no_room(path: &str) -> Response {
    let detail = "Other clients leave too many answers lying. Nothing happened; send the request again.";
    Problem::new(&OVERLOADED, detail).into_response(path)
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
    api.pages.reserve(asked_by, bytes).map_err(|why| {
        if let (NotGiven::Short, Some(asked_by)) = (why, asked_by) {
            asked_by.0.want_room();
        }
        Refusal::too_many_pages()
    })
}
