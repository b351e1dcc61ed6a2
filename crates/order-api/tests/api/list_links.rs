//! The link from a page of a list to the next: it carries the whole question, and its cursor fits no other.

use crate::harness::{Answer, Harness};
use crate::list_orders::{follow, ids, next};

/// Orders `o0`, `o1`, … of one customer, paid with one payment each of the same name, and shipped under one number.
async fn shipped(customer: &str, payment: &str, tracking: &str, sku: &str, count: usize) -> Harness {
    let h = Harness::new();
    for id in (0..count).map(|number| format!("o{number}")) {
        let items = serde_json::json!([{"SKU": sku, "Quantity": 1, "UnitPriceCents": 5}]);
        for (path, body, status) in [
            ("/orders", serde_json::json!({"order_id": id, "customer_id": customer, "items": items}), 201),
            (&format!("/orders/{id}/payment"), serde_json::json!({"payment_id": payment}), 202),
            (&format!("/orders/{id}/reserve"), serde_json::json!({"reservation_id": "r"}), 202),
            (
                &format!("/orders/{id}/ship"),
                serde_json::json!({"tracking_number": tracking, "carrier": "UPS"}),
                202,
            ),
        ] {
            assert_eq!(h.post(path, &body.to_string()).await.status, status, "{path}");
        }
    }
    h
}

/// What the parameters of a path say, without its cursor, in any order.
fn question(path: &str) -> Vec<(String, String)> {
    let query = path.strip_prefix("/orders?").expect("a relative link");
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.retain(|(name, _)| name != "cursor");
    pairs.sort();
    pairs
}

#[tokio::test]
async fn a_link_repeats_the_whole_question_and_works_as_it_stands() {
    let h = shipped("cust", "pay", "1Z", "pen", 3).await;
    for parameter in [
        "customer_id=cust",
        "payment_id=pay",
        "tracking_number=1Z",
        "sku=pen",
        "status=shipped",
        "on_hold=false",
        "min_total_cents=0",
        "max_total_cents=9007199254740991",
        "placed_after=0000-01-01T00:00:00.000000Z",
        "placed_before=9999-12-30T22:00:00.999999Z",
        "updated_after=2025-12-05T06:48:47.999999Z",
        "updated_before=2025-12-05T06:48:48.000001Z",
        "sort=-placed",
        "sort=updated",
        "sort=-updated",
        "view=full",
    ] {
        let first = format!("/orders?limit=1&{parameter}");
        let link = next(&h.get(&first).await).expect(parameter);
        assert_eq!(question(&link), question(&first));
        let (mut found, pages) = follow(&h, &first).await;
        found.sort();
        assert_eq!((found.join(" ").as_str(), pages), ("o0 o1 o2", 3), "{parameter}");
    }
    let all = "/orders?limit=2&view=full&status=returned&status=shipped&customer_id=cust&payment_id=pay\
               &tracking_number=1Z&sku=pen&placed_after=2025-12-05T06:48:47.000000Z\
               &placed_before=2025-12-05T06:48:49.000000Z&updated_after=2025-12-05T06:48:47.000000Z\
               &updated_before=2025-12-05T06:48:49.000000Z&min_total_cents=5&max_total_cents=5&on_hold=false\
               &sort=-updated";
    let link = next(&h.get(all).await).unwrap();
    assert_eq!(question(&link), question(all));
    assert_eq!(ids(&h.get(&link).await), ["o0"]);
}

#[tokio::test]
async fn a_link_escapes_whatever_names_have_in_them() {
    let customer = "a&b=c%41+d #ü\u{1f58b} \"<>;";
    let (payment, tracking, sku) = ("50%+1", "1Z/9?ä", "état & encre");
    let h = shipped(customer, payment, tracking, sku, 2).await;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", "1").append_pair("customer_id", customer).append_pair("payment_id", payment);
    query.append_pair("tracking_number", tracking).append_pair("sku", sku);
    let first = format!("/orders?{}", query.finish());
    let page = h.get(&first).await;
    assert_eq!(ids(&page), ["o0"]);
    let link = next(&page).unwrap();
    assert!(link.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)), "{link}");
    assert_eq!(question(&link), question(&first));
    assert_eq!(ids(&h.get(&link).await), ["o1"]);
}

