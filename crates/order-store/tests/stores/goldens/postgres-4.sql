CREATE SCHEMA order_service;
CREATE TABLE order_service.migrations (version bigint PRIMARY KEY, oldest_compatible bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
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
-- Functions are versioned by their names. One that has been released is never changed: what has to change gets the next
-- name, and the old one stays for the releases that call it. So that it goes on to work when a table gets a column with the
-- name of one of its variables, each says which of the two it means.

-- Takes the lock on the log's end, until the transaction ends. Says how long it was somebody else's, in microseconds.
CREATE FUNCTION order_service.lock_log_end_v1() RETURNS bigint
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
    asked timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_advisory_xact_lock(1869767780);
    RETURN greatest(0, extract(epoch FROM clock_timestamp() - asked) * 1000000)::bigint;
END
$$;

-- The only way by which events are added: all appends of a batch, in one call, which is one transaction.
--
-- It takes the lock on the log's end first, and holds it until the commit. So positions follow commit order, without gaps.
-- Each statement after that sees everything that was committed before, since in READ COMMITTED a statement's snapshot is
-- taken when the statement begins. (One statement that locked *and* looked would look at what was there before it
-- waited.) No client is waited for while the lock is held.
--
-- An append whose key has a receipt already is refused, whatever its order's version: it was accepted before. (A receipt that
-- comes without events takes no lock, so it may still be in the way of one that is added here: then the call fails, and the
-- next finds it.)
--
-- An append whose order is not at the expected version is refused, and the others go on. If what is in its place is
-- that very append, committed earlier by a connection that broke before it could answer, that is success.
--
-- Which version an order has is asked of the log alone. Rows of views are only written here, as a whole and whatever is in
-- their place, so that damage to them reaches no decision.
CREATE FUNCTION order_service.append_v1(
    -- One entry for each append; no order more than once.
    order_ids text[],
    states text[],
    versions bigint[],
    customer_ids text[],
    statuses text[],
    totals bigint[],
    placed_ats timestamptz[],
    updated_ats timestamptz[],
    due_ats timestamptz[],
    on_holds boolean[],
    view_checksums bytea[],
    expected_versions bigint[],
    event_counts bigint[],
    first_event_ids uuid[],
    -- One entry for each event: the number of its append, from 1, and what its row has.
    event_appends int[],
    event_versions bigint[],
    event_ids uuid[],
    event_types text[],
    event_times timestamptz[],
    event_order_ids text[],
    event_data text[],
    event_contexts text[],
    event_sources text[],
    event_checksums bytea[],
    -- One entry for each receipt, which only some appends have: the number of its append, and what its row has.
    receipt_appends int[],
    receipt_keys bytea[],
    receipt_fingerprints bytea[],
    receipt_order_ids text[],
    receipt_versions bigint[],
    receipt_answers text[],
    receipt_times timestamptz[],
    receipt_checksums bytea[],
    -- One entry for each term that the appends add to their orders: the number of its append, and what it is. No order has it
    -- yet.
    term_appends int[],
    term_kinds text[],
    term_values text[],
    -- The projection that made the views.
    of_projection integer,
    -- For each append: the position of its first event, or null if it is refused; the version that was found; and whether it
    -- was refused because there is a receipt under its key.
    OUT first_positions bigint[],
    OUT found_versions bigint[],
    OUT keys_taken boolean[],
    -- How long the lock on the log's end was somebody else's.
    OUT waited_micros bigint
)
LANGUAGE plpgsql
-- Plans that were made while the tables were small must not be used when they are large: no scans, ever.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_memoize = off
SET jit = off
-- Whoever holds the lock on the log's end for longer than this has come to grief; the caller tries again.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    keys bigint[];
    last_position bigint;
    log_end bigint;
    -- Positions of what this call adds.
    added_positions bigint[];
    -- Where an append of this call was committed already.
    earlier bigint;
    repeated boolean := false;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'order_service.append_v1 needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    waited_micros := order_service.lock_log_end_v1();

    SELECT array_agg(b.position ORDER BY a.n), array_agg(coalesce(b.last_version, 0) ORDER BY a.n)
        INTO keys, found_versions
        FROM unnest(order_ids) WITH ORDINALITY AS a(order_id, n)
        LEFT JOIN LATERAL (
            SELECT e.position, (SELECT l.version FROM order_service.events l WHERE l.order_key = e.position
                                    ORDER BY l.version DESC LIMIT 1) AS last_version
                FROM order_service.events e WHERE e.order_id = a.order_id AND e.version = 1 LIMIT 1
        ) b ON true;
    SELECT coalesce(max(e.position), 0) INTO last_position FROM order_service.events e;
    log_end := last_position;

    added_positions := array_fill(NULL::bigint, ARRAY[cardinality(order_ids)]);
    first_positions := added_positions;
    keys_taken := array_fill(false, ARRAY[cardinality(order_ids)]);
    FOR n IN 1 .. cardinality(receipt_keys) LOOP
        keys_taken[receipt_appends[n]] := EXISTS (SELECT FROM order_service.receipts r WHERE r.key = receipt_keys[n]);
    END LOOP;
    FOR n IN 1 .. cardinality(order_ids) LOOP
        IF found_versions[n] = expected_versions[n] AND NOT keys_taken[n] THEN
            added_positions[n] := log_end + 1;
            first_positions[n] := log_end + 1;
            log_end := log_end + event_counts[n];
        ELSIF found_versions[n] > expected_versions[n] THEN
            SELECT e.position INTO earlier FROM order_service.events e
                WHERE e.order_key = keys[n] AND e.version = expected_versions[n] + 1 AND e.id = first_event_ids[n];
            first_positions[n] := earlier;
            repeated := repeated OR earlier IS NOT NULL;
            -- The receipt is its own, in that case.
            keys_taken[n] := keys_taken[n] AND earlier IS NULL;
        END IF;
    END LOOP;

    IF log_end > last_position THEN
        -- A row of an order that is new can only be in the way by damage, and one that is lost is made here as well as
        -- anywhere.
        --
        -- Arrays are unnested in the list of columns: rows then come one by one, and not by way of a stored set. ON CONFLICT would
        -- look twice at the index, each time with memory of its own; the lock on the log's end keeps away whoever adds rows.
        MERGE INTO order_service.orders o
        USING (
            SELECT coalesce(p.known_key, p.position) AS key, p.position + p.events - 1 AS updated_position, p.*
                FROM (SELECT unnest(keys) AS known_key, unnest(added_positions) AS position, unnest(event_counts) AS events,
                             unnest(order_ids) AS order_id, unnest(states) AS state, unnest(versions) AS version,
                             unnest(customer_ids) AS customer_id, unnest(statuses) AS status, unnest(totals) AS total,
                             unnest(placed_ats) AS placed_at, unnest(updated_ats) AS updated_at, unnest(due_ats) AS due_at,
                             unnest(on_holds) AS on_hold, unnest(view_checksums) AS checksum) p
                WHERE p.position IS NOT NULL
        ) a ON o.key = a.key
        WHEN MATCHED THEN UPDATE
            SET order_id = a.order_id, state = a.state, version = a.version, customer_id = a.customer_id, status = a.status,
                total_cents = a.total, placed_at = a.placed_at, updated_at = a.updated_at, due_at = a.due_at,
                on_hold = a.on_hold, checksum = a.checksum, projection = of_projection, updated_position = a.updated_position
        WHEN NOT MATCHED THEN INSERT
            (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, due_at, on_hold,
             checksum, projection, updated_position)
            VALUES (a.key, a.order_id, a.state, a.version, a.customer_id, a.status, a.total, a.placed_at, a.updated_at,
                    a.due_at, a.on_hold, a.checksum, of_projection, a.updated_position);
        WITH added AS (
            INSERT INTO order_service.events AS a
                (position, order_key, version, id, type, time, order_id, data, context, source, checksum)
            SELECT added_positions[e.append] + e.version - expected_versions[e.append] - 1,
                   coalesce(keys[e.append], added_positions[e.append]),
                   e.version, e.id, e.type, e.time, e.order_id, e.data, e.context, e.source, e.checksum
                FROM (SELECT unnest(event_appends) AS append, unnest(event_versions) AS version, unnest(event_ids) AS id,
                             unnest(event_types) AS type, unnest(event_times) AS time, unnest(event_order_ids) AS order_id,
                             unnest(event_data) AS data, unnest(event_contexts) AS context, unnest(event_sources) AS source,
                             unnest(event_checksums) AS checksum) e
                WHERE added_positions[e.append] IS NOT NULL
            RETURNING order_service.log_zone_v1(a.position) AS zone, a.time
        )
        INSERT INTO order_service.log_times AS l (zone, earliest, latest)
        SELECT a.zone, min(a.time), max(a.time) FROM added a GROUP BY a.zone
        ON CONFLICT (zone) DO UPDATE
            SET earliest = least(l.earliest, excluded.earliest), latest = greatest(l.latest, excluded.latest)
            WHERE l.earliest > excluded.earliest OR l.latest < excluded.latest;
        IF cardinality(term_appends) > 0 THEN
            INSERT INTO order_service.order_terms (kind, value, key)
            SELECT t.kind, t.value, coalesce(keys[t.append], added_positions[t.append])
                FROM (SELECT unnest(term_appends) AS append, unnest(term_kinds) AS kind, unnest(term_values) AS value) t
                WHERE added_positions[t.append] IS NOT NULL;
        END IF;
        IF cardinality(receipt_appends) > 0 THEN
            INSERT INTO order_service.receipts
                (key, fingerprint, order_id, version, answer, answered_at, checksum)
            SELECT r.key, r.fingerprint, r.order_id, r.version, r.answer, r.answered_at, r.checksum
                FROM (SELECT unnest(receipt_appends) AS append, unnest(receipt_keys) AS key,
                             unnest(receipt_fingerprints) AS fingerprint, unnest(receipt_order_ids) AS order_id,
                             unnest(receipt_versions) AS version, unnest(receipt_answers) AS answer,
                             unnest(receipt_times) AS answered_at, unnest(receipt_checksums) AS checksum) r
                WHERE added_positions[r.append] IS NOT NULL;
        END IF;
        -- A newer release rebuilds these rows.
        UPDATE order_service.log l SET outdated_from = least(l.outdated_from, last_position + 1)
            WHERE l.projection > of_projection;
    ELSIF repeated THEN
        -- The earlier commit may have been cut off while it waited for a synchronous standby. A commit of our own waits
        -- for the standby to have both, if there is something to commit: a message to nobody. (A transaction id alone
        -- is nothing.)
        PERFORM pg_logical_emit_message(true, 'order_service', ''::text);
    END IF;
