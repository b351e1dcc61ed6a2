use crate::harness::Harness;

#[tokio::test]
async fn a_stopping_service_is_alive_and_not_ready() {
    let h = Harness::new();
    h.get("/ready")
        .await
        .is(200, r#"{"status":"ready","checks":{"lifecycle":"serving","store":"ok"}}"#)
        .has("content-type", "application/json");
    h.shutdown.cancel();
    h.get("/ready").await.is(503, r#"{"status":"not_ready","checks":{"lifecycle":"draining","store":"ok"}}"#);
    h.get("/health").await.is(200, r#"{"status":"ok"}"#);
}
