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
