//! What the customer owes, and how it shrinks: by units that are cancelled or come back, and by goodwill.

use crate::values::money::{Adjustment, AdjustmentKind, Cents};

/// The sums that say what is due. What was agreed at placement, and what became of it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bill {
    /// Lines and adjustments together, as placed.
    pub(crate) total: Cents,
    /// The price of all units, as placed.
    goods: Cents,
    /// The discounts as a positive sum, at most `goods`.
    discounts: Cents,
    /// The taxes.
    taxes: Cents,
    /// The price of the units that were cancelled or received back.
    gone: Cents,
    /// What was refunded beyond what was owed back, and has not been given back since by units that went.
    goodwill: Cents,
    /// Every unit is cancelled: nothing is owed any more, not even the shipping.
    cancelled: bool,
}

impl Bill {
    /// What is owed when the order begins. The sums were checked when the order was placed.
    pub(crate) fn new(goods: Cents, adjustments: &[Adjustment], total: Cents) -> Self {
        let sum = |kind| {
            let amounts = adjustments.iter().filter(|adjustment| adjustment.kind == kind);
            amounts.fold(Cents::ZERO, |sum, adjustment| sum.saturating_add(adjustment.amount.abs()))
        };
        Self {
            total,
            goods,
            discounts: sum(AdjustmentKind::Discount).min(goods),
            taxes: sum(AdjustmentKind::Tax),
            gone: Cents::ZERO,
            goodwill: Cents::ZERO,
            cancelled: false,
        }
    }

    /// What the customer owes in all, whatever was paid so far.
    pub(crate) fn due(&self) -> Cents {
        if self.cancelled {
            return Cents::ZERO;
        }
        self.total.minus_or_zero(self.given_back()).minus_or_zero(self.goodwill)
    }

    /// What is not owed any longer for the units that went: their price, less their share of the discounts, and with their
    /// share of the taxes. Shares are by value, to the cent, in the customer's favour. Shipping and fees stay owed.
    fn given_back(&self) -> Cents {
        let goods = i128::from(self.goods.get());
        if goods == 0 {
            return Cents::ZERO;
        }
        let gone = i128::from(self.gone.get());
        let discounts = gone * i128::from(self.discounts.get()) / goods;
        let taxes = (gone * i128::from(self.taxes.get()) + goods - 1) / goods;
        Cents::saturating_from(gone - discounts + taxes)
    }

    /// Units of this price were cancelled, or came back. What they give back is first what goodwill gave before: nothing is
    /// given back twice.
    pub(crate) fn lose(&mut self, price: Cents) {
        let before = self.given_back();
        self.gone = self.gone.saturating_add(price);
        self.goodwill = self.goodwill.minus_or_zero(self.given_back().minus_or_zero(before));
    }

    /// Every unit is cancelled.
    pub(crate) fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// More was refunded than was owed back, and is not asked for again.
    pub(crate) fn forgive(&mut self, amount: Cents) {
        self.goodwill = self.goodwill.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specification::{adjustment, cents};

    fn bill(goods: i64, adjustments: &[(AdjustmentKind, i64)]) -> Bill {
        let adjustments: Vec<_> =
            adjustments.iter().map(|&(kind, amount)| adjustment(kind, amount)).collect();
        let total = adjustments.iter().fold(goods, |total, adjustment| total + adjustment.amount.get());
        Bill::new(cents(goods), &adjustments, cents(total))
    }

    #[track_caller]
    fn check(mut bill: Bill, gone: &[i64], due: i64) {
        gone.iter().for_each(|price| bill.lose(cents(*price)));
        assert_eq!(bill.due(), cents(due));
    }

    #[test]
    fn taxes_go_with_the_units_that_go() {
        check(bill(1000, &[(AdjustmentKind::Tax, 200)]), &[1000], 0);
        check(bill(2000, &[(AdjustmentKind::Tax, 400)]), &[1000], 1200);
    }

    #[test]
    fn discounts_stay_with_the_units_that_stay() {
        check(bill(2000, &[(AdjustmentKind::Discount, -400)]), &[1000], 800);
        check(bill(2000, &[(AdjustmentKind::Discount, -400)]), &[1000, 1000], 0);
    }

    #[test]
    fn shipping_and_fees_stay_owed() {
        check(bill(2000, &[(AdjustmentKind::Shipping, 200), (AdjustmentKind::Fee, 3)]), &[2000], 203);
    }

    #[test]
    fn shares_are_rounded_in_the_customers_favour_and_add_up_to_the_cent() {
        let third = bill(300, &[(AdjustmentKind::Discount, -100), (AdjustmentKind::Tax, 100)]);
        // 100 − ⌊33.3⌋ + ⌈33.3⌉ = 101, then 200 − 66 + 67 = 201.
        check(third, &[100], 199);
        check(third, &[100, 100], 99);
        check(third, &[100, 100, 100], 0);
    }

    #[test]
    fn discounts_count_up_to_the_price_of_the_goods() {
        check(bill(100, &[(AdjustmentKind::Discount, -150), (AdjustmentKind::Shipping, 80)]), &[100], 30);
    }

    #[test]
    fn an_order_of_gifts_owes_its_shipping() {
        check(bill(0, &[(AdjustmentKind::Shipping, 80), (AdjustmentKind::Tax, 20)]), &[0], 100);
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        let max = crate::MAX_CENTS;
        check(bill(max - 1, &[(AdjustmentKind::Tax, 1)]), &[max - 1], 0);
        check(bill(max, &[(AdjustmentKind::Tax, max), (AdjustmentKind::Discount, -max)]), &[max], 0);
    }

    #[test]
    fn goodwill_lowers_what_is_due_until_units_give_it_back() {
        let mut bill = bill(2000, &[]);
        bill.forgive(cents(1500));
        assert_eq!(bill.due(), cents(500));
        bill.lose(cents(1000));
        assert_eq!(bill.due(), cents(500), "1000 of the goodwill were for these units");
        bill.lose(cents(1000));
        assert_eq!(bill.due(), Cents::ZERO);
    }

    #[test]
    fn units_that_go_one_after_the_other_take_their_own_share_of_goodwill() {
        let mut bill = bill(4000, &[]);
        bill.forgive(cents(2500));
        for due in [1500, 1500, 1000] {
            bill.lose(cents(1000));
            assert_eq!(bill.due(), cents(due));
        }
    }

    #[test]
    fn a_cancelled_order_owes_nothing_not_even_shipping() {
        let mut bill = bill(2000, &[(AdjustmentKind::Shipping, 200)]);
        bill.lose(cents(2000));
        bill.cancel();
        assert_eq!(bill.due(), Cents::ZERO);
    }
}