END
$$;

-- The views of many orders at once, beside what the log says of each: its key, its version, and where its last event is. The row is as it is, or
-- null if it is lost. Orders that the log does not have are left out.
CREATE FUNCTION order_service.look_up_v1(order_ids text[])
RETURNS TABLE (
    asked_id text, log_key bigint, log_version bigint, log_updated bigint,
    key bigint, order_id text, state text, version bigint, customer_id text, status text, total_cents bigint,
    placed_at timestamptz, updated_at timestamptz, due_at timestamptz, on_hold boolean, checksum bytea, projection integer,
    updated_position bigint
)
LANGUAGE plpgsql STABLE ROWS 64
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_memoize = off
SET jit = off
AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT a.order_id, b.position, l.version, l.position,
            o.key, o.order_id, o.state, o.version, o.customer_id, o.status, o.total_cents, o.placed_at, o.updated_at,
            o.due_at, o.on_hold, o.checksum, o.projection, o.updated_position
        FROM unnest(order_ids) AS a(order_id)
        JOIN LATERAL (
            SELECT e.position FROM order_service.events e WHERE e.order_id = a.order_id AND e.version = 1 LIMIT 1
        ) b ON true
        LEFT JOIN LATERAL (
            SELECT e.version, e.position FROM order_service.events e WHERE e.order_key = b.position
                ORDER BY e.version DESC LIMIT 1
        ) l ON true
        LEFT JOIN order_service.orders o ON o.key = b.position;
