// Places orders with Emmett on PostgreSQL: `node place.js DATABASE_URL CLIENTS WARM_UP_SECONDS SECONDS`.

import { randomUUID } from 'node:crypto';
import { CommandHandler, IllegalStateError, ValidationError } from '@event-driven-io/emmett';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const initialState = () => ({ placed: false });
const evolve = (_state, _event) => ({ placed: true });
const handle = CommandHandler({ evolve, initialState });

function place(state, { customer_id, lines }) {
  if (state.placed) throw new IllegalStateError('the order is placed already');
  if (lines.length === 0 || lines.some((line) => line.quantity < 1 || line.unit_price_cents < 0)) {
    throw new ValidationError('an order has lines of at least one unit each, at prices that are not negative');
  }
  const total_cents = lines.reduce((sum, line) => sum + line.quantity * line.unit_price_cents, 0);
  return { type: 'order.placed', data: { customer_id, currency: 'USD', total_cents, lines } };
}

const [connectionString, ...numbers] = process.argv.slice(2);
const [clients, warmUpSeconds, seconds] = numbers.map(Number);

const pool = new pg.Pool({ connectionString, max: clients });
const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pool } });
await store.schema.migrate();

const begin = performance.now() + warmUpSeconds * 1000;
const end = begin + seconds * 1000;
const latencies = [];

async function placeUntilEnd() {
  for (;;) {
    const askedAt = performance.now();
    const command = {
      customer_id: 'cust-123',
      lines: [{ line: 1, sku: 'sku-1', quantity: 2, unit_price_cents: 1500 }],
    };
    await handle(store, `order-${randomUUID()}`, (state) => place(state, command));
    const answeredAt = performance.now();
    if (answeredAt >= end) return;
    if (answeredAt >= begin) latencies.push(answeredAt - askedAt);
  }
}

await Promise.all(Array.from({ length: clients }, placeUntilEnd));
await store.close();
await pool.end();

latencies.sort((a, b) => a - b);
const quantile = (share) => latencies[Math.max(Math.ceil(latencies.length * share) - 1, 0)] ?? 0;
console.log(
  JSON.stringify({
    requests_per_s: latencies.length / seconds,
    p50_ms: quantile(0.5),
    p99_ms: quantile(0.99),
    p999_ms: quantile(0.999),
    max_ms: quantile(1),
  }),
);
