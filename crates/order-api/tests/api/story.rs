//! The story in `docs/ORDER-LIFECYCLE.md`, request by request: what the page says is answered is answered.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use axum::body::Body;
use axum::http::Method;
use serde_json::value::RawValue;

use crate::harness::Harness;

/// Carries out one line of the page.
async fn curl(h: &Harness, line: &str) -> String {
    if let Some(request) = line.strip_suffix(" | grep -i ^link") {
        let path = request.strip_prefix("curl -i 'localhost:8080").and_then(|path| path.strip_suffix('\''));
        let answer = h.get(path.expect("a request for headers, too")).await;
        return format!("link: {}", answer.header("link").expect("a page that is not the last"));
    }
    let (request, filter) = match line.split_once(" | jq -c ") {
        Some((request, filter)) => (request, Some(filter.trim_matches('\''))),
        None => (line, None),
    };
    let (target, body) = match request.split_once(" --json '") {
        Some((target, body)) => (target, Some(body.strip_suffix('\'').expect("a closing quote"))),
        None => (request, None),
    };
    let target = target.strip_prefix("curl ").expect("a request");
    let (target, posts_nothing) = match target.strip_suffix(" -X POST") {
        Some(target) => (target, true),
        None => (target, false),
    };
    let path = target.trim_matches('\'').strip_prefix("localhost:8080").expect("the service's address");
    let answer = match body {
        Some(body) => h.post(path, body).await,
        None if posts_nothing => h.send(Method::POST, path, &[], Body::empty()).await,
        None => h.get(path).await,
    };
    match filter {
        Some(filter) => picked(answer.text(), filter),
        None => answer.text().to_owned(),
    }
}

/// The filters of `jq` that the page uses: `map(.name)`, `.name`, and `{name, name}`.
fn picked(answer: &str, filter: &str) -> String {
    if let Some(name) = filter.strip_prefix("map(.").and_then(|name| name.strip_suffix(')')) {
        let answer: Vec<HashMap<String, &RawValue>> = serde_json::from_str(answer).unwrap();
        let values: Vec<_> = answer.iter().map(|element| element[name].get()).collect();
        return format!("[{}]", values.join(","));
    }
    let answer: HashMap<String, &RawValue> = serde_json::from_str(answer).unwrap();
    if let Some(name) = filter.strip_prefix('.') {
        return answer[name].to_string();
    }
    let names = filter.trim_matches(['{', '}']).split(", ");
    let members: Vec<_> = names.map(|name| format!("\"{name}\":{}", answer[name])).collect();
    format!("{{{}}}", members.join(","))
}

#[tokio::test]
async fn the_story_in_the_docs_is_what_happens() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ORDER-LIFECYCLE.md");
    let old = fs::read_to_string(&file).unwrap();
    let h = Harness::new();
    let (mut new, mut in_console, mut requests) = (String::new(), false, 0);
    for line in old.lines() {
        if line.starts_with("```") {
            in_console = line == "```console";
        } else if let Some(request) = line.strip_prefix("$ ") {
            requests += 1;
            let answer = curl(&h, request).await;
            new.push_str(&format!("$ {request}\n{answer}\n"));
            continue;
        } else if in_console {
            // What was answered when the page was written.
            continue;
        }
        new.push_str(line);
        new.push('\n');
    }
    assert!(requests >= 30, "{requests}");
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, new).unwrap();
    } else {
        assert_eq!(old, new, "write the answers anew with UPDATE=1");
    }
}
