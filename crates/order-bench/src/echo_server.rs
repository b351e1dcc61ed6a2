//! The limit for every request: an axum program that parses the same bodies, answers the same bytes and does nothing
//! else. Allocator, runtime and HTTP stack are the service's own, so the ratio between the two is what the service adds.

use std::io::Write;

use anyhow::Result;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves on a free port of the loopback interface, until SIGTERM.
pub(crate) fn run() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<()> {
    let router = Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/payment", post(payment))
        .route("/orders/{id}/reserve", post(reserve))
        .route("/orders/{id}/ship", post(ship));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(std::io::stdout(), "echo-server listening on :{port}")?;
    tokio::select! {
        served = async { axum::serve(listener, router).await } => Ok(served?),
        _ = terminate.recv() => Ok(()),
    }
}

#[derive(Deserialize)]
struct PlaceOrder {
    order_id: String,
    customer_id: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    #[serde(rename = "SKU")]
    sku: String,
    quantity: u64,
    unit_price_cents: u64,
}

#[derive(Deserialize)]
struct AuthorizePayment {
    payment_id: String,
    amount_cents: u64,
}

#[derive(Deserialize)]
struct ReserveInventory {
    reservation_id: String,
}

#[derive(Deserialize)]
struct ShipOrder {
    tracking_number: String,
    carrier: String,
}

async fn place(Json(order): Json<PlaceOrder>) -> impl IntoResponse {
    std::hint::black_box(&order.customer_id);
    for item in &order.items {
        std::hint::black_box((&item.sku, item.quantity, item.unit_price_cents));
    }
    json(StatusCode::CREATED, Bytes::from(format!(r#"{{"order_id":"{}"}}"#, order.order_id)))
}

async fn payment(Path(id): Path<String>, Json(payment): Json<AuthorizePayment>) -> impl IntoResponse {
    std::hint::black_box((id, payment.payment_id, payment.amount_cents));
    accepted()
}

async fn reserve(Path(id): Path<String>, Json(reservation): Json<ReserveInventory>) -> impl IntoResponse {
    std::hint::black_box((id, reservation.reservation_id));
    accepted()
}

async fn ship(Path(id): Path<String>, Json(parcel): Json<ShipOrder>) -> impl IntoResponse {
    std::hint::black_box((id, parcel.tracking_number, parcel.carrier));
    accepted()
}

async fn order(Path(id): Path<String>) -> impl IntoResponse {
    json(
        StatusCode::OK,
        Bytes::from(format!(
            r#"{{"OrderID":"{id}","CustomerID":"cust-123","Status":"placed","TotalCents":3000,"LastUpdated":1764917328}}"#
        )),
    )
}

fn accepted() -> impl IntoResponse {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"accepted"}"#))
}

fn json(status: StatusCode, body: Bytes) -> impl IntoResponse {
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}
