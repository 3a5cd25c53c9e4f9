-- Retention: what is removed by age, and how. Each service calls the functions of its own schema, over a connection of its own;
-- services hold EXECUTE on them, not DELETE. One call is one bounded step: it decides on what is stored at that moment and
-- removes in the same transaction, so that a process that is killed, paused or doubled changes nothing that is not still right
-- when it happens; nothing is handed out to a leader, and no step waits for another instance's (SKIP LOCKED).
SET LOCAL ROLE jukwaa_owner;

-- How long each kind is kept; NULL is for ever. One row, so that the rules between the times hold at any moment.
CREATE TABLE meta.retention (
  single     boolean PRIMARY KEY DEFAULT true CHECK (single),
  -- The longest that any publisher's or station's spool may hold a report and then send it again.
  spool      interval NOT NULL DEFAULT '60 days',
  event      interval DEFAULT '400 days',
  report     interval DEFAULT '400 days',
  dedup      interval DEFAULT '460 days',
  disclosure interval DEFAULT '1100 days',
  message    interval DEFAULT '400 days',
  head       interval DEFAULT '1100 days',
  -- The latest time that the database's clock has shown and that was believed: see meta.retention_clock.
  believed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT retention_times_check CHECK (least(spool, event, report, dedup, disclosure, message, head) > interval '0'),
  CONSTRAINT retention_dedup_spool_check CHECK (dedup IS NULL OR dedup >= spool),
  CONSTRAINT retention_dedup_report_check CHECK (dedup IS NULL OR (report IS NOT NULL AND dedup >= report)),
  CONSTRAINT retention_dedup_event_check CHECK (dedup IS NULL OR (event IS NOT NULL AND dedup >= event)),
  -- An event is removed under a signed head, so heads last longer.
  CONSTRAINT retention_head_check CHECK (head IS NULL OR (event IS NOT NULL AND head >= event))
);
INSERT INTO meta.retention DEFAULT VALUES;

