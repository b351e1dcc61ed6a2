//! An issuer whose keys are fetched over HTTPS: whom the service takes for it.

use std::fs;

use serde_json::json;
use test_servers::Authority;

use crate::access::issuer::{Behaviour, KeyServer, Signer};
use crate::access::{AccessFile, get_with, wait_for_log};
use crate::server::wait_until;

/// The name that certificates are for.
const ADDRESS: &str = "127.0.0.1";

#[test]
fn an_issuer_is_trusted_whose_certificate_leads_to_a_root_of_the_system() {
    let (trusted, other) = (Authority::new("trusted").unwrap(), Authority::new("other").unwrap());
    let signer = Signer::curve();
    let keys = || Behaviour::publishes(&[signer.jwk("c")]);
    let authority_and_outcome = [
        (trusted.certificate(ADDRESS).unwrap(), 200, None),
        (other.certificate(ADDRESS).unwrap(), 401, Some("UnknownIssuer")),
        (trusted.certificate("localhost").unwrap(), 401, Some("not valid for name")),
    ];
    for (certificate, status, told) in authority_and_outcome {
        let issuer = KeyServer::start_encrypted(keys(), certificate);
        let file = AccessFile::new();
        file.replace(&issuer.entry());
        // Where the system's roots are, for whoever sets it.
        let server = file.program().variable("SSL_CERT_FILE", trusted.root()).start();
        let token = signer.token(&json!({"kid": "c"}), &issuer.claims("read"));
        assert_eq!(get_with(&server, "/orders", &token).status, status, "{told:?}");
        match told {
            None => assert!(!server.log().contains("cannot be fetched"), "{}", server.log()),
            Some(why) => {
                wait_for_log(&server, "the keys of an issuer cannot be fetched");
                assert!(server.log().contains(why), "{why}: {}", server.log());
            }
        }
        server.stop();
    }
}

#[test]
fn the_last_good_keys_stay_while_somebody_else_answers_for_the_issuer() {
    let (trusted, other) = (Authority::new("trusted").unwrap(), Authority::new("other").unwrap());
    let (signer, attacker) = (Signer::curve(), Signer::curve());
    let files = trusted.certificate(ADDRESS).unwrap();
    let issuer = KeyServer::start_encrypted(Behaviour::publishes(&[signer.jwk("c")]), files.clone());
    let file = AccessFile::new();
    file.replace(&format!("{}[strangers]\nrate = {{ per_second = 100000 }}\n", issuer.entry()));
    let server = file.program().variable("SSL_CERT_FILE", trusted.root()).start();
    let token = |signer: &Signer, kid: &str| signer.token(&json!({"kid": kid}), &issuer.claims("read"));
    assert_eq!(get_with(&server, "/orders", &token(&signer, "c")).status, 200);

    // Somebody in between has a certificate for the same address, and a key of his own.
    let forged = other.certificate(ADDRESS).unwrap();
    fs::copy(&forged.certificate, &files.certificate).unwrap();
    fs::copy(&forged.key, &files.key).unwrap();
    issuer.now(Behaviour::publishes(&[attacker.jwk("a")]));
    // It is asked again ten seconds after the first time.
    wait_until("the issuer is asked again, and not believed", || {
        assert_eq!(get_with(&server, "/orders", &token(&attacker, "a")).status, 401);
        server.log().contains("the keys of an issuer cannot be fetched").then_some(())
    });
    assert!(server.log().contains("UnknownIssuer"), "{}", server.log());
    let mut claims = issuer.claims("read");
    claims["sub"] = json!("another");
    assert_eq!(get_with(&server, "/orders", &signer.token(&json!({"kid": "c"}), &claims)).status, 200);
    server.stop();
}