/// Each time has more than one writing; the link has one that means the same.
#[tokio::test]
async fn a_link_keeps_the_times_that_were_asked_for() {
    let h = shipped("cust", "pay", "1Z", "pen", 2).await;
    for (name, asked, kept) in [
        ("placed_after", "2025-12-05T07:00:00%2B01:00", "2025-12-05T06:00:00.000000Z"),
        ("placed_after", "2025-12-05T07:00:00+01:00", "2025-12-05T06:00:00.000000Z"),
        ("updated_before", "2025-12-05t23:00:00.5-02:30", "2025-12-06T01:30:00.500000Z"),
        // The ends of what RFC 3339 can say are said in UTC.
        ("placed_after", "0000-01-01T00:00:00%2B23:59", "0000-01-01T00:00:00.000000Z"),
        ("placed_before", "9999-12-31T23:59:59-23:59", "9999-12-30T22:00:00.999999Z"),
    ] {
        let first = format!("/orders?limit=1&{name}={asked}");
        let page = h.get(&first).await;
        let link = next(&page).expect(asked);
        assert!(question(&link).contains(&(name.to_owned(), kept.to_owned())), "{link}");
        assert_eq!(
            (ids(&page), ids(&h.get(&link).await)),
            (vec!["o0".to_owned()], vec!["o1".to_owned()]),
            "{asked}"
        );
    }
}

const QUESTION: &str =
    "limit=1&status=shipped&status=returned&customer_id=cust&placed_after=2025-12-05T06:00:00Z&sort=-placed";

async fn with_cursor() -> (Harness, String) {
    let h = shipped("cust", "pay", "1Z", "pen", 3).await;
    let link = next(&h.get(&format!("/orders?{QUESTION}")).await).unwrap();
    let cursor = link.rsplit_once("cursor=").unwrap().1.to_owned();
    (h, cursor)
}

#[tokio::test]
async fn a_cursor_fits_the_same_question_in_other_words() {
    let (h, cursor) = with_cursor().await;
    for same in [
        QUESTION,
        "sort=-placed&placed_after=2025-12-05T06:00:00Z&customer_id=cust&status=returned&status=shipped&limit=1",
        "status=shipped&status=returned&status=shipped&customer_id=cust&placed_after=2025-12-05T06:00:00Z&sort=-placed",
        "status=shipped&status=returned&customer_id=cust&placed_after=2025-12-05T05:30:00-00:30&sort=-placed&limit=1000",
        "status=shipped&status=returned&customer_id=%63ust&placed_after=2025-12-05T06:00:00.000Z&sort=-placed&view=full",
    ] {
        let page = h.get(&format!("/orders?cursor={cursor}&{same}")).await;
        assert_eq!(page.status, 200, "{same}: {}", page.text());
        assert_eq!(ids(&page)[0], "o1", "{same}");
    }
    // The sort that holds when none is named may be named.
    let first = h.get("/orders?limit=1").await;
    let page = h.get(&format!("{}&sort=placed", next(&first).unwrap())).await;
    assert_eq!(ids(&page), ["o1"]);
}

#[track_caller]
fn is_a_cursor_of_another_list(answer: Answer) {
    answer.is(422, concat!(
        r#"{"type":"/problems/validation-failed","title":"The request has faults","status":422,"#,
        r#""detail":"The request has one fault; see errors.","instance":"/orders","code":"validation-failed","#,
        r#""errors":[{"parameter":"cursor","detail":"must be taken from the link of an earlier page of the same "#,
        r#"list, with the same filters and sort"}]}"#,
    ));
}

#[tokio::test]
async fn a_cursor_fits_no_other_question() {
    let (h, cursor) = with_cursor().await;
    for (part, other) in [
        ("&sort=-placed", ""),
        ("&sort=-placed", "&sort=placed"),
        ("&sort=-placed", "&sort=-updated"),
        ("status=shipped&", ""),
        ("status=shipped&status=returned&", ""),
        ("status=shipped&", "status=shipped&status=placed&"),
        ("status=shipped&", "status=placed&"),
        ("&customer_id=cust", ""),
        ("customer_id=cust", "customer_id=cust2"),
        ("customer_id=cust", "payment_id=cust"),
        ("06:00:00Z", "06:00:00.000001Z"),
        ("placed_after", "placed_before"),
        ("placed_after", "updated_after"),
        ("limit=1", "on_hold=false"),
        ("limit=1", "on_hold=true"),
        ("limit=1", "sku=pen"),
        ("limit=1", "min_total_cents=0"),
        ("limit=1", "max_total_cents=5"),
    ] {
        assert!(QUESTION.contains(part));
        let question = QUESTION.replace(part, other);
        is_a_cursor_of_another_list(h.get(&format!("/orders?cursor={cursor}&{question}")).await);
    }
    is_a_cursor_of_another_list(h.get(&format!("/orders?cursor={cursor}")).await);
    let of_all = next(&h.get("/orders?limit=1&sort=-placed").await).unwrap();
    is_a_cursor_of_another_list(h.get(&format!("{of_all}&customer_id=cust")).await);
}