-- What has been removed so far, for `jukwaa status`. held: what stands in the way now; '' when nothing does.
CREATE TABLE meta.removal (
  kind       text PRIMARY KEY,
  removed    bigint NOT NULL DEFAULT 0,
  removed_at timestamptz,
  looked_at  timestamptz,
  held       text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
INSERT INTO meta.removal (kind) VALUES ('event'), ('report'), ('dedup'), ('incident'), ('disclosure'), ('message'), ('head');

-- Ages are counted by the database's clock alone. A clock that has jumped ahead would make everything old at once: more than 30
-- days beyond what was believed last are not believed (NULL) until `jukwaa admin retention confirm`. A clock that went back
-- makes things younger, and moves nothing.
CREATE FUNCTION meta.retention_clock(p_clock timestamptz DEFAULT clock_timestamp()) RETURNS timestamptz LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE v_believed timestamptz;
BEGIN
  SELECT believed_at INTO v_believed FROM meta.retention;
  IF p_clock > v_believed + interval '30 days' THEN
    RETURN NULL;
  END IF;
  -- Once an hour is enough, and a row that is locked is being moved by another.
  IF p_clock > v_believed + interval '1 hour' THEN
    UPDATE meta.retention SET believed_at = p_clock
     WHERE believed_at < p_clock AND single IN (SELECT single FROM meta.retention FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN p_clock;
END $$;

-- What is older than this may go; NULL: nothing may.
CREATE FUNCTION meta.retention_cutoff(p_kind text) RETURNS timestamptz LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE v_clock timestamptz := meta.retention_clock();
BEGIN
  RETURN (SELECT v_clock - CASE p_kind WHEN 'event' THEN event WHEN 'report' THEN report WHEN 'dedup' THEN dedup
                             WHEN 'disclosure' THEN disclosure WHEN 'message' THEN message WHEN 'head' THEN head END
            FROM meta.retention);
END $$;

-- Why a cutoff is NULL.
CREATE FUNCTION meta.retention_held() RETURNS text LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT CASE WHEN clock_timestamp() > believed_at + interval '30 days' THEN 'clock' ELSE '' END FROM meta.retention
$$;

-- The lowest UUID of version 7 made at this time.
CREATE FUNCTION meta.uuid_at(p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT (lpad(to_hex(greatest(0, (extract(epoch FROM p_at) * 1000)::bigint)), 12, '0') || '00000000000000000000')::uuid
$$;

-- Notes the end of a step: at once when it removed something or stands differently, else once a minute.
CREATE FUNCTION meta.note_removal(p_kind text, p_removed bigint, p_held text) RETURNS void LANGUAGE sql
SET search_path = pg_catalog AS $$
  UPDATE meta.removal SET removed = removed + p_removed, looked_at = clock_timestamp(), held = p_held,
         removed_at = CASE WHEN p_removed > 0 THEN clock_timestamp() ELSE removed_at END
   WHERE kind = p_kind AND (p_removed > 0 OR held <> p_held OR looked_at IS NULL
                            OR looked_at NOT BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp())
$$;

-- `jukwaa admin retention set KIND DAYS`: no row where the kind is unknown. p_days NULL: for ever.
CREATE FUNCTION meta.set_retention(p_kind text, p_days integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE v_keep interval := make_interval(days => p_days);
BEGIN
  IF p_kind NOT IN ('spool', 'event', 'report', 'dedup', 'disclosure', 'message', 'head') THEN
    RETURN;
  END IF;
  IF p_kind = 'spool' AND v_keep IS NULL THEN
    RAISE EXCEPTION 'a spool cannot repeat for ever: give a number of days' USING ERRCODE = '22023';
  END IF;
  RETURN QUERY UPDATE meta.retention SET
    spool = CASE p_kind WHEN 'spool' THEN v_keep ELSE spool END,
    event = CASE p_kind WHEN 'event' THEN v_keep ELSE event END,
    report = CASE p_kind WHEN 'report' THEN v_keep ELSE report END,
    dedup = CASE p_kind WHEN 'dedup' THEN v_keep ELSE dedup END,
    disclosure = CASE p_kind WHEN 'disclosure' THEN v_keep ELSE disclosure END,
    message = CASE p_kind WHEN 'message' THEN v_keep ELSE message END,
    head = CASE p_kind WHEN 'head' THEN v_keep ELSE head END
  RETURNING 'set'::text;
END $$;

-- `jukwaa admin retention confirm`: the database's clock is right.
CREATE FUNCTION meta.confirm_clock() RETURNS timestamptz LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE meta.retention SET believed_at = clock_timestamp() RETURNING believed_at
$$;

-- ---- the feed --------------------------------------------------------------------------------------------------------------
-- Events go from the oldest on, in all streams together, up to the positions of a signed head: in the order in which they came,
-- which is how they lie on the disk. (Stream by stream each page is touched up to once for every stream in it.) What is left
-- of a stream begins behind its row here; seq and chain are a leaf of the signed head head_no, so whoever checks the chain
-- starts from them and needs nothing that was removed. As numbers have no gaps, seq is also how many were removed.

CREATE TABLE feed.removed (
  stream     text COLLATE "C" PRIMARY KEY,
  seq        bigint NOT NULL,
  chain      bytea NOT NULL CHECK (octet_length(chain) = 32),
  head_no    bigint NOT NULL REFERENCES evidence.head,
  -- Rows up to here are deleted; those between here and seq count as removed, and follow within moments.
  gone_seq   bigint NOT NULL,
  removed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (gone_seq <= seq)
) WITH (fillfactor = 50);

-- The signed head that was removed up to last. Whoever holds its row's lock is the one who removes.
CREATE TABLE feed.removal (
  single  boolean PRIMARY KEY DEFAULT true CHECK (single),
  head_no bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO feed.removal DEFAULT VALUES;

-- In the database's time, unlike signed_at.
ALTER TABLE evidence.head ADD COLUMN stored_at timestamptz;
UPDATE evidence.head SET stored_at = signed_at;
ALTER TABLE evidence.head ALTER COLUMN stored_at SET DEFAULT clock_timestamp(), ALTER COLUMN stored_at SET NOT NULL;

-- What stands in the way of removing up to these positions; '' when nothing does; 'unfit' when they are not this feed's; NULL
-- when it is too early. Those who follow all county streams must have taken what goes.
CREATE FUNCTION feed.obstacle(p_stream text[], p_seq bigint[], p_chain bytea[], p_cutoff timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off AS $$
  SELECT CASE WHEN bool_or(e.chain IS DISTINCT FROM u.chain) THEN 'unfit'
              WHEN bool_or(e.recorded_at >= p_cutoff) THEN NULL
              WHEN bool_or(u.stream ~ '^[0-9]' AND coalesce(c.seq, 0) < u.seq) THEN 'cases'
              WHEN bool_or(u.stream ~ '^[0-9]' AND coalesce(n.seq, 0) < u.seq) THEN 'notify'
              ELSE '' END
    FROM unnest(p_stream, p_seq, p_chain) u(stream, seq, chain)
    LEFT JOIN feed.event e ON e.stream = u.stream AND e.seq = u.seq
    LEFT JOIN cases.cursor c ON c.stream = u.stream
    LEFT JOIN notify.cursor n ON n.stream = u.stream
$$;

-- Moves the positions in feed.removed to the next signed head that is old enough, deleting nothing yet: the furthest one with at
-- most p_max events up to it, else the next. Returns as feed.obstacle.
CREATE FUNCTION feed.remove_up_to_head(p_max integer, p_cutoff timestamptz) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog SET jit = off AS $$
DECLARE
  v_head     evidence.head;
  v_obstacle text;
  v_stream   text[];
  v_seq      bigint[];
  v_chain    bytea[];
BEGIN
  SELECT h.* INTO v_head
    FROM (SELECT k.head_no, row_number() OVER older AS place, bool_and(k.stored_at < p_cutoff) OVER older AS due,
                 (SELECT sum(s) FROM unnest(k.seqs) s) AS total
            FROM (SELECT head_no, stored_at, seqs FROM evidence.head
                   WHERE head_no > (SELECT head_no FROM feed.removal) ORDER BY head_no LIMIT 64) k
          WINDOW older AS (ORDER BY k.head_no)) w
    JOIN evidence.head h USING (head_no)
   WHERE w.due AND (w.place = 1 OR w.total <= p_max + (SELECT coalesce(sum(seq), 0) FROM feed.removed))
   ORDER BY w.head_no DESC LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(u.stream), array_agg(u.seq), array_agg(u.chain) INTO v_stream, v_seq, v_chain
    FROM unnest(v_head.streams, v_head.seqs, v_head.chains) u(stream, seq, chain)
    LEFT JOIN feed.removed r ON r.stream = u.stream WHERE u.seq > coalesce(r.seq, 0);
  v_obstacle := CASE WHEN v_stream IS NULL THEN 'unfit' ELSE feed.obstacle(v_stream, v_seq, v_chain, p_cutoff) END;
  IF v_obstacle IN ('', 'unfit') THEN
    UPDATE feed.removal SET head_no = v_head.head_no;
  END IF;
  IF v_obstacle = '' THEN
    INSERT INTO feed.removed AS r (stream, seq, chain, head_no, gone_seq)
      SELECT u.stream, u.seq, u.chain, v_head.head_no, 0 FROM unnest(v_stream, v_seq, v_chain) u(stream, seq, chain)
      ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, chain = excluded.chain, head_no = excluded.head_no,
                                         removed_at = clock_timestamp();
  END IF;
  RETURN v_obstacle;
END $$;

-- Deletes at most p_max events that count as removed. (The sum is cast: a bound that is numeric would not bound the index scan.)
CREATE FUNCTION feed.delete_removed(p_max integer) RETURNS bigint LANGUAGE sql
SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off AS $$
  WITH share AS MATERIALIZED (
    SELECT r.stream, r.gone_seq AS after_seq,
           r.gone_seq + least(r.seq - r.gone_seq, greatest(0, p_max - coalesce(sum(r.seq - r.gone_seq) OVER before, 0)::bigint))
             AS up_to_seq
      FROM feed.removed r WHERE r.gone_seq < r.seq
    WINDOW before AS (ORDER BY r.stream ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
  moved AS (
    UPDATE feed.removed r SET gone_seq = s.up_to_seq FROM share s WHERE r.stream = s.stream AND s.up_to_seq > s.after_seq),
  gone AS (
    DELETE FROM feed.event e USING share s WHERE e.stream = s.stream AND e.seq > s.after_seq AND e.seq <= s.up_to_seq
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

-- One step. more: another one may find something at once; held: what stands in the way; oldest: time of the oldest event kept.
CREATE FUNCTION feed.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_cutoff   timestamptz;
  v_obstacle text := '';
BEGIN
  removed := 0;
  more := false;
  held := '';
  PERFORM FROM feed.removal FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  v_cutoff := meta.retention_cutoff('event');
  IF NOT EXISTS (SELECT FROM feed.removed r WHERE r.gone_seq < r.seq) THEN
    v_obstacle := CASE WHEN v_cutoff IS NOT NULL THEN feed.remove_up_to_head(p_max, v_cutoff) END;
  END IF;
  IF v_obstacle = '' THEN
    removed := feed.delete_removed(p_max);
  END IF;
  more := coalesce(v_obstacle IN ('', 'unfit'), false);
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() WHEN v_obstacle IN ('cases', 'notify') THEN v_obstacle ELSE '' END;
  SELECT min(e.recorded_at) INTO oldest FROM feed.head h LEFT JOIN feed.removed r ON r.stream = h.stream
    CROSS JOIN LATERAL (SELECT k.recorded_at FROM feed.event k WHERE k.stream = h.stream AND k.seq > coalesce(r.seq, 0)
                         ORDER BY k.seq LIMIT 1) e;
  PERFORM meta.note_removal('event', removed, held);
END $$;

-- Signed heads that events were removed up to, but not those that something kept begins with.
CREATE FUNCTION evidence.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
DECLARE v_cutoff timestamptz := meta.retention_cutoff('head');
BEGIN
  WITH due AS (SELECT h.head_no FROM evidence.head h
                WHERE h.head_no < (SELECT head_no FROM feed.removal) AND h.stored_at < v_cutoff
                  AND NOT EXISTS (SELECT FROM feed.removed r WHERE r.head_no = h.head_no)
                ORDER BY h.head_no LIMIT p_max FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM evidence.head h USING due WHERE h.head_no = due.head_no RETURNING 1)
  SELECT count(*) INTO removed FROM gone;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT h.stored_at INTO oldest FROM evidence.head h ORDER BY h.head_no LIMIT 1;
  PERFORM meta.note_removal('head', removed, held);
END $$;

-- ---- dispatch: who was given what ------------------------------------------------------------------------------------------
CREATE FUNCTION dispatch.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
DECLARE v_cutoff timestamptz := meta.retention_cutoff('disclosure');
BEGIN
  WITH first AS MATERIALIZED (SELECT d.disclosure_id, d.reserved_at FROM dispatch.disclosure d
                               ORDER BY d.disclosure_id LIMIT p_max FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM dispatch.disclosure d USING first f WHERE d.disclosure_id = f.disclosure_id AND f.reserved_at < v_cutoff
           RETURNING 1)
  SELECT count(*) INTO removed FROM gone;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT d.reserved_at INTO oldest FROM dispatch.disclosure d ORDER BY d.disclosure_id LIMIT 1;
  PERFORM meta.note_removal('disclosure', removed, held);
END $$;

-- ---- intake ----------------------------------------------------------------------------------------------------------------
-- Reports with their protected groups, by their id, which begins with the time; the age is received_at's, the database's own.
-- At most 8 MiB of reports a step, but one at least.
CREATE FUNCTION intake.remove_reports(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_cutoff timestamptz := meta.retention_cutoff('report');
  v_due    uuid[];
BEGIN
  SELECT array_agg(n.event_id) INTO v_due
    FROM (SELECT d.event_id, coalesce(sum(d.size) OVER before, 0) AS size_before
            FROM (SELECT r.event_id, octet_length(r.bytes)::bigint AS size FROM intake.report r
                   WHERE r.event_id < meta.uuid_at(v_cutoff) AND r.received_at < v_cutoff
                   ORDER BY r.event_id LIMIT p_max FOR UPDATE SKIP LOCKED) d
          WINDOW before AS (ORDER BY d.event_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) n
   WHERE n.size_before < 8388608;
  DELETE FROM intake.protected WHERE event_id = ANY (v_due);
  DELETE FROM intake.report WHERE event_id = ANY (v_due);
  GET DIAGNOSTICS removed = ROW_COUNT;
  more := removed > 0;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT r.received_at INTO oldest FROM intake.report r ORDER BY r.event_id LIMIT 1;
  PERFORM meta.note_removal('report', removed, held);
END $$;

-- Keys lie in no order of time, and an index for it would cost every report; so they are swept: all pages of the table one after
-- the other, now and then, and after them those of incidents that no key is left for. A sweep keeps the cutoff it began with.
CREATE TABLE intake.sweep (
  single   boolean PRIMARY KEY DEFAULT true CHECK (single),
  phase    text NOT NULL DEFAULT 'REST' CHECK (phase IN ('REST', 'DEDUP', 'INCIDENT')),
  -- The page that is next.
  page     bigint NOT NULL DEFAULT 0,
  cutoff   timestamptz NOT NULL DEFAULT '-infinity',
  began_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO intake.sweep DEFAULT VALUES;

-- When a report last joined the incident, to the day.
ALTER TABLE intake.incident ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX awaited_by_incident ON intake.awaited (incident_id);

-- Every key of an incident was received before touched_at + 1 day.
CREATE FUNCTION intake.remove_incidents(p_from tid, p_to tid, p_cutoff timestamptz) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  v_due  tid[] := ARRAY(SELECT i.ctid FROM intake.incident i WHERE i.ctid >= p_from AND i.ctid < p_to
                           AND i.touched_at < p_cutoff - interval '2 days' FOR UPDATE SKIP LOCKED);
  v_gone uuid[];
BEGIN
  WITH gone AS (DELETE FROM intake.incident i WHERE i.ctid = ANY (v_due) RETURNING i.incident_id)
    SELECT array_agg(incident_id) INTO v_gone FROM gone;
  DELETE FROM intake.awaited a WHERE a.incident_id = ANY (v_gone);
  RETURN coalesce(cardinality(v_gone), 0);
END $$;

CREATE FUNCTION intake.remove_keys(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET jit = off AS $$
DECLARE
  -- About as many rows as p_max are looked at.
  v_pages  bigint := greatest(1, p_max / 32);
  v_sweep  intake.sweep;
  v_cutoff timestamptz := meta.retention_cutoff('dedup');
  v_table  regclass;
  v_from   tid;
  v_to     tid;
BEGIN
  removed := 0;
  more := false;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT * INTO v_sweep FROM intake.sweep FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF v_cutoff IS NULL THEN
    UPDATE intake.sweep SET phase = 'REST' WHERE phase <> 'REST';
    PERFORM meta.note_removal('dedup', 0, held);
    RETURN;
  END IF;
  IF v_sweep.phase = 'REST' THEN
    -- Once a day, or oftener where little is kept.
    IF clock_timestamp() BETWEEN v_sweep.began_at
       AND v_sweep.began_at + least(interval '1 day', (SELECT dedup / 100 FROM meta.retention)) THEN
      PERFORM meta.note_removal('dedup', 0, held);
      RETURN;
    END IF;
    v_sweep := (true, 'DEDUP', 0, v_cutoff, clock_timestamp())::intake.sweep;
  END IF;
  -- A longer time set meanwhile is in force at once.
  v_sweep.cutoff := least(v_sweep.cutoff, v_cutoff);
  v_table := CASE v_sweep.phase WHEN 'DEDUP' THEN 'intake.dedup' ELSE 'intake.incident' END;
  v_from := format('(%s,0)', v_sweep.page)::tid;
  v_to := format('(%s,0)', v_sweep.page + v_pages)::tid;
  IF v_sweep.phase = 'DEDUP' THEN
    DELETE FROM intake.dedup d WHERE d.ctid >= v_from AND d.ctid < v_to AND d.received_at < v_sweep.cutoff;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM meta.note_removal('dedup', removed, held);
  ELSE
    removed := intake.remove_incidents(v_from, v_to, v_sweep.cutoff);
    PERFORM meta.note_removal('incident', removed, held);
  END IF;
  v_sweep.page := v_sweep.page + v_pages;
  IF v_sweep.page * current_setting('block_size')::bigint >= pg_relation_size(v_table) THEN
    v_sweep.page := 0;
    v_sweep.phase := CASE v_sweep.phase WHEN 'DEDUP' THEN 'INCIDENT' ELSE 'REST' END;
  END IF;
  UPDATE intake.sweep SET phase = v_sweep.phase, page = v_sweep.page, cutoff = v_sweep.cutoff, began_at = v_sweep.began_at;
  more := v_sweep.phase <> 'REST';
END $$;

-- ---- notify: what was told, and every attempt; never what is still to be told -----------------------------------------------
CREATE FUNCTION notify.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_cutoff timestamptz := meta.retention_cutoff('message');
  v_due    uuid[] := ARRAY(SELECT m.message_id FROM notify.message m
                            WHERE m.message_id < meta.uuid_at(v_cutoff) AND m.created_at < v_cutoff AND m.state <> 'PENDING'
                            ORDER BY m.message_id LIMIT p_max FOR UPDATE SKIP LOCKED);
BEGIN
  DELETE FROM notify.attempt WHERE message_id = ANY (v_due);
  DELETE FROM notify.message WHERE message_id = ANY (v_due);
  GET DIAGNOSTICS removed = ROW_COUNT;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT m.created_at INTO oldest FROM notify.message m ORDER BY m.message_id LIMIT 1;
  PERFORM meta.note_removal('message', removed, held);
END $$;

-- A table that grows at one end and shrinks at the other is cleaned in smaller and more frequent portions than PostgreSQL's
-- usual fifth of it.
ALTER TABLE feed.event SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE intake.report SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE intake.dedup SET (autovacuum_vacuum_scale_factor = 0.05);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA meta, feed, evidence, dispatch, intake, notify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed.remove, evidence.remove, dispatch.remove TO jukwaa_dispatch;
GRANT EXECUTE ON FUNCTION intake.remove_reports, intake.remove_keys TO jukwaa_intake;
GRANT EXECUTE ON FUNCTION notify.remove TO jukwaa_notify;
GRANT EXECUTE ON FUNCTION meta.set_retention, meta.confirm_clock TO jukwaa_admin;
GRANT SELECT ON meta.retention, meta.removal TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT SELECT ON feed.removed TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
RESET ROLE;
