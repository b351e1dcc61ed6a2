//! Pages that are larger than anybody wants to hold: they are decided before their first byte, and made as they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::response::Response;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use order_api::ApiConfig;
use order_application::{
    Append, AppendError, DuePage, DueQuery, EventLog, ListQuery, OrderPage, OrderSummary, OrderViews,
    PageLimit, Position, Receipt, ReceiptAge, ReceiptKey, Receipts, RecordedEvent, StoreError, Trimmed,
    Version,
};
use order_domain::{OrderId, Status};
use order_store::MemoryStore;

use crate::harness::Harness;

/// Beyond this nothing of an answer stands in memory at once, but for one order or event.
const MOST_AT_ONCE: usize = 300 * 1024;
const ORDERS: usize = 100;
const NOTES: usize = 40;

/// Orders of more than 10 KB each.
async fn place_large_orders(h: &Harness) {
    for number in 0..ORDERS {
        let notes: Vec<String> =
            (0..NOTES).map(|note| format!(r#""note-{note:03}":"{}""#, "n".repeat(300))).collect();
        let body = format!(
            r#"{{"order_id":"o-{number:03}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}],"metadata":{{{}}}}}"#,
            notes.join(",")
        );
        assert_eq!(h.post("/orders", &body).await.status, 201);
    }
}

async fn start(h: &Harness, path: &str) -> Response {
    let response = h.start(Method::GET, path, &[], Body::empty()).await;
    assert_eq!(response.status(), 200);
    response
}

async fn pieces(response: Response) -> Vec<Bytes> {
    let pieces = response.into_body().into_data_stream().map(|piece| piece.expect("it does not break off"));
    pieces.collect().await
}

#[tokio::test]
async fn a_large_page_of_full_views_comes_in_pieces_and_is_what_each_order_is() {
    let h = Harness::new();
    place_large_orders(&h).await;
    let pieces = pieces(start(&h, "/orders?view=full").await).await;
    assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() < MOST_AT_ONCE), "{}", pieces.len());
    let mut each = Vec::new();
    for number in 0..ORDERS {
        each.push(h.get(&format!("/orders/o-{number:03}?view=full")).await.text().to_owned());
    }
    assert_eq!(pieces.concat(), format!("[{}]", each.join(",")).into_bytes());
}

