use axum::response::Response;

use crate::problem::Problem;
use crate::problem::kind::OVERLOADED;

/// The answer in place of one that there is no room for until other clients have taken theirs, to a request for `path` that has
/// changed nothing. Whoever serves connections gives it.
pub fn no_room(path: &str) -> Response {
    let detail = "Other clients leave too many answers lying. Nothing happened; send the request again.";
    Problem::new(&OVERLOADED, detail).into_response(path)
}
