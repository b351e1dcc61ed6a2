use super::{PaymentShare, PaymentVoided};
use crate::error::{Obstacle, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::values::cause::Cause;
use crate::values::money::Cents;
use crate::values::text::PaymentId;
use crate::values::time::Timestamp;

/// See [`OrderCommand::ExpireAuthorization`](crate::OrderCommand::ExpireAuthorization).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireAuthorization {
    /// Which payment.
    pub payment_id: PaymentId,
}

impl ExpireAuthorization {
    /// The authorisation's life is not over, or it has no end.
    pub const NOT_DUE: Obstacle = Obstacle::state("the authorisation's life is not over");
}

/// Voids what is still open of the payment, if its life is over. Nothing to void is nothing to do.
pub(crate) fn decide(
    order: &Order,
    command: &ExpireAuthorization,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    let payment = order.payment(&command.payment_id)?;
    let amount = payment.ledger.open_authorization();
    if amount == Cents::ZERO {
        return Ok(Vec::new());
    }
    if payment.expires.is_none_or(|expires| now < expires.at) {
        return Err(ExpireAuthorization::NOT_DUE.into());
    }
    Ok(vec![OrderEvent::PaymentVoided(PaymentVoided {
        void_id: None,
        cause: Some(Cause::Expired),
        shares: vec![PaymentShare { payment_id: payment.id.clone(), amount }],
        reason: None,
    })])
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn expire(payment_id: &str) -> ExpireAuthorization {
        ExpireAuthorization { payment_id: PaymentId::new(payment_id).unwrap() }
    }

    /// A payment that is authorised for a minute, `ago` seconds ago.
    fn paid_for_a_minute(ago: u32) -> OrderEvent {
        let OrderEvent::PaymentAuthorized(paid) = paid("p", 5000) else { unreachable!() };
        let at = Timestamp::from_micros(NOW.as_micros() + 60_000_000 - i64::from(ago) * 1_000_000);
        OrderEvent::PaymentAuthorized(PaymentAuthorized { expires: Some(Expiry { seconds: 60, at }), ..paid })
    }

    #[test]
    fn what_is_open_of_it_is_voided_when_its_life_is_over() {
        let shares = |amount| vec![share("p", amount)];
        given([placed(), paid_for_a_minute(60)])
            .when(expire("p"))
            .then([voided_because(Cause::Expired, shares(5000))]);
        given([placed(), paid_for_a_minute(60), captured("c", &[("p", 2000)])])
            .when(expire("p"))
            .then([voided_because(Cause::Expired, shares(3000))]);
    }

    #[test]
    fn it_does_not_end_before_its_time_or_without_one() {
        for payment in [paid_for_a_minute(59), paid("p", 5000)] {
            given([placed(), payment]).when(expire("p")).then_refused(ExpireAuthorization::NOT_DUE.into());
        }
    }

    #[test]
    fn where_nothing_is_open_there_is_nothing_to_do() {
        given([placed(), paid_for_a_minute(60), captured("c", &[("p", 5000)])])
            .when(expire("p"))
            .then_nothing();
    }
}
