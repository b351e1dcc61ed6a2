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
