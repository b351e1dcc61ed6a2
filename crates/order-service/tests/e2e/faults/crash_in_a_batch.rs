//! A process that ends in the middle of a batch for the views, which goes there in several transactions: what is in the file
//! is then ahead of how far it says that it has come. The end is planted, since a random moment seldom hits.

use crate::checker::{check, check_list, verify};
use crate::http::post_under;
use crate::load::{Claim, under_load};
use crate::server::{Program, Server};

#[test]
fn what_was_acknowledged_survives_an_end_in_the_middle_of_a_batch_for_the_views() {
    let directory = tempfile::tempdir().unwrap();
    let mut position = 0;
    for end in
        ["end-after-receipts", "end-after-ids", "end-after-terms", "end-after-orders", "end-after-positions"]
    {
        let planted = Program::serving(directory.path()).variable("ORDER_SERVICE_PLANTED_FAULT", end);
        let mut server = planted.start();
        let (claims, _) = under_load(server.port(), end, |_| {
            assert_eq!(server.wait().code(), None, "{end}: {}", server.log());
        });
        verify(directory.path()).unwrap_or_else(|breach| panic!("{end}: {breach}"));
        let server = Program::serving(directory.path()).start();
        position = check(&server, position, &claims).unwrap_or_else(|breach| panic!("{end}: {breach}"));
        check_list(&server).unwrap_or_else(|breach| panic!("{end}: {breach}"));
        assert_keys_are_known(&server, &claims, end);
        // Brought up, and not built anew.
        assert!(directory.path().join("orders.views.1.db").exists(), "{end}: {}", server.log());
        server.stop();
    }
    verify(directory.path()).unwrap();
}

/// Another request under the key of one that was acknowledged is told from it.
fn assert_keys_are_known(server: &Server, claims: &[Claim], end: &str) {
    let mut client = server.connect();
    for claim in claims.iter().filter(|claim| claim.has_keys()) {
        for step in 0..claim.acknowledged {
            client.send(post_under(&claim.own_id(step), "/orders", "{}").as_bytes()).unwrap();
            let answer = client.answer().unwrap();
            assert_eq!(answer.code(), "idempotency-key-reused", "{end}: {claim:?}: {answer:?}");
        }
    }
}
