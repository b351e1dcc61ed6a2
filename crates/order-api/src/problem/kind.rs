//! Every kind of problem, in one table: its code, its status, and what a client should know and do.

use axum::http::StatusCode;

/// A kind of refusal, as clients tell them apart.
#[derive(Debug)]
pub(crate) struct ProblemKind {
    /// The stable name that programs go by; also the last segment of `type`.
    pub(crate) code: &'static str,
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The same words for every problem of this kind.
    pub(crate) title: &'static str,
    /// What it means and what to do, for the page that `type` leads to.
    pub(crate) advice: &'static str,
    /// What one problem of this kind says; where nothing stands here, they all give the advice.
    pub(crate) example: Option<&'static str>,
    /// When to try again, where trying again helps.
    pub(crate) retry_after_seconds: Option<u16>,
}

macro_rules! kinds {
    ($($name:ident $status:ident $code:literal $title:literal $(retry after $seconds:literal s)? $advice:literal $((such as $example:literal))?)*) => {
        $(pub(crate) static $name: ProblemKind = ProblemKind {
            code: $code,
            status: StatusCode::$status,
            title: $title,
            advice: $advice,
            example: [$(Some($example),)? None][0],
            retry_after_seconds: [$(Some($seconds),)? None][0],
        };)*

        /// Every kind, by status.
        pub(crate) static ALL: &[&ProblemKind] = &[$(&$name),*];
    };
}