#[tokio::test]
async fn a_large_page_is_decided_before_its_first_byte_and_made_as_it_is_taken() {
    let config = ApiConfig { max_page_bytes: 1024 * 1024, ..ApiConfig::default() };
    let h = Harness::with_config(config);
    place_large_orders(&h).await;
    let response = start(&h, "/orders?view=full").await;
    let link = response.headers()["link"].to_str().unwrap().to_owned();
    // What happens after the head was decided is shown, since it was not made yet.
    h.post("/orders/o-060/hold", "{}").await;
    let page = pieces(response).await.concat();
    let page: Vec<serde_json::Value> = serde_json::from_slice(&page).unwrap();
    assert_eq!(page[60]["OnHold"], true);
    // The next page begins where this one ends.
    let next = link.trim_start_matches('<').split_once('>').unwrap().0;
    let rest = h.get(next).await.json();
    let ids = page.iter().chain(rest.as_array().unwrap()).map(|order| order["OrderID"].as_str().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), (0..ORDERS).map(|n| format!("o-{n:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_order_that_leaves_its_list_meanwhile_is_left_out() {
    let h = Harness::new();
    place_large_orders(&h).await;
    let response = start(&h, "/orders?view=full&on_hold=false").await;
    h.post("/orders/o-060/hold", "{}").await;
    let page: Vec<serde_json::Value> = serde_json::from_slice(&pieces(response).await.concat()).unwrap();
    assert_eq!(page.len(), ORDERS - 1);
    assert!(page.iter().all(|order| order["OrderID"] != "o-060"));
}

#[tokio::test]
async fn a_large_page_of_events_comes_in_pieces_and_is_what_each_event_is() {
    let h = Harness::new();
    place_large_orders(&h).await;
    let response = start(&h, "/events").await;
    let link = response.headers()["link"].to_str().unwrap().to_owned();
    let pieces = pieces(response).await;
    assert!(pieces.len() > 4 && pieces.iter().all(|piece| piece.len() < MOST_AT_ONCE), "{}", pieces.len());
    let mut page: Vec<serde_json::Value> = serde_json::from_slice(&pieces.concat()).unwrap();
    let next = link.trim_start_matches('<').split_once('>').unwrap().0;
    page.extend(h.get(next).await.json().as_array().unwrap().clone());
    for (index, event) in page.iter().enumerate() {
        assert_eq!(h.get(&format!("/events?after={index}&limit=1")).await.json()[0], *event);
    }
    assert_eq!(page.len(), ORDERS);
}

#[tokio::test]
async fn an_error_in_the_middle_breaks_the_answer_off() {
    let store = Arc::new(BreakableStore::default());
    let h = Harness::with_store(ApiConfig::default(), |bus| {
        let _ = store.inner.set(MemoryStore::new(bus));
        store.clone()
    });
    place_large_orders(&h).await;
    let response = start(&h, "/orders?view=full").await;
    store.is_broken.store(true, Ordering::Relaxed);
    assert!(response.into_body().collect().await.is_err(), "a shorter page looks whole");
    // Before the first byte there is a refusal.
    h.get("/orders?view=full").await.refuses(503, "store-unavailable");
}

#[tokio::test]
async fn pages_that_nobody_takes_are_bounded_together() {
    let config = ApiConfig { max_open_page_bytes: 2 * 1024 * 1024, ..ApiConfig::default() };
    let h = Harness::with_config(config);
    place_large_orders(&h).await;
    for path in [
        "/orders?limit=1000",
        "/orders?limit=1000&view=full",
        "/events?limit=1000",
        "/orders/o-001/events?limit=1000",
    ] {
        assert_bounded(&h, path, 10).await;
    }
}

/// Orders whose event, and whose full view, are more than half a mebibyte.
async fn place_huge_orders(h: &Harness) {
    let longest = "\u{1f4e6}".repeat(120);
    let items: Vec<String> = (0..1_000)
        .map(|line| format!(r#"{{"SKU":"{longest}{line}","Quantity":1,"UnitPriceCents":1}}"#))
        .collect();
    let items = items.join(",");
    for order in ["h-1", "h-2"] {
        let body = format!(r#"{{"order_id":"{order}","customer_id":"c","items":[{items}]}}"#);
        assert_eq!(h.post("/orders", &body).await.status, 201);
    }
}

#[tokio::test]
async fn pages_of_a_few_huge_events_or_views_count_for_what_they_are() {
    let config = ApiConfig { max_open_page_bytes: 8 * 1024 * 1024, ..ApiConfig::default() };
    let h = Harness::with_config(config);
    place_huge_orders(&h).await;
    for (path, most) in [
        ("/orders?limit=2&view=full", 16),
        ("/events?limit=1", 16),
        ("/events?limit=2", 8),
        ("/orders/h-1/events?limit=1", 16),
    ] {
        assert_bounded(&h, path, most).await;
    }
    // Small pages are not in the way of themselves.
    let mut small = Vec::new();
    for _ in 0..100 {
        small.push(start(&h, "/events?after=2&limit=5").await);
        small.push(start(&h, "/orders?limit=5&on_hold=true&view=full").await);
    }
}

#[tokio::test]
async fn small_pages_find_room_beside_large_ones_however_little_is_left() {
    let config = ApiConfig { max_open_page_bytes: 8 * 1024 * 1024, ..ApiConfig::default() };
    let h = Harness::with_config(config);
    place_huge_orders(&h).await;
    assert_eq!(h.post("/orders", SMALL).await.status, 201);
    let small = ["/events?after=2", "/orders/small/events", "/orders?view=full&limit=10&customer_id=small"];
    let mut untaken = Vec::new();
    // What is left is less than the largest page takes, and in the end less than an event.
    for large in ["/events?limit=2", "/events?limit=1"] {
        loop {
            let response = h.start(Method::GET, large, &[], Body::empty()).await;
            if response.status() != 200 {
                break;
            }
            untaken.push(response);
        }
        for path in small {
            assert_eq!(h.get(path).await.status, 200, "{path} beside {}", untaken.len());
        }
    }
}

/// An order like most.
const SMALL: &str =
    r#"{"order_id":"small","customer_id":"small","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;

/// Asks for pages that are not taken until one is refused, which is as many as that or fewer, and comes when the others are gone.
async fn assert_bounded(h: &Harness, path: &str, most: usize) {
    let mut untaken = Vec::new();
    let refused = loop {
        let response = h.start(Method::GET, path, &[], Body::empty()).await;
        if response.status() != 200 {
            break response;
        }
        untaken.push(response);
        assert!(untaken.len() < most, "{path} has no bound");
    };
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert!(!untaken.is_empty(), "{path}");
    h.get(path).await.refuses(503, "overloaded");
    drop(untaken);
    assert_eq!(h.get(path).await.status, 200, "{path}");
}

/// A memory store that can be had to answer nothing more about single orders.
#[derive(Default)]
struct BreakableStore {
    inner: std::sync::OnceLock<MemoryStore>,
    is_broken: AtomicBool,
}

impl BreakableStore {
    fn inner(&self) -> &MemoryStore {
        self.inner.get().unwrap()
    }

    fn unless_broken(&self) -> Result<&MemoryStore, StoreError> {
        let broken = self.is_broken.load(Ordering::Relaxed);
        if broken { Err(StoreError::Unavailable("it is broken".to_owned())) } else { Ok(self.inner()) }
    }
}

#[async_trait]
impl EventLog for BreakableStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.inner().append(append).await
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.unless_broken()?.read_stream(order_id, after, limit).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner().read_log(after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.inner().end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.unless_broken()?.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner().check().await
    }
}

#[async_trait]
impl OrderViews for BreakableStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.inner().one(order_id).await
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        self.inner().due(query).await
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        self.inner().count(status, at_most).await
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.inner().many(query).await
    }
}

#[async_trait]
impl Receipts for BreakableStore {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.inner().find_receipt(key).await
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.inner().keep_receipt(receipt).await
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        self.inner().trim_receipts(age, limit).await
    }
}
