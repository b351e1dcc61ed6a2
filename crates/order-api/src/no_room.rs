//! Refusals for want of the memory that other clients' answers take.

use axum::response::Response;

use crate::problem::Problem;
use crate::problem::kind::OVERLOADED;

/// Goes with a refusal for want of memory that others' answers take: whoever serves connections ends some of those that have
/// left theirs lying for longest, so that there is room when the request is sent again.
#[derive(Debug, Clone, Copy)]
pub struct WantsRoom;

/// The answer in place of one that there is no room for until other clients have taken theirs, to a request for `path` that has
/// changed nothing. Whoever serves connections gives it.
pub fn no_room(path: &str) -> Response {
    let detail = "Other clients leave too many answers lying. Nothing happened; send the request again.";
    Problem::new(&OVERLOADED, detail).into_response(path)
}
