use crate::harness::Harness;

#[tokio::test]
async fn every_problem_that_the_document_names_has_a_page() {
    let h = Harness::new();
    let index = h.get("/problems/").await.has("content-type", "text/html; charset=utf-8");
    let document = order_api::openapi_json();
    let codes: std::collections::BTreeSet<_> =
        document.split("\"/problems/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(codes.len() > 15, "{codes:?}");
    for code in codes {
        let page = h.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.text().contains(code));
        assert!(index.text().contains(code), "{code}");
    }
    let style = index.text().split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(h.get(style).await.has("content-type", "text/css").status, 200);
    h.get("/problems/nothing").await.refuses(404, "not-found");
}
