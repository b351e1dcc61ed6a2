//! Lists over random histories: all pages together are what reading every order by itself, and choosing, comes to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use order_application::{Sort, SortKey, rfc3339};
use order_domain::{Status, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::harness::{Harness, START_SECONDS};
use crate::list_orders::next;

/// Names that all kinds of things share, so that one kind is never taken for another; some have to be escaped.
const NAMES: [&str; 4] = ["a", "b&c=%41", "d+e f", "ü;#?"];
const HISTORIES: u32 = 16;
/// What leads an order to its end, the last step first.
const FORWARD: [&str; 6] = ["receive", "returns", "deliver", "ship", "reserve", "payment"];

/// Something that is done. Most of it is accepted.
#[derive(Debug, Clone)]
enum Move {
    Place {
        customer: &'static str,
        lines: Vec<(&'static str, u8)>,
    },
    /// One of the actions that are allowed, any or what leads on, with one of the names where it needs one.
    Act {
        order: Index,
        action: Index,
        name: &'static str,
        forward: bool,
        whole: bool,
    },
    Wait {
        seconds: u8,
    },
}

#[derive(Debug, Clone)]
enum Filter {
    Statuses(Vec<&'static str>),
    Name(&'static str, &'static str),
    /// A time, and the offset from UTC in which it is said.
    Time {
        name: &'static str,
        micros: i64,
        offset_hours: i64,
    },
    Total {
        name: &'static str,
        cents: i64,
    },
    OnHold(bool),
}

#[derive(Debug, Clone)]
struct Question {
    filters: BTreeMap<&'static str, Filter>,
    sort: Sort,
    limit: usize,
    is_full: bool,
}

/// An order, read by itself.
struct Known {
    full: Value,
    basic_text: String,
    full_text: String,
    /// Its events, with their positions.
    events: Vec<Value>,
}

fn history() -> impl Strategy<Value = Vec<Move>> {
    let line = (select(&NAMES[..]), 0..3_u8);
    let place = (select(&NAMES[..]), prop::collection::vec(line, 1..3));
    let act = (any::<Index>(), any::<Index>(), select(&NAMES[..]), any::<bool>(), any::<bool>());
    let one = prop_oneof![
        2 => place.prop_map(|(customer, lines)| Move::Place { customer, lines }),
        9 => act.prop_map(|(order, action, name, forward, whole)| Move::Act { order, action, name, forward, whole }),
        2 => (1..4_u8).prop_map(|seconds| Move::Wait { seconds }),
    ];
    prop::collection::vec(one, 60..120)
}

fn filter() -> impl Strategy<Value = Filter> {
    let statuses = select(Status::ALL.map(Status::as_str).to_vec());
    let names = select(&["customer_id", "tracking_number", "payment_id", "sku"][..]);
    let times = select(&["placed_after", "placed_before", "updated_after", "updated_before"][..]);
    // Around the times of events, which come in whole seconds.
    let micros =
        (0..30_i64, -1..=1_i64).prop_map(|(second, micro)| (START_SECONDS + second) * 1_000_000 + micro);
    let totals = (select(&["min_total_cents", "max_total_cents"][..]), 0..5_i64);
    prop_oneof![
        1 => prop::collection::vec(statuses, 1..4).prop_map(Filter::Statuses),
        4 => (names, select(&NAMES[..])).prop_map(|(name, value)| Filter::Name(name, value)),
        2 => (times, micros, -2..3_i64).prop_map(|(name, micros, offset_hours)| Filter::Time {
            name,
            micros,
            offset_hours
        }),
        1 => totals.prop_map(|(name, cents)| Filter::Total { name, cents }),
        1 => any::<bool>().prop_map(Filter::OnHold),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let filters = prop::collection::vec(filter(), 0..4);
    let limits = prop_oneof![Just(1_usize), 2..6_usize, Just(100)];
    (filters, select(&Sort::ALL[..]), limits, any::<bool>()).prop_map(|(filters, sort, limit, is_full)| {
        let filters = filters.into_iter().map(|filter| (filter.parameter(), filter)).collect();
        Question { filters, sort, limit, is_full }
    })
}

impl Filter {
    fn parameter(&self) -> &'static str {
        match self {
            Self::Statuses(_) => "status",
            Self::OnHold(_) => "on_hold",
            Self::Name(name, _) | Self::Time { name, .. } | Self::Total { name, .. } => name,
        }
    }

    fn values(&self) -> Vec<String> {
        match self {
            Self::Statuses(statuses) => statuses.iter().map(|&status| status.to_owned()).collect(),
            Self::Name(_, value) => vec![(*value).to_owned()],
            Self::Time { micros, offset_hours, .. } => {
                let local = rfc3339::format(Timestamp::from_micros(micros + offset_hours * 3_600_000_000));
                let sign = if *offset_hours < 0 { '-' } else { '+' };
                vec![local.replace('Z', &format!("{sign}{:02}:00", offset_hours.abs()))]
            }
            Self::Total { cents, .. } => vec![cents.to_string()],
            Self::OnHold(on_hold) => vec![on_hold.to_string()],
        }
    }

    fn accepts(&self, order: &Known) -> bool {
        let full = &order.full;
        let has = |list: &str, member: &str, value: &str| {
            full[list].as_array().unwrap().iter().any(|part| part[member] == value)
        };
        match self {
            Self::Statuses(statuses) => statuses.iter().any(|status| full["Status"] == *status),
            Self::Name("customer_id", value) => full["CustomerID"] == *value,
            Self::Name("sku", value) => has("Lines", "SKU", value),
            Self::Name("tracking_number", value) => has("Shipments", "TrackingNumber", value),
            Self::Name("payment_id", value) => has("Payments", "PaymentID", value) || order.declined(value),
            Self::Name(other, _) => panic!("{other}"),
            Self::Time { name, micros, .. } => {
                let (member, is_after) = match name.split_once('_').unwrap() {
                    ("placed", end) => ("PlacedAt", end == "after"),
                    (_, end) => ("UpdatedAt", end == "after"),
                };
                // Texts of one length in UTC.
                let (time, end) =
                    (full[member].as_str().unwrap(), rfc3339::format(Timestamp::from_micros(*micros)));
                if is_after { time > end.as_str() } else { time < end.as_str() }
            }
            Self::Total { name: "min_total_cents", cents } => full["TotalCents"].as_i64().unwrap() >= *cents,
            Self::Total { cents, .. } => full["TotalCents"].as_i64().unwrap() <= *cents,
            Self::OnHold(on_hold) => full["OnHold"] == *on_hold,
        }
    }
}

impl Known {
    async fn read(h: &Harness, id: &str) -> Self {
        let full = h.get(&format!("/orders/{id}?view=full")).await;
        let basic = h.get(&format!("/orders/{id}")).await;
        let events = h.get(&format!("/orders/{id}/events?limit=1000")).await;
        Self {
            full: full.json(),
            basic_text: basic.text().to_owned(),
            full_text: full.text().to_owned(),
            events: events.json().as_array().unwrap().clone(),
        }
    }

    /// Full views do not have payments that were declined.
    fn declined(&self, payment: &str) -> bool {
        let declined = |event: &&Value| event["type"] == "order.payment_declined.v1";
        self.events.iter().filter(declined).any(|event| event["data"]["payment_id"] == payment)
    }

    fn place(&self, by: SortKey) -> u64 {
        let event = match by {
            SortKey::Placed => self.events.first(),
            SortKey::Updated => self.events.last(),
        };
        event.unwrap()["position"].as_str().unwrap().parse().unwrap()
    }
}

impl Question {
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("sort", self.sort.as_str()).append_pair("limit", &self.limit.to_string());
        for (name, filter) in &self.filters {
            query.extend_pairs(filter.values().iter().map(|value| (name, value)));
        }
        query.append_pair("view", if self.is_full { "full" } else { "basic" });
        format!("/orders?{}", query.finish())
    }

    fn expected(&self, orders: &[Known]) -> Vec<String> {
        let is_found = |order: &&Known| self.filters.values().all(|filter| filter.accepts(order));
        let mut found: Vec<_> = orders.iter().filter(is_found).collect();
        found.sort_by_key(|order| order.place(self.sort.by));
        if self.sort.descending {
            found.reverse();
        }
        let text = |order: &Known| if self.is_full { &order.full_text } else { &order.basic_text }.clone();
        found.into_iter().map(text).collect()
    }

    /// All pages, as texts without their brackets.
    async fn pages(&self, h: &Harness) -> Vec<String> {
        let (mut path, mut pages) = (self.path(), Vec::new());
        loop {
            let page = h.get(&path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text());
            assert!(page.json().as_array().unwrap().len() <= self.limit, "{path}");
            pages.push(page.text().trim_start_matches('[').trim_end_matches(']').to_owned());
            let Some(following) = next(&page) else { break };
            path = following;
        }
        pages.retain(|page| !page.is_empty());
        pages
    }
}

/// Carries out what is done, and says which orders there are.
async fn carry_out(h: &Harness, moves: &[Move]) -> Vec<String> {
    let mut ids = Vec::new();
    for (number, step) in moves.iter().enumerate() {
        match step {
            Move::Wait { seconds } => h.advance(Duration::from_secs((*seconds).into())),
            Move::Place { customer, lines } => {
                let line =
                    |(sku, price): &(&str, u8)| json!({"SKU": sku, "Quantity": 1, "UnitPriceCents": price});
                let id = format!("o{number}");
                let items: Vec<_> = lines.iter().map(line).collect();
                let body = json!({"order_id": id, "customer_id": customer, "items": items});
                assert_eq!(h.post("/orders", &body.to_string()).await.status, 201);
                ids.push(id);
            }
            Move::Act { .. } if ids.is_empty() => {}
            Move::Act { order, action, name, forward, whole } => {
                let id = order.get(&ids);
                let actions = h.get(&format!("/orders/{id}/actions")).await.json();
                let allowed = actions.as_array().unwrap().iter().filter(|action| action["allowed"] == true);
                let allowed: Vec<_> = allowed.map(|action| action["action"].as_str().unwrap()).collect();
                let onward = FORWARD.iter().find(|action| *forward && allowed.contains(action));
                let any = || allowed.get(action.index(allowed.len().max(1)));
                let Some(action) = onward.or_else(any) else { continue };
                let (path, body) = request(action, name, number, *whole);
                let answer = h.post(&format!("/orders/{id}/{path}"), &body.to_string()).await;
                assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text());
            }
        }
    }
    ids
}

/// A request for an action: by a name that other orders' parts may have, too, or by one of its own.
fn request(action: &str, name: &str, number: usize, whole: bool) -> (String, Value) {
    let first = json!([{"Line": 1, "Quantity": 1}]);
    let body = match action {
        "payment" => json!({"payment_id": name}),
        "decline" => json!({"payment_id": name, "reason": "no funds"}),
        "void" => json!({"void_id": number.to_string(), "payment_id": name}),
        "reserve" => json!({"reservation_id": number.to_string()}),
        "ship" if whole => json!({"tracking_number": name, "carrier": "UPS"}),
        "ship" => json!({"tracking_number": name, "carrier": "UPS", "items": first}),
        "deliver" | "lost" => json!({"tracking_number": name}),
        "capture" => json!({"capture_id": number.to_string()}),
        "refund" => json!({"refund_id": number.to_string(), "amount_cents": 1}),
        "cancel" if !whole => json!({"cancellation_id": number.to_string(), "items": first}),
        "returns" => json!({"return_id": "r", "items": first}),
        _ => json!({}),
    };
    let path = match action {
        "decline" | "void" => format!("payment/{action}"),
        "release" => "reserve/release".to_owned(),
        "receive" | "reject" => format!("returns/r/{action}"),
        other => other.to_owned(),
    };
    (path, body)
}

#[test]
fn the_pages_of_any_list_are_what_reading_every_order_comes_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let config = ProptestConfig {
        cases: HISTORIES,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Default::default()
    };
    let found_by = RefCell::new(BTreeMap::<&str, usize>::new());
    let cases = (history(), prop::collection::vec(question(), 30));
    let outcome = TestRunner::new(config).run(&cases, |(moves, questions)| {
        runtime.block_on(async {
            let h = Harness::new();
            let mut orders = Vec::new();
            for id in carry_out(&h, &moves).await {
                orders.push(Known::read(&h, &id).await);
            }
            for question in questions {
                let expected = question.expected(&orders);
                prop_assert_eq!(
                    question.pages(&h).await.join(","),
                    expected.join(","),
                    "{}",
                    question.path()
                );
                if !expected.is_empty() && expected.len() < orders.len() {
                    for name in question.filters.keys() {
                        *found_by.borrow_mut().entry(name).or_default() += 1;
                    }
                }
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let found_by = found_by.into_inner();
    assert_eq!(found_by.len(), 12, "every filter told some orders from others: {found_by:?}");
}
