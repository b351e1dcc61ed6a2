//! Paths that try to be something else.

use super::{attack, server};

#[test]
fn path_tricks_lead_nowhere() {
    attack(server(), |server| {
        let placed = server.post(
            "/orders",
            r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#,
        );
        assert_eq!(placed.status, 201);
        let nowhere = [
            "/orders/..%2f..",
            "/orders/%2e%2e",
            "/orders/..",
            "/orders/../orders/o",
            "/orders/%2e%2e%2forders%2fo",
            "//",
            "//orders",
            "/orders//o",
            "/orders/o/",
            "/orders/",
            "/orders/o%2Fevents",
            "/orders/o%00",
            "/orders/%ff",
            "/orders/%c0%ae",
            "/orders/%",
            "/orders/%zz",
            "/orders/o;a=b",
            "/orders/o%20",
            "/ORDERS",
            "/etc/passwd",
            "/docs/../../../../etc/passwd",
            "/docs/..%2f..%2f..%2fetc%2fpasswd",
            "/orders\\o",
            "/orders/O",
        ];
        let mut client = server.connect();
        for path in nowhere {
            let answer = client.get(path).unwrap();
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
        // An escaped letter is that letter.
        assert_eq!(client.get("/orders/%6f").unwrap().status, 200);
        // What proxies are told to fetch is nothing to fetch here: the path is what counts.
        assert_eq!(client.get("http://elsewhere.example/orders/o").unwrap().status, 200);
        assert_eq!(client.get("/orders?limit=%31").unwrap().status, 200);
        for query in ["/orders?limit=%ff", "/orders?limit=%00", "/orders?cursor=..%2f..", "/orders?a=b"] {
            assert_eq!(client.get(query).unwrap().status, 422, "{query}");
        }
    });
}

#[test]
fn a_query_full_of_faults_is_not_answered_with_more_than_it_is_long() {
    attack(server(), |server| {
        let mut client = server.connect();
        for path in ["/orders", "/events", "/orders/o", "/orders/o/events"] {
            for fault in ["a=b", "limit=x", "cursor=x", "status=%22%22%22", "=", "&"] {
                let query = vec![fault; 15 * 1024 / (fault.len() + 1)].join("&");
                let answer = client.get(&format!("{path}?{query}")).unwrap();
                assert!(answer.status < 500, "{path}?{fault}: {answer:?}");
                assert!(answer.body.len() <= query.len(), "{path}?{fault}: {} bytes", answer.body.len());
            }
        }
    });
}
