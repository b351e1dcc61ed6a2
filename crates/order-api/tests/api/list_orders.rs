use order_api::ApiConfig;

use crate::harness::{Answer, Harness};

/// The orders of a page.
pub(crate) fn ids(answer: &Answer) -> Vec<String> {
    let page = answer.json();
    page.as_array().unwrap().iter().map(|order| order["OrderID"].as_str().unwrap().to_owned()).collect()
}

/// The path that the `Link` header leads to.
pub(crate) fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    Some(link.strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#).unwrap().to_owned())
}

/// The orders of a list from a page on, and how many pages there are. Links are followed as they stand.
pub(crate) async fn follow(h: &Harness, first: &str) -> (Vec<String>, usize) {
    let (mut path, mut seen, mut pages) = (first.to_owned(), Vec::new(), 0);
    loop {
        let page = h.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        seen.extend(ids(&page));
        pages += 1;
        let Some(following) = next(&page) else { return (seen, pages) };
        path = following;
    }
}

#[tokio::test]
async fn pages_follow_placement_order_and_end_without_a_link() {
    let h = Harness::new();
    for id in ["c", "a", "b", "e", "d"] {
        h.place(id).await;
    }
    let first = h.get("/orders?limit=2").await;
    assert_eq!(ids(&first), ["c", "a"]);
    assert_eq!(next(&first).unwrap(), "/orders?limit=2&cursor=p2");
    let second = h.get(&next(&first).unwrap()).await;
    assert_eq!(ids(&second), ["b", "e"]);
    let third = h.get(&next(&second).unwrap()).await;
    assert_eq!((ids(&third), next(&third)), (vec!["d".to_owned()], None));
    let exact = h.get("/orders?limit=5").await;
    assert_eq!((ids(&exact).len(), next(&exact)), (5, None));
}

#[tokio::test]
async fn a_cursor_stays_right_while_orders_are_added_and_changed() {
    let h = Harness::new();
    for id in 0..5 {
        h.place(&format!("o{id}")).await;
    }
    let (mut path, mut seen) = ("/orders?limit=2".to_owned(), Vec::new());
    for added in 5.. {
        let page = h.get(&path).await;
        seen.extend(ids(&page));
        let Some(following) = next(&page) else { break };
        path = following;
        h.place(&format!("o{added}")).await;
        h.post("/orders/o0/payment", &format!(r#"{{"payment_id":"p{added}","amount_cents":1}}"#)).await;
    }
    // One more after each of three pages.
    let expected: Vec<_> = (0..8).map(|id| format!("o{id}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_page_has_a_hundred_orders_unless_told_otherwise() {
    let h = Harness::new();
    for id in 0..101 {
        h.place(&format!("o{id}")).await;
    }
    let page = h.get("/orders").await;
    assert_eq!(ids(&page).len(), 100);
    assert_eq!(ids(&h.get(&next(&page).unwrap()).await), ["o100"]);
    assert_eq!(ids(&h.get("/orders?limit=1000").await).len(), 101);
}

#[tokio::test]
async fn full_views_are_the_same_as_one_by_one() {
    let h = Harness::new();
    h.place("a").await;
    h.place("b").await;
    let (a, b) = (h.get("/orders/a?view=full").await, h.get("/orders/b?view=full").await);
    h.get("/orders?view=full").await.is(200, &format!("[{},{}]", a.text(), b.text()));
    let first = h.get("/orders?view=full&limit=1").await;
    assert_eq!(next(&first).unwrap(), "/orders?limit=1&view=full&cursor=p1");
}

#[tokio::test]
async fn a_page_of_large_full_views_ends_early_and_loses_nothing() {
    let one_byte = ApiConfig { max_page_bytes: 1, ..ApiConfig::default() };
    let h = Harness::with_config(one_byte);
    for id in ["a", "b", "c"] {
        h.place(id).await;
    }
    let (seen, pages) = follow(&h, "/orders?view=full").await;
    assert_eq!((seen, pages), (["a", "b", "c"].map(str::to_owned).to_vec(), 3));
}

#[tokio::test]
async fn parameters_are_known_single_and_in_range() {
    let h = Harness::new();
    for limit in ["0", "1001", "-1", "+5", "1.0", "", "x", "99999999999999999999", "%ff"] {
        h.get(&format!("/orders?limit={limit}")).await.has_faults(&["limit"]);
    }
    h.get("/orders?limit=1&limit=2").await.has_faults(&["limit"]);
    h.get("/orders?customer_id=%ff&sku=%c3%28").await.has_faults(&["customer_id", "sku"]);
    for cursor in [
        "",
        "1",
        "p",
        "p-1",
        "p01",
        "q1",
        "%00",
        "p1",
        "p7fffffffffffffff",
        "p8000000000000000",
        "pffffffffffffffff",
        "p10000000000000000",
    ] {
        h.get(&format!("/orders?cursor={cursor}")).await.has_faults(&["cursor"]);
    }
    h.get("/orders?view=&Limit=1&page=2").await.has_faults(&["view", "Limit", "page"]);
    h.get("/orders?").await.is(200, "[]");
}