kinds! {
    MALFORMED_REQUEST BAD_REQUEST "malformed-request" "The request cannot be read"
        "Either the body could not be read as JSON: a syntax error, bytes that are not UTF-8, more than 127 levels of nesting, a number that no type holds, a key that stands twice in one object, or a body that ended early; the detail then names line and column. Or the head is not HTTP, or has not exactly one Host field. Correct the request; nothing happened."
        (such as "The body is not JSON: expected `,` or `}` at line 1 column 27.")

    IDEMPOTENCY_KEY_INVALID BAD_REQUEST "idempotency-key-invalid" "The Idempotency-Key cannot be read"
        "The header Idempotency-Key takes one key of 1 to 255 characters: visible ASCII, or, in quotes, spaces too (RFC 9651, a string). Correct it, or leave it out; nothing happened."
        (such as "Idempotency-Key must be one key of 1 to 255 characters, quoted or bare.")

    UNAUTHENTICATED UNAUTHORIZED "unauthenticated" "The request does not show who sends it"
        "Send a key, or a token of an issuer that this service trusts, as Authorization: Bearer …. One that is sent and refused is mistyped, expired, revoked or meant for another service; the detail says what is known. Nothing happened."
        (such as "The request has no Authorization header.")

    FORBIDDEN FORBIDDEN "forbidden" "The key does not open this"
        "The key or the token is good, and does not have the scope that this needs; the detail names both. Use another, or have whoever runs the service give this one the scope. Nothing happened."
        (such as "The key 3f9a1c2e has no scope refund.")

    ORDER_NOT_FOUND NOT_FOUND "order-not-found" "No such order"
        "No order has the id in the path, or the text there cannot be an id at all (ids are 1 to 128 of A-Z a-z 0-9 . _ ~ : -). Place the order first."
        (such as "No order has this id.")

    RETURN_NOT_FOUND NOT_FOUND "return-not-found" "No such return"
        "The order has no return of the id in the path. Ask the units back first."
        (such as "The order has no return of this id.")

    NOT_FOUND NOT_FOUND "not-found" "No such resource"
        "The service has nothing at this path. All paths are listed on the page /docs and in /openapi.json."

    METHOD_NOT_ALLOWED METHOD_NOT_ALLOWED "method-not-allowed" "The method does not apply here"
        "The path exists, but not with this method; the Allow header names those that do. A read replica takes no commands: send them to the primary."

    REQUEST_TIMEOUT REQUEST_TIMEOUT "request-timeout" "The request took too long to arrive"
        "The head or the body did not arrive in time. Nothing happened; send the request again, all of it at once."
        (such as "The body did not arrive in time.")

    ID_REUSED CONFLICT "id-reused" "The id is taken by other content"
        "An order, or a part of it (a payment, a reservation, a parcel, …), of this id was recorded with other content. Repeating a request with the same id is safe only with the same content; a new fact needs a new id. Nothing happened."
        (such as "The payment_id is already taken by a request with other content.")

    INVALID_TRANSITION CONFLICT "invalid-transition" "The order's state does not allow this"
        "The order is not in a state in which this may be done. order_status, version and allowed_actions tell what it is and what may be done. Nothing happened."
        (such as "Payments must cover all that is due before inventory is reserved.")

    ORDER_ON_HOLD CONFLICT "order-on-hold" "The order is on hold"
        "While an order is on hold, nothing is reserved, shipped, captured or completed. Nothing happened; unhold the order first."
        (such as "The order is on hold, which stops reserving, shipping, capturing and completing.")

    ALREADY_SHIPPED CONFLICT "already-shipped" "Nothing is left to cancel"
        "What the order has was shipped, so it can only be returned. Nothing happened."
        (such as "No unit is open, and what was shipped can only be returned.")

    AMOUNT_EXCEEDS_DUE CONFLICT "amount-exceeds-due" "The amount is more than what is due"
        "Payments may be authorised up to what is due and not covered yet. Nothing happened; leave amount_cents out to authorise exactly that."
        (such as "4000 is more than the 3000 that is due and not covered yet.")

    AMOUNT_EXCEEDS_AUTHORIZED CONFLICT "amount-exceeds-authorized" "The amount is more than what is authorised"
        "Authorised money may be captured or voided up to what is open: authorised, not voided, not captured. Nothing happened; leave amount_cents out to take exactly that."
        (such as "4000 is more than the 3000 that is authorised and still open.")

    AMOUNT_EXCEEDS_CAPTURED CONFLICT "amount-exceeds-captured" "The amount is more than what was captured"
        "Captured money may be refunded up to what was captured and not refunded yet. Nothing happened."
        (such as "4000 is more than the 3000 that is captured and not refunded yet.")

    QUANTITY_EXCEEDS_AVAILABLE CONFLICT "quantity-exceeds-available" "More units than available"
        "The request names more units than there are for it: reserved to be shipped, open to be cancelled, delivered to be asked back, asked back to be received. Nothing happened; ask for fewer, or leave items out, where that may be, to take all of them."
        (such as "3 units are more than the 2 that are available.")

    IDEMPOTENCY_IN_PROGRESS CONFLICT "idempotency-in-progress" "A request with this key is still under way" retry after 1 s
        "Another request with the same Idempotency-Key has not been answered yet. Send this one again after the seconds in Retry-After: if the other is accepted, it is answered the same."
        (such as "A request with the key is still under way.")

    CONCURRENT_MODIFICATION CONFLICT "concurrent-modification" "Other requests keep changing the order"
        "The order changed each time this command was decided, and the service gave up. Nothing happened; send the request again."
        (such as "Other requests keep changing the order.")

    POSITION_AHEAD CONFLICT "position-ahead" "The position is beyond the log's end"
        "after or Last-Event-ID names a position that the log does not have; last_position is where it ends. A reader that was there before has read another log: the store was restored from a backup, or this is another store. Compare what you have with the log before you go on: to wait here would skip what comes."
        (such as "The log ends at position 42.")

    ORDER_FULL CONFLICT "order-full" "The order has no room for this"
        "An order holds at most 10,000 events, of which the last 500 are kept for what leads to its end, 250 payments and 100 declined ones; and what one command does fits one event. Nothing happened; allowed_actions tells what may still be done."
        (such as "The order has as many events as an order may have.")

    VERSION_MISMATCH PRECONDITION_FAILED "version-mismatch" "The order moved on"
        "If-Match names a version that the order does not have now. Nothing happened; read the order, decide again, and send its current ETag."
        (such as "The order is not at the version that the request names.")

    BODY_TOO_LARGE PAYLOAD_TOO_LARGE "body-too-large" "The body is too large"
        "Bodies hold at most 1 MiB. Nothing happened."
        (such as "The body may have at most 1048576 bytes.")

    UNSUPPORTED_MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body must be application/json"
        "Send the body as JSON, uncompressed, with the header Content-Type: application/json. Nothing happened."
        (such as "The body must be sent uncompressed with Content-Type: application/json.")

    VALIDATION_FAILED UNPROCESSABLE_ENTITY "validation-failed" "The request has faults"
        "The request could be read, but not everything in it is allowed. errors lists every fault with its place: pointer is a JSON Pointer (RFC 6901) into the body, parameter a query parameter, header a header field. Nothing happened; correct them all."
        (such as "The request has one fault; see errors.")

    UNKNOWN_REFERENCE UNPROCESSABLE_ENTITY "unknown-reference" "The order has no such part"
        "The request names a part (a line, a SKU, a payment, a reservation, a parcel) that the order does not have. Nothing happened."
        (such as "The order has no line 7.")

    IDEMPOTENCY_KEY_REUSED UNPROCESSABLE_ENTITY "idempotency-key-reused" "The key was used for another request"
        "A request with this Idempotency-Key was accepted, and it was another one: another path, query or body. A repetition must be the same to the byte; a new request needs a new key. Nothing happened."
        (such as "The key was used for another request.")

    TOO_MANY_REQUESTS TOO_MANY_REQUESTS "too-many-requests" "Too many requests" retry after 1 s
        "As many requests have come from this caller, or from this address without good credentials, as may; RateLimit-Policy says how many that is. Nothing happened; send the request again after the seconds in Retry-After."
        (such as "More requests have come from this caller than may.")

    HEADERS_TOO_LARGE REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large" "The request's head is too large"
        "The request line and the header fields are longer than the service takes. Nothing happened; the connection is closed."

    INTERNAL INTERNAL_SERVER_ERROR "internal" "The service failed"
        "This is the service's fault. A question can be asked again. A command may or may not have taken effect: sending it again with the same ids is safe. incident is the name under which the service's log tells more; the cause is never shown."

    OVERLOADED SERVICE_UNAVAILABLE "overloaded" "The service has more work than it can take" retry after 1 s
        "The request was turned away before anything happened. Send it again after the seconds in Retry-After, and wait longer each time."

    STORE_UNAVAILABLE SERVICE_UNAVAILABLE "store-unavailable" "The store cannot be used now" retry after 2 s
        "The service's store is away or still being opened, or what it keeps for reading this is damaged and being repaired. Send the request again after the seconds in Retry-After; with the same ids that is always safe."

    OUTCOME_UNKNOWN SERVICE_UNAVAILABLE "outcome-unknown" "Whether the command took effect is unknown" retry after 1 s
        "The store went away while the command was being stored, and what became of it could not be learnt in time. Send the same request with the same ids: if it took effect, it is answered as it would have been; if not, it takes effect now."

    REPLICA_BEHIND SERVICE_UNAVAILABLE "replica-behind" "The replica is not there yet" retry after 1 s
        "The request names a position that this read replica does not have yet; last_position is where its log ends. Send the request again after the seconds in Retry-After, or ask the primary. If the replica never gets there, the position is of another log."
        (such as "The log of this replica ends at position 42 so far.")

    NEWER_RELEASE_NEEDED SERVICE_UNAVAILABLE "newer-release-needed" "The order was written by a newer release" retry after 60 s
        "The order has something in its history that this release of the service does not know: a newer one wrote it, as during an upgrade. Nothing is wrong with the order, and nothing happened. Send the request again once the service is upgraded; all other orders are served."

    CORRUPT SERVICE_UNAVAILABLE "corrupt" "What is stored is damaged: report the incident"
        "What is stored is not what was written, so the service neither shows it nor adds to it. Nothing happened, and to send the request again does not help before that is repaired. Tell whoever runs the service the incident: its output names the place under it, and the command verify names all of them. All other orders are served, unless it is a file of the log itself that is damaged or gone: then no command is taken. What reads all events in their order, such as GET /events, comes no further than that place."

    STORAGE_FULL INSUFFICIENT_STORAGE "storage-full" "The store has no space left"
        "Nothing happened. Commands are taken again once the store has space. What needs none is still read."
}