END
$$;
-- Repairing and rebuilding views, beside appends. Appends wait for nothing of it but for rows that are just being written.

-- Writes rows that a repair has made: in the place of others, if those are still what was seen (an append that came in between
-- wrote a row of its own, which is newer; rows that an append is just writing are left out), or, where nothing was seen,
-- because the row is lost. The lock on the log's end then keeps appends away that may be about to add the same; one that
-- came in between has added its order's. Answers with the keys of the rows that were written.
CREATE FUNCTION order_service.write_views_v1(
    keys bigint[],
    -- Null: there was no row.
    seen_versions bigint[],
    seen_checksums bytea[],
    order_ids text[],
    states text[],
    versions bigint[],
    customer_ids text[],
    statuses text[],
    totals bigint[],
    placed_ats timestamptz[],
    updated_ats timestamptz[],
    due_ats timestamptz[],
    on_holds boolean[],
    view_checksums bytea[],
    updated_positions bigint[],
    of_projection integer
) RETURNS SETOF bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    written bigint[];
BEGIN
    IF array_position(seen_versions, NULL) IS NOT NULL THEN
        PERFORM order_service.lock_log_end_v1();
    END IF;
    WITH made AS (
        SELECT * FROM unnest(keys, seen_versions, seen_checksums, order_ids, states, versions, customer_ids, statuses,
                             totals, placed_ats, updated_ats, due_ats, on_holds, view_checksums, updated_positions)
            AS a(key, seen_version, seen_checksum, order_id, state, version, customer_id, status, total, placed_at,
                 updated_at, due_at, on_hold, checksum, updated_position)
    ), seen AS MATERIALIZED (
        SELECT m.* FROM made m JOIN order_service.orders o ON o.key = m.key
            WHERE o.version = m.seen_version AND o.checksum = m.seen_checksum
            FOR UPDATE OF o SKIP LOCKED
    ), replaced AS (
        UPDATE order_service.orders o
            SET order_id = s.order_id, state = s.state, version = s.version, customer_id = s.customer_id,
                status = s.status, total_cents = s.total, placed_at = s.placed_at, updated_at = s.updated_at,
                due_at = s.due_at, on_hold = s.on_hold, checksum = s.checksum, projection = of_projection,
                updated_position = s.updated_position
            FROM seen s WHERE o.key = s.key
            RETURNING o.key
    ), restored AS (
        INSERT INTO order_service.orders AS o
            (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, due_at, on_hold,
             checksum, projection, updated_position)
        SELECT m.key, m.order_id, m.state, m.version, m.customer_id, m.status, m.total, m.placed_at, m.updated_at,
               m.due_at, m.on_hold, m.checksum, of_projection, m.updated_position
            FROM made m WHERE m.seen_version IS NULL
        ON CONFLICT (key) DO NOTHING
        RETURNING o.key
    )
    SELECT coalesce(array_agg(w.key), '{}') INTO written
        FROM (SELECT r.key FROM replaced r UNION ALL SELECT r.key FROM restored r) w;
    -- Whoever goes over all rows with a newer projection may have been past these already.
    UPDATE order_service.log l
        SET outdated_from = least(l.outdated_from, (SELECT min(w.key) FROM unnest(written) AS w(key))),
            older_repairs = l.older_repairs + 1
        WHERE l.projection > of_projection AND cardinality(written) > 0;
    RETURN QUERY SELECT unnest(written);