#[tokio::test]
async fn a_cursor_from_beyond_the_end_of_the_log_was_never_handed_out() {
    let h = shipped("cust", "pay", "1Z", "pen", 2).await;
    // Eight events.
    for (sort, mark) in [("placed", "p"), ("-placed", "-p"), ("updated", "u"), ("-updated", "-u")] {
        assert_eq!(h.get(&format!("/orders?sort={sort}&cursor={mark}8")).await.status, 200, "{sort}");
        for beyond in ["9", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff"] {
            let path = format!("/orders?sort={sort}&cursor={mark}{beyond}");
            is_a_cursor_of_another_list(h.get(&path).await);
        }
    }
}

#[tokio::test]
async fn every_fault_of_a_question_is_told_at_once() {
    let h = Harness::with_order().await;
    let answer = h.get(
        "/orders?limit=0&view=all&sort=status&status=open&customer_id=&placed_after=2026-03-30T00:00:00\
         &min_total_cents=-1&on_hold=yes&cursor=x&colour=red",
    );
    answer.await.is(422, concat!(
        r#"{"type":"/problems/validation-failed","title":"The request has faults","status":422,"#,
        r#""detail":"The request has 10 faults; see errors.","instance":"/orders","code":"validation-failed","errors":["#,
        r#"{"parameter":"limit","detail":"must be a whole number from 1 to 1000"},"#,
        r#"{"parameter":"view","detail":"must be basic or full"},"#,
        r#"{"parameter":"customer_id","detail":"must not be empty"},"#,
        r#"{"parameter":"status","detail":"must be one of placed, payment_authorized, inventory_reserved, "#,
        r#"partially_shipped, shipped, partially_delivered, delivered, returned, completed, cancelled"},"#,
        r#"{"parameter":"placed_after","detail":"must be a time of RFC 3339 with an offset, such as 2026-03-30T00:00:00+02:00"},"#,
        r#"{"parameter":"min_total_cents","detail":"must be a whole number from 0 to 9007199254740991"},"#,
        r#"{"parameter":"on_hold","detail":"must be true or false"},"#,
        r#"{"parameter":"sort","detail":"must be one of placed, -placed, updated, -updated"},"#,
        r#"{"parameter":"cursor","detail":"must be taken from the link of an earlier page of the same list, with the same filters and sort"},"#,
        r#"{"parameter":"colour","detail":"is not a parameter of this resource"}]}"#,
    ));
}

#[tokio::test]
async fn a_good_cursor_is_not_blamed_for_another_fault() {
    let h = Harness::with_order().await;
    h.get("/orders?status=typo&cursor=p4.ab12cd34").await.has_faults(&["status"]);
    h.get("/orders?status=typo&cursor=4").await.has_faults(&["status", "cursor"]);
}

#[tokio::test]
async fn each_parameter_takes_only_what_it_can_mean() {
    let h = Harness::with_order().await;
    let long = "x".repeat(129);
    let bad: [(&str, &[&str]); 14] = [
        ("status", &["", "Placed", "open", "placed,shipped", "placed%20", "%00"]),
        ("sort", &["", "Placed", "+placed", "--placed", "status", "-"]),
        ("view", &["", "Full"]),
        ("customer_id", &["", "%20x", "x%20", "a%00b", "%0A", "%E2%80%8B", &long]),
        ("payment_id", &["", "+x", &long]),
        ("tracking_number", &["", "%09", &long]),
        ("sku", &["", "%C2%A0", &long]),
        ("placed_after", &["", "2026-03-30", "2026-03-30T00:00:00", "1764917328", "now"]),
        ("placed_before", &["", "2026-03-30T00:00Z", "2026-02-30T00:00:00Z"]),
        ("updated_after", &["", "2026-03-30T00:00:00%2B0200", "2026-03-30T24:00:00Z"]),
        ("updated_before", &["", "2026-03-30%2000:00:00Z", "2026-03-30T00:00:00%2B25:00"]),
        ("min_total_cents", &["", "-1", "1.0", "1e3", "%2B1", "9007199254740992", "18446744073709551616"]),
        ("max_total_cents", &["", "-0", "x", "9223372036854775808"]),
        ("on_hold", &["", "True", "1", "yes"]),
    ];
    for (name, values) in bad {
        for value in values {
            h.get(&format!("/orders?{name}={value}")).await.has_faults(&[name]);
        }
        let other = name.to_uppercase();
        h.get(&format!("/orders?{other}=x")).await.has_faults(&[&other]);
    }
    for (name, value) in [
        ("sort", "placed"),
        ("view", "full"),
        ("customer_id", "c"),
        ("payment_id", "p"),
        ("tracking_number", "t"),
        ("sku", "s"),
        ("placed_after", "2026-03-30T00:00:00Z"),
        ("updated_before", "2026-03-30T00:00:00Z"),
        ("min_total_cents", "1"),
        ("on_hold", "true"),
    ] {
        h.get(&format!("/orders?{name}={value}&{name}={value}")).await.has_faults(&[name]);
    }
    h.get("/orders?status=placed&status=x&status=y").await.has_faults(&["status"]);
}
