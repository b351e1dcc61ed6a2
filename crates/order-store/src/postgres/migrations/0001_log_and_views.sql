-- The log of all orders, and the view of each, in one schema of their own.

-- One row: which log this is, and whether it may be served.
CREATE TABLE order_service.log (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    identity uuid NOT NULL DEFAULT gen_random_uuid(),
    -- 'ready', or 'copying' while `order-service copy` fills the store.
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'copying')),
    -- The log that this one was copied from, if it was.
    copied_from uuid,
    -- The highest projection that a release which opened the store makes its rows with (0: none has yet); and the first
    -- position from which on events may have led to rows that an older one made. Null: there are none.
    projection integer NOT NULL DEFAULT 0,
    outdated_from bigint,
    -- How often a release with an older projection has repaired rows. A rebuild has not seen those that came behind it.
    older_repairs bigint NOT NULL DEFAULT 0
);
INSERT INTO order_service.log DEFAULT VALUES;

-- The truth. Rows are only ever added, in the order of their positions.
CREATE TABLE order_service.events (
    -- 1, 2, … in commit order, without gaps.
    position bigint PRIMARY KEY,
    -- The position of the order's first event. In the place of the order's id it keeps the index below small, and new
    -- entries at its end.
    order_key bigint NOT NULL,
    -- The event's place in its order's stream: 1, 2, …
    version bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    -- JSON, kept as the bytes that were written.
    data text NOT NULL,
    -- A JSON object: the event's CloudEvents extensions, kept as the bytes that were written.
    context text NOT NULL,
    -- The event's CloudEvents source, if it is another than the service's.
    source text,
    -- A byte that names its format, then that, over all of the above but the position and the key.
    checksum bytea NOT NULL,
    UNIQUE (order_key, version)
);

-- Where an order begins. It is the log that says whether there is an order, and no table that is derived from it: no order
-- is ever placed twice or taken for unknown, whatever becomes of the views. With the position in it, the index alone
-- answers, once the log's pages are vacuumed.
CREATE UNIQUE INDEX order_beginnings ON order_service.events (order_id) INCLUDE (position) WHERE version = 1;

-- The rows of lists and of single reads, derived from the events in the transactions that add them.
CREATE TABLE order_service.orders (
    -- The position of the order's first event: the order of placement.
    key bigint PRIMARY KEY,
    order_id text COLLATE "C" NOT NULL,
    -- 'ok'. Otherwise ('newer', 'damaged') the order cannot be read, and only its id and version mean anything.
    state text NOT NULL,
    version bigint NOT NULL,
    customer_id text,
    status text,
    total_cents bigint,
    placed_at timestamptz,
    updated_at timestamptz,
    -- When the order does something by itself. Null: never.
    due_at timestamptz,
    on_hold boolean,
    -- A byte that names its format, then that, over all of the above but the key, and over the projection.
    checksum bytea NOT NULL,
    -- The number of the projection that made the row.
    projection integer NOT NULL,
    -- The position of the order's last event. Whoever makes the checksum does not know it yet, so it is held against the log.
    updated_position bigint NOT NULL
) WITH (fillfactor = 90);

-- Finds the orders that are due. Few orders ever are.
CREATE INDEX orders_due ON order_service.orders (due_at, key) WHERE due_at IS NOT NULL;
-- Lists of the orders of a status, in placement order.
CREATE INDEX orders_by_status ON order_service.orders (status, key);
-- Lists in the order of the last events.
CREATE INDEX orders_by_update ON order_service.orders (updated_position);
-- Lists of the orders on hold, in placement order. Few orders ever are.
CREATE INDEX orders_on_hold ON order_service.orders (key) WHERE on_hold;

-- What orders are found by, beside their ids. The table grows with the log and no row of it ever changes.
CREATE TABLE order_service.order_terms (
    -- 'customer', 'payment', 'tracking' or 'sku'.
    kind text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    -- The order's. It has a term once.
    key bigint NOT NULL
);

-- Which 65,536 positions an order's first is in. Terms such as payment ids are random: in one index over all of them, each new
-- one would touch a page of its own, for ever. The part of a block is small, and when the next block has begun, it is hardly
-- touched again. A look-up asks one block after the other.
CREATE FUNCTION order_service.term_block_v1(key bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN key >> 16;

-- What stands for a term's value in the index: an entry then costs an append less than half of what one with the value costs, since
-- texts are compared one by one at each level of the tree.
CREATE FUNCTION order_service.term_hash_v1(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN hashtextextended(value, 0);

-- Lists of the orders with a term, in placement order; and whether an order has a term. Some other value may have the same hash.
CREATE INDEX order_terms_by_hash ON order_service.order_terms
    (order_service.term_block_v1(key), order_service.term_hash_v1(value), key);
-- The terms that an order has, for whoever repairs them. It costs next to nothing, since rows come about in the order of their keys.
CREATE INDEX order_terms_by_key ON order_service.order_terms
    USING brin (key int8_minmax_multi_ops) WITH (pages_per_range = 16, autosummarize = on);

-- When the events of a stretch of the log were. Times follow positions only about, since clocks are wrong now and then; so a list
-- of orders of some time goes over the log's stretches that have to do with it, and passes the others.
CREATE TABLE order_service.log_times (
    -- See below.
    zone bigint PRIMARY KEY,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Which 2,048 positions a position is among.
CREATE FUNCTION order_service.log_zone_v1("position" bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN "position" >> 11;

-- The first of those.
CREATE FUNCTION order_service.zone_start_v1(zone bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN zone << 11;

-- For people: the events with data and context as JSON that SQL can look into.
--   SELECT time, data ->> 'carrier' FROM order_service.event_log WHERE type = 'order.shipped.v1';
CREATE VIEW order_service.event_log AS
    SELECT position, order_id, version, type, time, data::json AS data, id, context::json AS context
    FROM order_service.events;

-- What commands were answered with that came with a key. They are no views: nothing could rebuild them.
CREATE TABLE order_service.receipts (
    -- A digest of the key, and of whose it is.
    key bytea PRIMARY KEY,
    -- A digest of what was asked for.
    fingerprint bytea NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    -- The order's version after the command.
    version bigint NOT NULL,
    -- 'placed' or 'accepted'.
    answer text NOT NULL,
    answered_at timestamptz NOT NULL,
    -- A byte that names its format, then that, over all of the above.
    checksum bytea NOT NULL
);

-- Finds those that are old enough to go.
CREATE INDEX receipts_by_age ON order_service.receipts (answered_at);

-- How far followers of the log have come. Only one instance moves a checkpoint at a time: it holds the lease on it.
CREATE TABLE order_service.checkpoints (
    name text PRIMARY KEY,
    -- Who has the lease. Null: nobody.
    holder text,
    -- Numbers those who have had it. None is ever given twice for a name; 0 is nobody's.
    epoch bigint NOT NULL DEFAULT 0,
    -- Goes up each time a holder shows that it lives.
    beat bigint NOT NULL DEFAULT 0,
    -- Everything up to here is done. Null until it is saved for the first time.
    position bigint,
    -- What the other side would have to show for it, in words of its adapter.
    evidence text
);
