//! Words that are known to be finite, as schemas of their own. The types are only names for them.

use order_application::Sort;
use order_domain::{Action, Status};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::kind;

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident: $words:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) enum $name {}

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some($words));
                words.description(Some([$($doc.trim()),+].join(" "))).into()
            }
        }
    )+};
}

words! {
    /// One word for the order's ledgers. More will come: treat one that you do not know as an order under way.
    OrderStatus: Status::ALL.map(Status::as_str);
    /// The order of a list.
    ListSort: Sort::ALL.map(Sort::as_str);
    /// What may be asked of an order, by the last segment of its path. More will come.
    ActionName: Action::ALL.iter().map(|action| action.as_str());
    /// The stable name of a problem. More will come: go by the HTTP status then.
    ProblemCode: kind::ALL.iter().map(|kind| kind.code);
}
