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
    -- One entry for each term that the appends add to their orders: the number of its append, and what it is. An order may have
    -- it already.
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
        INSERT INTO order_service.orders
            (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, due_at, on_hold,
             checksum, projection, updated_position)
        SELECT coalesce(a.key, a.position), a.order_id, a.state, a.version, a.customer_id, a.status, a.total, a.placed_at,
               a.updated_at, a.due_at, a.on_hold, a.checksum, of_projection, a.position + a.events - 1
            FROM unnest(keys, added_positions, event_counts, order_ids, states, versions, customer_ids, statuses, totals,
                        placed_ats, updated_ats, due_ats, on_holds, view_checksums)
                AS a(key, position, events, order_id, state, version, customer_id, status, total, placed_at, updated_at,
                     due_at, on_hold, checksum)
            WHERE a.position IS NOT NULL
        ON CONFLICT (key) DO UPDATE
            SET order_id = excluded.order_id, state = excluded.state, version = excluded.version,
                customer_id = excluded.customer_id, status = excluded.status, total_cents = excluded.total_cents,
                placed_at = excluded.placed_at, updated_at = excluded.updated_at, due_at = excluded.due_at,
                on_hold = excluded.on_hold, checksum = excluded.checksum, projection = excluded.projection,
                updated_position = excluded.updated_position;
        WITH added AS (
            INSERT INTO order_service.events AS a
                (position, order_key, version, id, type, time, order_id, data, context, source, checksum)
            SELECT added_positions[e.append] + e.version - expected_versions[e.append] - 1,
                   coalesce(keys[e.append], added_positions[e.append]),
                   e.version, e.id, e.type, e.time, e.order_id, e.data, e.context, e.source, e.checksum
                FROM unnest(event_appends, event_versions, event_ids, event_types, event_times, event_order_ids, event_data,
                            event_contexts, event_sources, event_checksums)
                    AS e(append, version, id, type, time, order_id, data, context, source, checksum)
                WHERE added_positions[e.append] IS NOT NULL
            RETURNING a.position >> 11 AS zone, a.time
        )
        INSERT INTO order_service.log_times AS l (zone, earliest, latest)
        SELECT a.zone, min(a.time), max(a.time) FROM added a GROUP BY a.zone
        ON CONFLICT (zone) DO UPDATE
            SET earliest = least(l.earliest, excluded.earliest), latest = greatest(l.latest, excluded.latest)
            WHERE l.earliest > excluded.earliest OR l.latest < excluded.latest;
        INSERT INTO order_service.order_terms (block, kind, value, key)
        SELECT t.key >> 20, t.kind, t.value, t.key
            FROM (SELECT t.kind, t.value, coalesce(keys[t.append], added_positions[t.append]) AS key
                    FROM unnest(term_appends, term_kinds, term_values) AS t(append, kind, value)
                    WHERE added_positions[t.append] IS NOT NULL) t
        ON CONFLICT DO NOTHING;
        INSERT INTO order_service.receipts
            (key, fingerprint, order_id, version, answer, answered_at, checksum)
        SELECT r.key, r.fingerprint, r.order_id, r.version, r.answer, r.answered_at, r.checksum
            FROM unnest(receipt_appends, receipt_keys, receipt_fingerprints, receipt_order_ids, receipt_versions,
                        receipt_answers, receipt_times, receipt_checksums)
                AS r(append, key, fingerprint, order_id, version, answer, answered_at, checksum)
            WHERE added_positions[r.append] IS NOT NULL;
        -- A newer release makes these rows anew.
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
