//! An order's view as a row: what both databases keep of it, whatever they call their types.

use order_application::{OrderSummary, OrderView, Unreadable, UnreadableOrder, Version};
use order_domain::{Cents, CustomerId, OrderId, Status, Timestamp};

use crate::checksum::{Checksum, push_texts};

/// The values of a row. All but the first three are there only if the order can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ViewRow<'a> {
    pub(crate) order_id: &'a str,
    /// `ok`, `newer` or `damaged`.
    pub(crate) state: &'a str,
    pub(crate) version: u64,
    pub(crate) customer_id: Option<&'a str>,
    pub(crate) status: Option<&'a str>,
    pub(crate) total_cents: Option<i64>,
    pub(crate) placed_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    /// There only if the order does something by itself.
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) on_hold: Option<bool>,
    /// Where the order's last event is, if the store knows it when it makes the row.
    pub(crate) updated_position: Option<u64>,
}

const OK: &str = "ok";
const NEWER: &str = "newer";
const DAMAGED: &str = "damaged";

impl<'a> ViewRow<'a> {
    pub(crate) fn of(view: &'a OrderView) -> Self {
        match view {
            OrderView::Readable(summary) => Self {
                order_id: summary.order_id.as_str(),
                state: OK,
                version: summary.version.0,
                customer_id: Some(summary.customer_id.as_str()),
                status: Some(summary.status.as_str()),
                total_cents: Some(summary.total.get()),
                placed_at: Some(summary.placed_at),
                updated_at: Some(summary.updated_at),
                due_at: summary.due_at,
                on_hold: Some(summary.on_hold),
                updated_position: None,
            },
            OrderView::Unreadable(order) => Self {
                order_id: order.order_id.as_str(),
                state: match order.why {
                    Unreadable::Newer => NEWER,
                    Unreadable::Damaged => DAMAGED,
                },
                version: order.version.0,
                ..Self::default()
            },
        }
    }

    /// The view that this is the row of; else what no release writes.
    pub(crate) fn into_view(self) -> Result<OrderView, String> {
        let order_id = OrderId::new(self.order_id).map_err(|error| format!("order id: {error}"))?;
        let version = Version(self.version);
        let unreadable =
            |why| OrderView::Unreadable(UnreadableOrder { order_id: order_id.clone(), version, why });
        match self.state {
            OK => {}
            DAMAGED => return Ok(unreadable(Unreadable::Damaged)),
            // A state that this release does not know is a newer one's.
            _ => return Ok(unreadable(Unreadable::Newer)),
        }
        let missing = || "a value is missing".to_owned();
        let Some(status) = Status::from_name(self.status.ok_or_else(missing)?) else {
            return Ok(unreadable(Unreadable::Newer));
        };
        let customer_id = CustomerId::new(self.customer_id.ok_or_else(missing)?);
        Ok(OrderView::Readable(OrderSummary {
            customer_id: customer_id.map_err(|error| format!("customer id: {error}"))?,
            status,
            total: Cents::new(self.total_cents.ok_or_else(missing)?)
                .map_err(|error| format!("total: {error}"))?,
            version,
            placed_at: self.placed_at.ok_or_else(missing)?,
            updated_at: self.updated_at.ok_or_else(missing)?,
            due_at: self.due_at,
            on_hold: self.on_hold.ok_or_else(missing)?,
            order_id,
        }))
    }

    /// The checksum of the row and of a number that the store keeps beside it: SQLite the key, and PostgreSQL, where the
    /// database gives the key later, the projection that made it.
    pub(crate) fn checksum(&self, beside: u64, scratch: &mut Vec<u8>) -> Checksum {
        scratch.clear();
        let micros = |time: Timestamp| time.as_micros();
        for number in [
            Some(beside.cast_signed()),
            Some(self.version.cast_signed()),
            self.total_cents,
            self.placed_at.map(micros),
            self.updated_at.map(micros),
            self.due_at.map(micros),
            self.on_hold.map(i64::from),
            self.updated_position.map(u64::cast_signed),
        ] {
            scratch.push(u8::from(number.is_some()));
            scratch.extend_from_slice(&number.unwrap_or_default().to_le_bytes());
        }
        push_texts(scratch, [Some(self.order_id), Some(self.state), self.customer_id, self.status]);
        Checksum::of(scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable() -> OrderView {
        OrderView::Readable(OrderSummary {
            order_id: OrderId::new("ord-1").unwrap(),
            customer_id: CustomerId::new("cust-1").unwrap(),
            status: Status::Placed,
            total: Cents::new(3000).unwrap(),
            version: Version(2),
            placed_at: Timestamp::from_micros(1),
            updated_at: Timestamp::from_micros(2),
            due_at: Some(Timestamp::from_micros(5)),
            on_hold: true,
        })
    }

    fn unreadable(why: Unreadable) -> OrderView {
        let order_id = OrderId::new("ord-1").unwrap();
        OrderView::Unreadable(UnreadableOrder { order_id, version: Version(2), why })
    }

    #[test]
    fn a_view_survives_as_a_row() {
        for view in [readable(), unreadable(Unreadable::Newer), unreadable(Unreadable::Damaged)] {
            assert_eq!(ViewRow::of(&view).into_view(), Ok(view.clone()));
        }
    }

    #[test]
    fn words_of_a_later_release_make_the_order_a_newer_one() {
        let view = readable();
        let row = ViewRow::of(&view);
        for row in [ViewRow { status: Some("gift_wrapped"), ..row }, ViewRow { state: "archived", ..row }] {
            assert_eq!(row.into_view(), Ok(unreadable(Unreadable::Newer)));
        }
    }

    #[test]
    fn the_checksum_covers_every_value() {
        let view = readable();
        let row = ViewRow::of(&view);
        let time = Some(Timestamp::from_micros(3));
        let changed = [
            ViewRow { order_id: "ord-2", ..row },
            ViewRow { state: "newer", ..row },
            ViewRow { version: 3, ..row },
            ViewRow { customer_id: None, ..row },
            ViewRow { customer_id: Some("cust-2"), ..row },
            ViewRow { status: Some("shipped"), ..row },
            ViewRow { total_cents: Some(3001), ..row },
            ViewRow { placed_at: time, ..row },
            ViewRow { updated_at: time, ..row },
            ViewRow { updated_at: None, ..row },
            ViewRow { due_at: time, ..row },
            ViewRow { due_at: None, ..row },
            ViewRow { on_hold: Some(false), ..row },
            ViewRow { on_hold: None, ..row },
            ViewRow { updated_position: Some(9), ..row },
        ];
        let scratch = &mut Vec::new();
        let original = row.checksum(7, scratch);
        assert_eq!(row.checksum(7, scratch), original);
        assert_ne!(row.checksum(8, scratch), original);
        for row in changed {
            assert_ne!(row.checksum(7, scratch), original, "{row:?}");
        }
    }
}