#[cfg(test)]
mod tests {
    use order_application::ServiceLimits;
    use order_domain::{MAX_DECLINES, MAX_PAYMENTS, MAX_TEXT_CHARS};

    use super::*;
    use crate::ApiConfig;
    use crate::command::idempotency_key::MAX_KEY_CHARS;

    /// What pages for people say in figures is what holds.
    #[test]
    fn limits_are_told_as_they_are() {
        let limits = ServiceLimits::default();
        assert_eq!((limits.order_events, limits.last_events), (10_000, 500));
        let text = format!(
            "10,000 events, of which the last 500 are kept for what leads to its end, {MAX_PAYMENTS} payments"
        );
        assert!(ORDER_FULL.advice.contains(&format!("{text} and {MAX_DECLINES} declined ones")));
        assert_eq!(ApiConfig::default().max_body_bytes, 1 << 20);
        assert!(BODY_TOO_LARGE.advice.contains("1 MiB"));
        let chars = format!("1 to {MAX_TEXT_CHARS} of A-Z");
        assert!(ORDER_NOT_FOUND.advice.contains(&chars));
        let chars = format!("1 to {MAX_KEY_CHARS} characters");
        assert!(IDEMPOTENCY_KEY_INVALID.advice.contains(&chars));
    }

    #[test]
    fn codes_are_unique_and_nothing_in_the_table_needs_escaping() {
        for (index, kind) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|earlier| earlier.code != kind.code), "{}", kind.code);
            for text in [kind.code, kind.title] {
                assert!(!text.contains(['"', '\\', '<', '&']), "{text}");
            }
        }
    }
}