END
$$;

-- A release begins to serve that makes rows with a projection: all that there are may be of an older one. The lock on
-- the log's end keeps appends away that do not know of it yet.
CREATE FUNCTION order_service.expect_projection_v1(of_projection integer) RETURNS void
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM order_service.lock_log_end_v1();
    UPDATE order_service.log l
        SET projection = of_projection, outdated_from = CASE WHEN EXISTS (SELECT FROM order_service.events) THEN 1 END
        WHERE l.projection < of_projection;
END
$$;

-- All rows of orders without events after a position are of a projection, or of a later one, but for those that an older
-- release has repaired since there were so many of its repairs. Without any, it is remembered that those after the position are
-- outdated, too, or that none is. Says whether none is. Null: there were such repairs, and all is to be looked at again.
CREATE FUNCTION order_service.views_followed_v1(up_to bigint, of_projection integer, repairs_before bigint) RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    outdated boolean;
BEGIN
    PERFORM order_service.lock_log_end_v1();
    -- Not a join: that might begin with all orders.
    outdated := EXISTS (SELECT FROM order_service.events e WHERE e.position > up_to
                            AND (SELECT o.projection FROM order_service.orders o WHERE o.key = e.order_key) < of_projection);
    UPDATE order_service.log l SET outdated_from = CASE WHEN outdated THEN up_to + 1 END
        WHERE l.projection = of_projection AND l.outdated_from IS NOT NULL AND l.older_repairs = repairs_before;
    IF (SELECT l.older_repairs FROM order_service.log l) <> repairs_before THEN
        RETURN NULL;
    END IF;
    RETURN NOT outdated;
END
$$;
-- Appends as before, but not to a log that has gone back under the service, not to one that somebody copies into, and not if
-- the table leaves out some of the events.
-- append_v1 stays for the releases that call it.

