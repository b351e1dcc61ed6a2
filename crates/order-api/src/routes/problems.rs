//! The pages that a problem's `type` leads to, for people.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;

use crate::Api;
use crate::problem::kind::{self, ProblemKind};
use crate::refusal::Refusal;

const STYLE: &str = "body { font: 16px/1.5 sans-serif; max-width: 42em; margin: 2em auto; padding: 0 1em }\n";

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/problems/", get(index))
        .route("/problems/style.css", get(async || ([(header::CONTENT_TYPE, "text/css")], STYLE)))
        .route("/problems/{code}", get(page))
}

async fn index() -> Html<String> {
    let entry = |kind: &&ProblemKind| {
        format!(
            r#"<li><a href="/problems/{0}"><code>{0}</code></a> ({1}): {2}</li>"#,
            kind.code,
            kind.status.as_u16(),
            kind.title
        )
    };
    let entries: String = kind::ALL.iter().map(entry).collect();
    html("Problems", &format!("<ul>{entries}</ul>"))
}

async fn page(Path(code): Path<String>) -> Result<Html<String>, Refusal> {
    let kind = kind::ALL.iter().find(|kind| kind.code == code).ok_or_else(Refusal::not_found)?;
    let retry = kind.retry_after_seconds.map_or("", |_| "<p>Answers carry <code>Retry-After</code>.</p>");
    let body = format!(
        "<p><code>{}</code>, HTTP {}</p><p>{}</p>{retry}<p><a href=\"/problems/\">All problems</a></p>",
        kind.code, kind.status, kind.advice
    );
    Ok(html(kind.title, &body))
}

fn html(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"/problems/style.css\">\
         <h1>{title}</h1>{body}</html>\n"
    ))
}
