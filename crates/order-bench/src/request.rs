//! Ready-made requests: the bytes are laid out once, and only the order id, and a key with it, changes from one to the next.

use std::ops::Range;

use crate::order_ids::OrderIds;

/// A request's bytes with one place where the order id goes.
pub(crate) struct Request {
    bytes: Vec<u8>,
    id: Range<usize>,
    key: Option<Key>,
}

/// The place of an `Idempotency-Key`, and the keys that go there: the n-th with the n-th order.
struct Key {
    at: Range<usize>,
    keys: OrderIds,
}

/// Where the id goes while a request is laid out; cannot occur in one.
const ID: &str = "\u{1}";
const KEY_FIELD: &str = "idempotency-key: ";

impl Request {
    /// `POST /orders` with this many lines of 15.00 each.
    pub(crate) fn place(ids: OrderIds, lines: usize) -> Self {
        let items: Vec<String> = (1..=lines)
            .map(|line| format!(r#"{{"SKU":"sku-{line}","Quantity":2,"UnitPriceCents":1500}}"#))
            .collect();
        let body = format!(r#"{{"order_id":"{ID}","customer_id":"cust-123","items":[{}]}}"#, items.join(","));
        Self::post(ids, "/orders", &body)
    }

    /// Authorises the payment of an order of one line.
    pub(crate) fn payment(ids: OrderIds) -> Self {
        Self::post(ids, &format!("/orders/{ID}/payment"), r#"{"payment_id":"pay-001","amount_cents":3000}"#)
    }

    /// Reserves the whole order.
    pub(crate) fn reserve(ids: OrderIds) -> Self {
        Self::post(ids, &format!("/orders/{ID}/reserve"), r#"{"reservation_id":"res-001"}"#)
    }

    /// Ships the whole order.
    pub(crate) fn ship(ids: OrderIds) -> Self {
        Self::post(ids, &format!("/orders/{ID}/ship"), r#"{"tracking_number":"1Z999","carrier":"UPS"}"#)
    }

    /// `GET /orders/{id}`.
    pub(crate) fn get(ids: OrderIds) -> Self {
        Self::laid_out(ids, &get(&format!("/orders/{ID}")))
    }

    /// The same request with an `Idempotency-Key`, another one for each order.
    pub(crate) fn with_key(mut self, keys: OrderIds) -> Self {
        let field = format!("{KEY_FIELD}{}\r\n", "0".repeat(keys.id_bytes()));
        let begin = self.insert_field(&field) + KEY_FIELD.len();
        self.key = Some(Key { at: begin..begin + keys.id_bytes(), keys });
        self
    }

    /// Makes a field the first of the head; where it begins. No key is laid out yet.
    fn insert_field(&mut self, field: &str) -> usize {
        let head_begin = self.bytes.iter().position(|&byte| byte == b'\n').map_or(0, |line_end| line_end + 1);
        self.bytes.splice(head_begin..head_begin, field.bytes());
        if self.id.start >= head_begin {
            self.id = self.id.start + field.len()..self.id.end + field.len();
        }
        head_begin
    }

    /// The same request with the key of a caller.
    pub(crate) fn with_bearer(mut self, key: &str) -> Self {
        self.insert_field(&authorization(key));
        self
    }

    /// The request for the order of this index.
    pub(crate) fn for_order(&mut self, ids: OrderIds, index: u64) -> &[u8] {
        ids.write(index, &mut self.bytes[self.id.clone()]);
        if let Some(Key { at, keys }) = &self.key {
            keys.write(index, &mut self.bytes[at.clone()]);
        }
        &self.bytes
    }

    fn post(ids: OrderIds, path: &str, body: &str) -> Self {
        let body_bytes = body.len() + body.matches(ID).count() * (ids.id_bytes() - ID.len());
        Self::laid_out(ids, &post(path, body, body_bytes))
    }

    fn laid_out(ids: OrderIds, request: &str) -> Self {
        let at = request.find(ID).unwrap_or_else(|| unreachable!("every request above names the order once"));
        let bytes = request.replacen(ID, &"0".repeat(ids.id_bytes()), 1).into_bytes();
        Self { bytes, id: at..at + ids.id_bytes(), key: None }
    }
}

/// `GET /orders?limit=100`.
pub(crate) const LIST_100: &[u8] = b"GET /orders?limit=100 HTTP/1.1\r\nhost: order-bench\r\n\r\n";

/// The field that says whose key it is, with its end of line.
pub(crate) fn authorization(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// A `GET` that is laid out for one use.
pub(crate) fn get(target: &str) -> String {
    get_with(target, "")
}

/// The same with more fields in its head, each with its end of line.
pub(crate) fn get_with(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: order-bench\r\n{fields}\r\n")
}

/// A `POST` with a body that will have this many bytes.
pub(crate) fn post(path: &str, body: &str, body_bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: order-bench\r\ncontent-type: application/json\r\n\
         content-length: {body_bytes}\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_is_the_contracts_bytes_and_says_its_length() {
        let ids = OrderIds::Sequence { run: 1 };
        let mut request = Request::place(ids, 1);
        let text = String::from_utf8(request.for_order(ids, 5).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            body,
            r#"{"order_id":"ord-000001-000000000005","customer_id":"cust-123","items":[{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}]}"#
        );
        assert!(head.starts_with("POST /orders HTTP/1.1\r\n"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }

    #[test]
    fn a_key_is_a_field_of_its_own_and_goes_with_its_order() {
        let (ids, keys) = (OrderIds::Sequence { run: 1 }, OrderIds::RandomV4 { seed: 3 });
        for request in [Request::place, |ids, _| Request::ship(ids)] {
            let (mut unkeyed, mut keyed) = (request(ids, 1), request(ids, 1).with_key(keys));
            for index in [0, 1] {
                let text = String::from_utf8(keyed.for_order(ids, index).to_vec()).unwrap();
                let field = format!("\r\nidempotency-key: {}\r\n", keys.id(index));
                assert_eq!(text.matches(&field).count(), 1, "{text}");
                assert_eq!(text.replace(&field, "\r\n").as_bytes(), unkeyed.for_order(ids, index));
            }
        }
    }

    #[test]
    fn a_step_names_its_order_in_the_path() {
        let ids = OrderIds::RandomV4 { seed: 3 };
        let mut request = Request::ship(ids);
        for index in [0, 1] {
            let text = String::from_utf8(request.for_order(ids, index).to_vec()).unwrap();
            assert!(text.starts_with(&format!("POST /orders/{}/ship HTTP/1.1\r\n", ids.id(index))), "{text}");
        }
    }
}
