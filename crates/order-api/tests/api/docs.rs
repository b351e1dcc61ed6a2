use std::collections::BTreeMap;
use std::path::Path;

use crate::harness::Harness;

/// The committed document says what the code does. `UPDATE=1 cargo test -p order-api openapi` writes it anew.
#[tokio::test]
async fn the_committed_openapi_document_is_the_codes() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let current = order_api::openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &current).unwrap();
    }
    let stale = std::fs::read_to_string(&committed).unwrap_or_default() != current;
    assert!(
        !stale,
        "docs/openapi.json is stale: run `UPDATE=1 cargo test -p order-api openapi` and commit it"
    );
    let h = Harness::new();
    h.get("/openapi.json").await.is(200, &current).has("content-type", "application/json");
}

#[tokio::test]
async fn the_openapi_document_resolves_its_references() {
    let document: serde_json::Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn whatever_may_be_damaged_may_also_be_a_newer_release_s() {
    let document: serde_json::Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    let operations = document["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    for operation in operations {
        let examples = &operation["responses"]["503"]["content"]["application/problem+json"]["examples"];
        let (corrupt, newer) = (&examples["corrupt"], &examples["newer-release-needed"]);
        assert_eq!(corrupt.is_null(), newer.is_null(), "{}", operation["operationId"]);
    }
}

#[tokio::test]
async fn the_example_of_each_problem_says_something_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    let operations = document["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    let responses = operations.flat_map(|operation| operation["responses"].as_object().unwrap().values());
    let mut codes = BTreeMap::new();
    for response in responses {
        let examples = response["content"]["application/problem+json"]["examples"].as_object();
        for (code, example) in examples.into_iter().flatten() {
            let detail = example["value"]["detail"].as_str().unwrap();
            assert_eq!(codes.entry(detail.to_owned()).or_insert(code), &code, "{detail}");
        }
    }
    assert!(codes.len() > 15, "{codes:?}");
}

#[tokio::test]
async fn the_docs_page_brings_its_own_scripts() {
    let h = Harness::new();
    h.get("/docs/nothing.js").await.refuses(404, "not-found");
    h.get("/docs").await.has("location", "/docs/");
    let page = h.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<title>Order service</title>"), "{}", page.text());
    for script in [
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
        "swagger-ui.css",
    ] {
        assert!(page.text().contains(script), "{script}");
        assert_eq!(h.get(&format!("/docs/{script}")).await.status, 200, "{script}");
    }
    assert!(!page.text().contains("//"), "nothing is fetched from elsewhere: {}", page.text());
    let settings = h.get("/docs/swagger-initializer.js").await;
    assert!(settings.text().contains(r#""url": "/openapi.json""#), "{}", settings.text());
    assert!(settings.text().contains(r#""validatorUrl": "none""#), "{}", settings.text());
}

#[tokio::test]
async fn the_root_leads_to_the_docs_page() {
    let h = Harness::new();
    h.get("/").await.is(303, "").has("location", "/docs/");
}

#[tokio::test]
async fn pages_take_nothing_from_elsewhere_and_are_framed_by_nobody() {
    let h = Harness::new();
    let policy = "default-src 'none'; script-src 'self'; \
                  style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
                  img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for path in ["/docs/", "/docs/swagger-ui.css", "/problems/", "/problems/internal", "/problems/style.css"]
    {
        let page =
            h.get(path).await.has("content-security-policy", policy).has("x-content-type-options", "nosniff");
        assert_eq!(page.status, 200);
        // What the policy forbids within a page.
        assert!(!page.text().contains("<style") && !page.text().contains("style=\""), "{path}");
        assert!(!page.text().contains("<script>") && !page.text().contains("onclick="), "{path}");
    }
}