-- The only way by which events are added: all appends of a batch, in one call, which is one transaction.
--
-- It takes the lock on the log's end first, and holds it until the commit. So positions follow commit order, without gaps.
-- Each statement after that sees everything that was committed before, since in READ COMMITTED a statement's snapshot is
-- taken when the statement begins. (One statement that locked *and* looked would look at what was there before it
-- waited.) No client is waited for while the lock is held.
--
-- An append whose key has a receipt already is refused, whatever its order's version: it was accepted before. (A receipt that
-- comes without events takes no lock, so it may still be in the way of one that is added here: then the call fails, and the
-- next finds it.)
--
-- An append whose order is not at the expected version is refused, and the others go on. If what is in its place is
-- that very append, committed earlier by a connection that broke before it could answer, that is success.
--
-- Nothing is added to a log that has gone back. The caller names the newest event that it knows, and all that its appends were
-- decided on is in a log that has it. Where it is missing, versions mean nothing: an order may have got another history under the
-- same one.
--
-- Which version an order has is asked of the log alone. Rows of views are only written here, as a whole and whatever is in
-- their place, so that damage to them reaches no decision.
CREATE FUNCTION order_service.append_v2(
    -- One entry for each append; no order more than once.
    order_ids text[],
    states text[],
    versions bigint[],
    customer_ids text[],
    statuses text[],
    totals bigint[],
    placed_ats timestamptz[],
    updated_ats timestamptz[],
    due_ats timestamptz[],
    on_holds boolean[],
    view_checksums bytea[],
    expected_versions bigint[],
    event_counts bigint[],
    first_event_ids uuid[],
    -- One entry for each event: the number of its append, from 1, and what its row has.
    event_appends int[],
    event_versions bigint[],
    event_ids uuid[],
    event_types text[],
    event_times timestamptz[],
    event_order_ids text[],
    event_data text[],
    event_contexts text[],
    event_sources text[],
    event_checksums bytea[],
    -- One entry for each receipt, which only some appends have: the number of its append, and what its row has.
    receipt_appends int[],
    receipt_keys bytea[],
    receipt_fingerprints bytea[],
    receipt_order_ids text[],
    receipt_versions bigint[],
    receipt_answers text[],
    receipt_times timestamptz[],
    receipt_checksums bytea[],
    -- One entry for each term that the appends add to their orders: the number of its append, and what it is. No order has it
    -- yet.
    term_appends int[],
    term_kinds text[],
    term_values text[],
    -- The projection that made the views.
    of_projection integer,
    -- The newest event that the caller knows of this log: where it is, or 0 if there is none, and its id.
    known_position bigint,
    known_id uuid,
    -- For each append: the position of its first event, or null if it is refused; the version that was found; and whether it
    -- was refused because there is a receipt under its key.
    OUT first_positions bigint[],
    OUT found_versions bigint[],
    OUT keys_taken boolean[],
    -- How long the lock on the log's end was somebody else's.
    OUT waited_micros bigint,
    -- Whether the log does not have that event any more. Then nothing was looked at, and nothing is added.
    OUT went_back boolean
)
LANGUAGE plpgsql
-- Plans that were made while the tables were small must not be used when they are large: no scans, ever.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_memoize = off
SET jit = off
-- Whoever holds the lock on the log's end for longer than this has come to grief; the caller tries again.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    keys bigint[];
    last_position bigint;
    log_end bigint;
    -- Positions of what this call adds.
    added_positions bigint[];
    -- Where an append of this call was committed already.
    earlier bigint;
    repeated boolean := false;
    -- How many events are to be added, and how many were.
    events_to_add bigint := 0;
    added_events bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'order_service.append_v2 needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    waited_micros := order_service.lock_log_end_v1();

    -- Whoever copies into a store has it for himself until he is done, also from instances that were there before.
    IF EXISTS (SELECT FROM order_service.log l WHERE l.state <> 'ready') THEN
        RAISE 'the store is the target of an unfinished copy or restore'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    went_back := known_position > 0 AND NOT EXISTS (
        SELECT FROM order_service.events e WHERE e.position = known_position AND e.id = known_id);
    IF went_back THEN
        RETURN;
    END IF;

    SELECT array_agg(b.position ORDER BY a.n), array_agg(coalesce(b.last_version, 0) ORDER BY a.n)
        INTO keys, found_versions
        FROM unnest(order_ids) WITH ORDINALITY AS a(order_id, n)
        LEFT JOIN LATERAL (
            SELECT e.position, (SELECT l.version FROM order_service.events l WHERE l.order_key = e.position
                                    ORDER BY l.version DESC LIMIT 1) AS last_version
                FROM order_service.events e WHERE e.order_id = a.order_id AND e.version = 1 LIMIT 1
        ) b ON true;
    SELECT coalesce(max(e.position), 0) INTO last_position FROM order_service.events e;
    log_end := last_position;

    added_positions := array_fill(NULL::bigint, ARRAY[cardinality(order_ids)]);
    first_positions := added_positions;
    keys_taken := array_fill(false, ARRAY[cardinality(order_ids)]);
    FOR n IN 1 .. cardinality(receipt_keys) LOOP
        keys_taken[receipt_appends[n]] := EXISTS (SELECT FROM order_service.receipts r WHERE r.key = receipt_keys[n]);
    END LOOP;
    FOR n IN 1 .. cardinality(order_ids) LOOP
        IF found_versions[n] = expected_versions[n] AND NOT keys_taken[n] THEN
            added_positions[n] := log_end + 1;
            first_positions[n] := log_end + 1;
            log_end := log_end + event_counts[n];
            events_to_add := events_to_add + event_counts[n];
        ELSIF found_versions[n] > expected_versions[n] THEN
            SELECT e.position INTO earlier FROM order_service.events e
                WHERE e.order_key = keys[n] AND e.version = expected_versions[n] + 1 AND e.id = first_event_ids[n];
            first_positions[n] := earlier;
            repeated := repeated OR earlier IS NOT NULL;
            -- The receipt is its own, in that case.
            keys_taken[n] := keys_taken[n] AND earlier IS NULL;
        END IF;
    END LOOP;

    IF log_end > last_position THEN
        -- A row of an order that is new can only be in the way by damage, and one that is lost is made here as well as
        -- anywhere.
        --
        -- Arrays are unnested in the list of columns: rows then come one by one, and not by way of a stored set. ON CONFLICT would
        -- look twice at the index, each time with memory of its own; the lock on the log's end keeps away whoever adds rows.
        MERGE INTO order_service.orders o
        USING (
            SELECT coalesce(p.known_key, p.position) AS key, p.position + p.events - 1 AS updated_position, p.*
                FROM (SELECT unnest(keys) AS known_key, unnest(added_positions) AS position, unnest(event_counts) AS events,
                             unnest(order_ids) AS order_id, unnest(states) AS state, unnest(versions) AS version,
                             unnest(customer_ids) AS customer_id, unnest(statuses) AS status, unnest(totals) AS total,
                             unnest(placed_ats) AS placed_at, unnest(updated_ats) AS updated_at, unnest(due_ats) AS due_at,
                             unnest(on_holds) AS on_hold, unnest(view_checksums) AS checksum) p
                WHERE p.position IS NOT NULL
        ) a ON o.key = a.key
        WHEN MATCHED THEN UPDATE
            SET order_id = a.order_id, state = a.state, version = a.version, customer_id = a.customer_id, status = a.status,
                total_cents = a.total, placed_at = a.placed_at, updated_at = a.updated_at, due_at = a.due_at,
                on_hold = a.on_hold, checksum = a.checksum, projection = of_projection, updated_position = a.updated_position
        WHEN NOT MATCHED THEN INSERT
            (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, due_at, on_hold,
             checksum, projection, updated_position)
            VALUES (a.key, a.order_id, a.state, a.version, a.customer_id, a.status, a.total, a.placed_at, a.updated_at,
                    a.due_at, a.on_hold, a.checksum, of_projection, a.updated_position);
        WITH added AS (
            INSERT INTO order_service.events AS a
                (position, order_key, version, id, type, time, order_id, data, context, source, checksum)
            SELECT added_positions[e.append] + e.version - expected_versions[e.append] - 1,
                   coalesce(keys[e.append], added_positions[e.append]),
                   e.version, e.id, e.type, e.time, e.order_id, e.data, e.context, e.source, e.checksum
                FROM (SELECT unnest(event_appends) AS append, unnest(event_versions) AS version, unnest(event_ids) AS id,
                             unnest(event_types) AS type, unnest(event_times) AS time, unnest(event_order_ids) AS order_id,
                             unnest(event_data) AS data, unnest(event_contexts) AS context, unnest(event_sources) AS source,
                             unnest(event_checksums) AS checksum) e
                WHERE added_positions[e.append] IS NOT NULL
            RETURNING order_service.log_zone_v1(a.position) AS zone, a.time
        ), timed AS (
            INSERT INTO order_service.log_times AS l (zone, earliest, latest)
            SELECT a.zone, min(a.time), max(a.time) FROM added a GROUP BY a.zone
            ON CONFLICT (zone) DO UPDATE
                SET earliest = least(l.earliest, excluded.earliest), latest = greatest(l.latest, excluded.latest)
                WHERE l.earliest > excluded.earliest OR l.latest < excluded.latest
        )
        SELECT count(*) INTO added_events FROM added;
        -- Somebody's trigger may leave rows out, and says nothing. None of it is acknowledged then.
        IF added_events <> events_to_add THEN
            RAISE 'order_service.events took % of % events: is there a trigger, a rule or a policy on the table?',
                added_events, events_to_add
                USING ERRCODE = 'triggered_data_change_violation';
        END IF;
        IF cardinality(term_appends) > 0 THEN
            INSERT INTO order_service.order_terms (kind, value, key)
            SELECT t.kind, t.value, coalesce(keys[t.append], added_positions[t.append])
                FROM (SELECT unnest(term_appends) AS append, unnest(term_kinds) AS kind, unnest(term_values) AS value) t
                WHERE added_positions[t.append] IS NOT NULL;
        END IF;
        IF cardinality(receipt_appends) > 0 THEN
            INSERT INTO order_service.receipts
                (key, fingerprint, order_id, version, answer, answered_at, checksum)
            SELECT r.key, r.fingerprint, r.order_id, r.version, r.answer, r.answered_at, r.checksum
                FROM (SELECT unnest(receipt_appends) AS append, unnest(receipt_keys) AS key,
                             unnest(receipt_fingerprints) AS fingerprint, unnest(receipt_order_ids) AS order_id,
                             unnest(receipt_versions) AS version, unnest(receipt_answers) AS answer,
                             unnest(receipt_times) AS answered_at, unnest(receipt_checksums) AS checksum) r
                WHERE added_positions[r.append] IS NOT NULL;
        END IF;
        -- A newer release rebuilds these rows.
        UPDATE order_service.log l SET outdated_from = least(l.outdated_from, last_position + 1)
            WHERE l.projection > of_projection;
    ELSIF repeated THEN
        -- The earlier commit may have been cut off while it waited for a synchronous standby. A commit of our own waits
        -- for the standby to have both, if there is something to commit: a message to nobody. (A transaction id alone
        -- is nothing.)
        PERFORM pg_logical_emit_message(true, 'order_service', ''::text);
    END IF;
