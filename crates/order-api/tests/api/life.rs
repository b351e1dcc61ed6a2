//! An order on its way through life, and what every command to it has to keep: a dry run says what would happen, a
//! repetition is told as one, a refusal is whole, and only what is accepted is stored.

use serde_json::Value;

use crate::harness::{Answer, Harness};

/// A request to the order: its path after the order's own, and its body.
pub(crate) type Step = (&'static str, &'static str);

pub(crate) const PAID: Step = ("payment", r#"{"payment_id":"p"}"#);
pub(crate) const RESERVED: Step = ("reserve", r#"{"reservation_id":"r"}"#);
pub(crate) const SHIPPED: Step = ("ship", r#"{"tracking_number":"t","carrier":"UPS"}"#);
pub(crate) const DELIVERED: Step = ("deliver", r#"{"tracking_number":"t"}"#);
pub(crate) const CAPTURED: Step = ("capture", r#"{"capture_id":"c"}"#);
pub(crate) const ASKED_BACK: Step = ("returns", r#"{"return_id":"x","items":[{"Line":1,"Quantity":2}]}"#);
pub(crate) const HELD: Step = ("hold", "{}");
pub(crate) const COMPLETED: Step = ("complete", "{}");
pub(crate) const CANCELLED: Step = ("cancel", "{}");

/// Every command to an order that exists, with a body that names what the steps above made.
pub(crate) const COMMANDS: [Step; 17] = [
    ("payment", r#"{"payment_id":"p-2"}"#),
    ("payment/decline", r#"{"payment_id":"p-3","reason":"no funds"}"#),
    ("payment/void", r#"{"void_id":"v","payment_id":"p"}"#),
    ("reserve", r#"{"reservation_id":"r-2"}"#),
    ("reserve/release", r#"{"reservation_id":"r"}"#),
    ("ship", r#"{"tracking_number":"t-2","carrier":"UPS"}"#),
    ("deliver", r#"{"tracking_number":"t"}"#),
    ("lost", r#"{"tracking_number":"t"}"#),
    ("capture", r#"{"capture_id":"c-2"}"#),
    ("refund", r#"{"refund_id":"f","amount_cents":1}"#),
    ("cancel", "{}"),
    ("returns", r#"{"return_id":"x-2","items":[{"Line":1,"Quantity":1}]}"#),
    ("returns/x/receive", "{}"),
    ("returns/x/reject", "{}"),
    ("hold", "{}"),
    ("unhold", "{}"),
    ("complete", "{}"),
];

/// The status and the title of each kind of refusal that an order gives.
const KINDS: [(&str, u16, &str); 11] = [
    ("unknown-reference", 422, "The order has no such part"),
    ("return-not-found", 404, "No such return"),
    ("id-reused", 409, "The id is taken by other content"),
    ("invalid-transition", 409, "The order's state does not allow this"),
    ("order-on-hold", 409, "The order is on hold"),
    ("already-shipped", 409, "Nothing is left to cancel"),
    ("amount-exceeds-due", 409, "The amount is more than what is due"),
    ("amount-exceeds-authorized", 409, "The amount is more than what is authorised"),
    ("amount-exceeds-captured", 409, "The amount is more than what was captured"),
    ("quantity-exceeds-available", 409, "More units than available"),
    ("order-full", 409, "The order has no room for this"),
];

/// The order `o`.
pub(crate) struct Life(Harness);

/// Two `sku-1` at 15.00 and one `sku-2` at 20.00, 50.00 in all, and the steps that follow.
pub(crate) async fn order_after(steps: impl IntoIterator<Item = Step>) -> Life {
    let placement = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500},
        {"SKU":"sku-2","Quantity":1,"UnitPriceCents":2000}]}"#;
    order_placed_by(placement, steps).await
}

/// An order of another placement.
pub(crate) async fn order_placed_by(placement: &str, steps: impl IntoIterator<Item = Step>) -> Life {
    let life = Life(Harness::new());
    life.0.post("/orders", placement).await.is(201, r#"{"order_id":"o"}"#);
    for (path, body) in steps {
        life.accepts(path, body).await;
    }
    life
}

/// The steps by which the order's units arrive.
pub(crate) fn until_delivered() -> [Step; 4] {
    [PAID, RESERVED, SHIPPED, DELIVERED]
}

impl Life {
    pub(crate) fn harness(&self) -> &Harness {
        &self.0
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.0.post(&format!("/orders/o/{path}"), body).await
    }

    /// What a dry run answers.
    pub(crate) async fn tried(&self, path: &str, body: &str) -> Answer {
        self.post(&format!("{path}?dry_run=true"), body).await
    }

    pub(crate) async fn full_view(&self) -> Value {
        self.0.get("/orders/o?view=full").await.json()
    }

    pub(crate) async fn actions(&self) -> Value {
        self.0.get("/orders/o/actions").await.json()
    }

    /// Accepted, and exactly what the dry run before it said. Returns the types of its events.
    pub(crate) async fn accepts(&self, path: &str, body: &str) -> Vec<String> {
        let before = self.0.event_count().await;
        let tried = self.tried(path, body).await;
        assert_eq!(tried.status, 200, "{path} {body}: {}", tried.text());
        let tried = tried.json();
        assert_eq!(self.0.event_count().await, before, "a dry run stores nothing: {path}");
        let events = tried["events"].as_array().unwrap();
        let answer = self.post(path, body).await.is(202, r#"{"status":"accepted"}"#);
        assert_eq!(answer.header("idempotent-replayed"), None, "{path} {body}");
        assert_eq!(self.0.event_count().await, before + events.len(), "{path} {body}");
        let order = self.full_view().await;
        assert_eq!(order, tried["order"], "{path} {body}");
        answer.has("etag", &format!("\"{}\"", order["Version"]));
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Accepted as what was done already: nothing is stored, and the answer says so.
    pub(crate) async fn repeats(&self, path: &str, body: &str) {
        let (before, order) = (self.0.event_count().await, self.full_view().await);
        let tried = self.tried(path, body).await.json();
        assert_eq!((&tried["events"], &tried["order"]), (&Value::Array(vec![]), &order), "{path} {body}");
        let answer = self.post(path, body).await.is(202, r#"{"status":"accepted"}"#);
        answer.has("idempotent-replayed", "true").has("etag", &format!("\"{}\"", order["Version"]));
        assert_eq!((self.0.event_count().await, self.full_view().await), (before, order), "{path} {body}");
    }

    /// Refused by this problem, byte for byte and also as a dry run, and nothing is stored. A 409 says what the order is, as
    /// the questions for that do.
    pub(crate) async fn refuses(&self, path: &str, body: &str, code: &str, detail: &str) {
        let before = self.0.event_count().await;
        let (_, status, title) = KINDS.iter().find(|(known, ..)| *known == code).unwrap();
        let facts = if *status == 409 { self.facts().await } else { String::new() };
        let problem = format!(
            r#"{{"type":"/problems/{code}","title":"{title}","status":{status},"detail":"{detail}","instance":"/orders/o/{path}","code":"{code}"{facts}}}"#
        );
        self.post(path, body).await.is(*status, &problem).has("content-type", "application/problem+json");
        self.tried(path, body).await.is(*status, &problem);
        assert_eq!(self.0.event_count().await, before, "{path} {body}");
    }

    async fn facts(&self) -> String {
        let (order, actions) = (self.full_view().await, self.actions().await);
        let allowed = actions.as_array().unwrap().iter().filter(|action| action["allowed"] == true);
        let allowed: Vec<_> = allowed.map(|action| &action["action"]).collect();
        let allowed = serde_json::to_string(&allowed).unwrap();
        let (status, version) = (&order["Status"], &order["Version"]);
        format!(r#","order_status":{status},"version":{version},"allowed_actions":{allowed}"#)
    }

    /// Refused for what is wrong at these places of the body, also as a dry run, and nothing is stored.
    pub(crate) async fn finds_faults(&self, path: &str, body: &str, places: &[&str]) {
        let before = self.0.event_count().await;
        self.post(path, body).await.has_faults(places);
        self.tried(path, body).await.has_faults(places);
        assert_eq!(self.0.event_count().await, before, "{path} {body}");
    }
}
