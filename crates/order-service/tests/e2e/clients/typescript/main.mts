// Leads an order from placement to parcel with openapi-fetch and the types that openapi-typescript makes of the document.

import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.mjs";

const ORDER_ID = "ord-typescript";
const path = { id: ORDER_ID };

const client = createClient<paths>({ baseUrl: process.argv[2]! });

type Problem = components["schemas"]["Problem"];

/** What an accepted request was answered. */
function answer<T>(result: { data?: T; error?: unknown; response: Response }, status: number): T {
  assert.equal(result.response.status, status, JSON.stringify(result.error));
  assert(result.data !== undefined);
  return result.data;
}

function refusal(result: { error?: Problem | undefined; response: Response }, code: string): Problem {
  assert(result.error !== undefined);
  assert.equal(result.error.code, code);
  assert.equal(result.error.status, result.response.status);
  return result.error;
}

async function place(): Promise<void> {
  const body: components["schemas"]["PlaceOrder"] = {
    order_id: ORDER_ID,
    customer_id: "cust-123",
    items: [{ SKU: "sku-1", Quantity: 2, UnitPriceCents: 1500 }],
    adjustments: [{ kind: "shipping", label: "Parcel", amount_cents: 490 }],
  };
  // The same again is answered the same.
  for (let time = 0; time < 2; time++) {
    const placed = answer(await client.POST("/orders", { body }), 201);
    // A dry run would be answered otherwise.
    assert("order_id" in placed);
    assert.equal(placed.order_id, ORDER_ID);
  }
}

async function payReserveShip(): Promise<void> {
  const paid = await client.POST("/orders/{id}/payment", {
    params: { path },
    body: { payment_id: "pay-001", amount_cents: 3490 },
  });
  assert.deepEqual(answer(paid, 202), { status: "accepted" });
  const reserved = await client.POST("/orders/{id}/reserve", {
    // Only if nothing came between.
    params: { path, header: { "If-Match": paid.response.headers.get("ETag")! } },
    body: { reservation_id: "res-001" },
  });
  answer(reserved, 202);
  const body = { tracking_number: "1Z999", carrier: "UPS" };
  answer(await client.POST("/orders/{id}/ship", { params: { path }, body }), 202);
}

async function read(): Promise<void> {
  const basic = answer(await client.GET("/orders/{id}", { params: { path } }), 200);
  assert.deepEqual([basic.Status, basic.TotalCents], ["shipped", 3490]);
  const full = answer(await client.GET("/orders/{id}", { params: { path, query: { view: "full" } } }), 200);
  assert("Lines" in full);
  assert.equal(full.Lines[0]?.Shipped, 2);
  assert.equal(full.AuthorizedCents, 3490);
  const page = answer(await client.GET("/orders", { params: { query: { limit: 10 } } }), 200);
  assert.deepEqual(page.map((order) => order.OrderID), [ORDER_ID]);
}

async function find(): Promise<void> {
  const since = "2020-01-01T00:00:00+02:00";
  const found = await client.GET("/orders", {
    params: {
      query: {
        status: ["placed", "shipped"],
        tracking_number: "1Z999",
        placed_after: since,
        on_hold: false,
        sort: "-updated",
      },
    },
  });
  assert.deepEqual(answer(found, 200).map((order) => order.OrderID), [ORDER_ID]);
  for (const query of [{ status: ["placed" as const] }, { updated_before: since }]) {
    assert.deepEqual(answer(await client.GET("/orders", { params: { query } }), 200), []);
  }
}

async function readEvents(): Promise<void> {
  const history = answer(await client.GET("/orders/{id}/events", { params: { path } }), 200);
  assert.deepEqual(
    history.map((event) => event.type),
    ["order.placed.v1", "order.payment_authorized.v1", "order.inventory_reserved.v1", "order.shipped.v1"],
  );
  const paid = history[1];
  // The type says which data it is.
  assert(paid?.type === "order.payment_authorized.v1");
  assert.deepEqual([paid.data.payment_id, paid.data.amount_cents], ["pay-001", 3490]);
  const page = await client.GET("/events", { params: { query: { type: ["order.placed.v1"] } } });
  const placed = answer(page, 200);
  // It would be the text of a live feed, had we asked for that.
  assert(typeof placed !== "string");
  assert.deepEqual(placed.map((event) => event.subject), [ORDER_ID]);
}

async function beRefused(): Promise<void> {
  const again = await client.POST("/orders/{id}/reserve", {
    params: { path },
    body: { reservation_id: "res-002" },
  });
  const refused = refusal(again, "invalid-transition");
  assert.deepEqual([refused.order_status, refused.version], ["shipped", 4]);
  const nothing = await client.POST("/orders", { body: { customer_id: "cust-123", items: [] } });
  assert.equal(refusal(nothing, "validation-failed").errors?.[0]?.pointer, "/items");
  refusal(await client.GET("/orders/{id}", { params: { path: { id: "nobody" } } }), "order-not-found");
}

await place();
await payReserveShip();
await read();
await find();
await readEvents();
await beRefused();