END
$$;
DELETE FROM order_service.migrations;
INSERT INTO order_service.migrations SELECT * FROM json_populate_record(NULL::order_service.migrations, '{"version":1,"oldest_compatible":1,"applied_at":"2026-11-28T00:11:50.09642+00:00"}');
INSERT INTO order_service.migrations SELECT * FROM json_populate_record(NULL::order_service.migrations, '{"version":2,"oldest_compatible":2,"applied_at":"2026-11-28T00:11:50.124562+00:00"}');
INSERT INTO order_service.migrations SELECT * FROM json_populate_record(NULL::order_service.migrations, '{"version":3,"oldest_compatible":3,"applied_at":"2026-11-28T00:11:50.135033+00:00"}');
INSERT INTO order_service.migrations SELECT * FROM json_populate_record(NULL::order_service.migrations, '{"version":4,"oldest_compatible":3,"applied_at":"2026-11-28T00:11:50.140977+00:00"}');
DELETE FROM order_service.log;
INSERT INTO order_service.log SELECT * FROM json_populate_record(NULL::order_service.log, '{"only_row":true,"identity":"4d379522-e591-4dbc-bca3-a282b0ac727a","state":"ready","copied_from":null,"projection":17,"outdated_from":null,"older_repairs":0}');
DELETE FROM order_service.events;
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":1,"order_key":1,"version":1,"id":"01a21f7e-7272-7634-8c4e-5986619c77eb","type":"order.placed.v1","time":"2026-01-01T00:00:00+00:00","order_id":"golden-1","data":"{\\"customer_id\\":\\"cust-1\\",\\"currency\\":\\"USD\\",\\"total_cents\\":3000,\\"lines\\":[{\\"line\\":1,\\"sku\\":\\"sku-1\\",\\"quantity\\":2,\\"unit_price_cents\\":1500}]}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x01ff302a6c08a5ac3a"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":10,"order_key":10,"version":1,"id":"01a21f7e-7283-72b7-845d-76551cbd22d5","type":"order.placed.v1","time":"2026-01-01T00:00:00+00:00","order_id":"golden-damaged","data":"{\\"customer_id\\":\\"cust-1\\",\\"currency\\":\\"USD\\",\\"total_cents\\":3000,\\"lines\\":[{\\"line\\":1,\\"sku\\":\\"sku-1\\",\\"quantity\\":2,\\"unit_price_cents\\":1500}]}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x016e73b376c4e4c146"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":11,"order_key":10,"version":2,"id":"01a21f7e-7284-7396-b0b2-34eb89772105","type":"order.payment_authorized.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-damaged","data":"{\\"payment_id\\":\\"pay-1\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":"x","checksum":"\\\\x010cf30f4e4e847705"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":2,"order_key":2,"version":1,"id":"01a21f7e-727a-75fc-832f-d01556fa6bef","type":"order.placed.v1","time":"2026-01-01T00:00:00+00:00","order_id":"golden-2","data":"{\\"customer_id\\":\\"cust-1\\",\\"currency\\":\\"USD\\",\\"total_cents\\":3000,\\"lines\\":[{\\"line\\":1,\\"sku\\":\\"sku-1\\",\\"quantity\\":2,\\"unit_price_cents\\":1500}]}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x0126e1e573f482f349"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":3,"order_key":2,"version":2,"id":"01a21f7e-727c-773e-8f9b-76d0d862324a","type":"order.payment_authorized.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-2","data":"{\\"payment_id\\":\\"pay-1\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x01becddf91200d42ad"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":4,"order_key":2,"version":3,"id":"01a21f7e-727c-773e-8f9b-76d1e7732262","type":"order.payment_authorized.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-2","data":"{\\"payment_id\\":\\"pay-2\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x017b5237f2fdbf842b"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":5,"order_key":2,"version":4,"id":"01a21f7e-727c-773e-8f9b-76d287b015f7","type":"order.payment_authorized.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-2","data":"{\\"payment_id\\":\\"pay-3\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x01b31dbb2d933e2a77"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":6,"order_key":6,"version":1,"id":"01a21f7e-727e-742a-bf55-6abe1c6f058f","type":"order.placed.v1","time":"2026-01-01T00:00:00+00:00","order_id":"golden-3","data":"{\\"customer_id\\":\\"cust-1\\",\\"currency\\":\\"USD\\",\\"total_cents\\":3000,\\"lines\\":[{\\"line\\":1,\\"sku\\":\\"sku-1\\",\\"quantity\\":2,\\"unit_price_cents\\":1500}]}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x01dd2f4959fd57bee7"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":7,"order_key":6,"version":2,"id":"01a21f7e-727e-742a-bf55-6abfb93b1dfb","type":"order.payment_authorized.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-3","data":"{\\"payment_id\\":\\"pay-1\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x015fe2275c9ef7420e"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":8,"order_key":8,"version":1,"id":"01a21f7e-727f-76a0-9619-d783c1e5acd1","type":"order.placed.v1","time":"2026-01-01T00:00:00+00:00","order_id":"golden-newer","data":"{\\"customer_id\\":\\"cust-1\\",\\"currency\\":\\"USD\\",\\"total_cents\\":3000,\\"lines\\":[{\\"line\\":1,\\"sku\\":\\"sku-1\\",\\"quantity\\":2,\\"unit_price_cents\\":1500}]}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x016eb61fdb871fc9b9"}');
INSERT INTO order_service.events SELECT * FROM json_populate_record(NULL::order_service.events, E'{"position":9,"order_key":8,"version":2,"id":"01a21f7e-7282-7254-ae7f-c591c38dc8a5","type":"order.planted.v1","time":"2026-01-01T00:00:00.000001+00:00","order_id":"golden-newer","data":"{\\"payment_id\\":\\"pay-1\\",\\"amount_cents\\":1}","context":"{\\"correlationid\\":\\"corr-1\\"}","source":null,"checksum":"\\\\x01c7c84193d5657dbd"}');
DELETE FROM order_service.orders;
INSERT INTO order_service.orders SELECT * FROM json_populate_record(NULL::order_service.orders, E'{"key":1,"order_id":"golden-1","state":"ok","version":1,"customer_id":"cust-1","status":"placed","total_cents":3000,"placed_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00+00:00","due_at":null,"on_hold":false,"checksum":"\\\\x014602c9883a440f1f","projection":17,"updated_position":1}');
INSERT INTO order_service.orders SELECT * FROM json_populate_record(NULL::order_service.orders, E'{"key":10,"order_id":"golden-damaged","state":"damaged","version":2,"customer_id":null,"status":null,"total_cents":null,"placed_at":null,"updated_at":null,"due_at":null,"on_hold":null,"checksum":"\\\\x017c6fb21a17f2ddb5","projection":17,"updated_position":11}');
INSERT INTO order_service.orders SELECT * FROM json_populate_record(NULL::order_service.orders, E'{"key":2,"order_id":"golden-2","state":"ok","version":4,"customer_id":"cust-1","status":"placed","total_cents":3000,"placed_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00.000001+00:00","due_at":null,"on_hold":false,"checksum":"\\\\x01de05fa9a6b675158","projection":17,"updated_position":5}');
INSERT INTO order_service.orders SELECT * FROM json_populate_record(NULL::order_service.orders, E'{"key":6,"order_id":"golden-3","state":"ok","version":2,"customer_id":"cust-1","status":"placed","total_cents":3000,"placed_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00.000001+00:00","due_at":null,"on_hold":false,"checksum":"\\\\x01584287f98244551b","projection":17,"updated_position":7}');
INSERT INTO order_service.orders SELECT * FROM json_populate_record(NULL::order_service.orders, E'{"key":8,"order_id":"golden-newer","state":"newer","version":2,"customer_id":null,"status":null,"total_cents":null,"placed_at":null,"updated_at":null,"due_at":null,"on_hold":null,"checksum":"\\\\x019fbbd9bb1ee567cb","projection":17,"updated_position":9}');
DELETE FROM order_service.order_terms;
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"customer","value":"cust-1","key":10}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"customer","value":"cust-1","key":1}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"customer","value":"cust-1","key":2}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"customer","value":"cust-1","key":6}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"customer","value":"cust-1","key":8}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-1","key":10}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-1","key":2}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-1","key":6}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-1","key":8}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-2","key":2}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"payment","value":"pay-3","key":2}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"sku","value":"sku-1","key":10}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"sku","value":"sku-1","key":1}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"sku","value":"sku-1","key":2}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"sku","value":"sku-1","key":6}');
INSERT INTO order_service.order_terms SELECT * FROM json_populate_record(NULL::order_service.order_terms, '{"kind":"sku","value":"sku-1","key":8}');
DELETE FROM order_service.log_times;
INSERT INTO order_service.log_times SELECT * FROM json_populate_record(NULL::order_service.log_times, '{"zone":0,"earliest":"2026-01-01T00:00:00+00:00","latest":"2026-01-01T00:00:00.000001+00:00"}');
DELETE FROM order_service.receipts;
INSERT INTO order_service.receipts SELECT * FROM json_populate_record(NULL::order_service.receipts, E'{"key":"\\\\x9ba5e097a8e7fa65b9d589d47919ccc0","fingerprint":"\\\\xbc1036cb441e895e2d1ea773894e8de2","order_id":"golden-3","version":1,"answer":"placed","answered_at":"1970-01-01T00:00:01.000007+00:00","checksum":"\\\\x01149ed584ef0e694f"}');
INSERT INTO order_service.receipts SELECT * FROM json_populate_record(NULL::order_service.receipts, E'{"key":"\\\\xdc76954407b3cdfd4c1748b3ff2e4e00","fingerprint":"\\\\x47cdb2bd70908e2004ddf40efe6ff85d","order_id":"golden-2","version":1,"answer":"placed","answered_at":"1970-01-01T00:00:01.000007+00:00","checksum":"\\\\x014d2775c9334c4a20"}');
INSERT INTO order_service.receipts SELECT * FROM json_populate_record(NULL::order_service.receipts, E'{"key":"\\\\xfc036cf0fc6e635a134c288c8d065787","fingerprint":"\\\\x942286f2c881b9db8714ed9c80e5af9e","order_id":"golden-1","version":1,"answer":"placed","answered_at":"1970-01-01T00:00:01.000007+00:00","checksum":"\\\\x0139d9b1b0ff94f5c2"}');
DELETE FROM order_service.checkpoints;
INSERT INTO order_service.checkpoints SELECT * FROM json_populate_record(NULL::order_service.checkpoints, '{"name":"relay-1","holder":null,"epoch":0,"beat":0,"position":3,"evidence":"evidence"}');
INSERT INTO order_service.checkpoints SELECT * FROM json_populate_record(NULL::order_service.checkpoints, '{"name":"views","holder":null,"epoch":1,"beat":1,"position":null,"evidence":null}');
