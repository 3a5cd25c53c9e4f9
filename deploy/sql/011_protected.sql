-- Protected groups: who may read them, when they are erased, what must be kept. A body in the feed holds only digests of reporter
-- and persons (groups 9 and 10); content and salts are in intake.protected. Erasing a group anywhere means: content and salt go,
-- the digest that the commitment was made of stays, so every chain and receipt remains verifiable.
SET LOCAL ROLE jukwaa_owner;

-- Who had what erased, when and why; never what it was. Rows are for ever.
CREATE TABLE intake.erasure (
  erasure_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  by          text NOT NULL CHECK (by <> ''),
  reason      text NOT NULL CHECK (reason <> ''),
  -- Bit n: group n.
  groups      integer NOT NULL,
  -- Only in what a newer revision has corrected.
  superseded  boolean NOT NULL,
  -- The ERASED event; NULL: the feed no longer held anything of the incident.
  event_id    uuid,
  events      bigint NOT NULL,
  reports     bigint NOT NULL,
  protected   bigint NOT NULL
);
CREATE INDEX erasure_by_incident ON intake.erasure (incident_id);

-- ---- legal hold --------------------------------------------------------------------------------------------------------------
-- Nothing of a held incident is removed by age or erased.
CREATE TABLE meta.hold (
  hold_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id uuid NOT NULL,
  reason      text NOT NULL CHECK (reason <> ''),
  by          text NOT NULL CHECK (by <> ''),
  added_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- NULL: until it is released.
  until       timestamptz,
  released_at timestamptz
);
CREATE INDEX hold_by_incident ON meta.hold (incident_id);
CREATE VIEW meta.held AS
  SELECT DISTINCT h.incident_id FROM meta.hold h
   WHERE h.released_at IS NULL AND (h.until IS NULL OR h.until > clock_timestamp());

-- Events of held incidents that would have been removed by age: taken out of the stream with the others, so that one hold does
-- not keep a whole feed, and kept here whole until the hold ends.
CREATE TABLE feed.held (LIKE feed.event, PRIMARY KEY (stream, seq));
CREATE INDEX held_by_incident ON feed.held (incident_id);
-- Where the events stood that were there when the hold began: records of who was given them are kept too.
CREATE TABLE feed.hold_position (
  stream      text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL,
  incident_id uuid NOT NULL,
  PRIMARY KEY (stream, seq, incident_id)
);

-- Removal and erasure share this lock; adding a hold takes it alone. So whoever removes sees every hold that was confirmed to
-- anybody. False: one is being added; try again later.
CREATE FUNCTION meta.share_holds() RETURNS boolean LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT pg_try_advisory_xact_lock_shared('meta.hold'::regclass::oid::bigint)
$$;

-- Every report of the incident. intake.dedup is kept at least as long as reports and events are (see meta.retention), so it names
-- all; it is read whole, because an index for this would cost every report. Timelines are cheap and add what has no key.
CREATE FUNCTION intake.events_of(p_incident uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT d.event_id FROM intake.dedup d WHERE d.incident_id = p_incident
  UNION SELECT n.event_id FROM cases.entry n WHERE n.case_id = p_incident
  UNION SELECT e.event_id FROM intake.erasure e WHERE e.incident_id = p_incident AND e.event_id IS NOT NULL
$$;

-- `jukwaa admin hold add`: no row where the incident is unknown.
CREATE FUNCTION meta.add_hold(p_incident uuid, p_reason text, p_by text, p_until timestamptz)
RETURNS TABLE (done text, hold_id bigint, events bigint, reports bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids uuid[];
  v_hold bigint;
BEGIN
  PERFORM pg_advisory_xact_lock('meta.hold'::regclass::oid::bigint);
  DELETE FROM feed.hold_position p WHERE NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = p.incident_id);
  v_ids := ARRAY(SELECT intake.events_of(p_incident));
  IF cardinality(v_ids) = 0 THEN
    RETURN;
  END IF;
  INSERT INTO meta.hold AS h (incident_id, reason, by, until) VALUES (p_incident, p_reason, coalesce(p_by, session_user), p_until)
    RETURNING h.hold_id INTO v_hold;
  INSERT INTO feed.hold_position (stream, seq, incident_id)
    SELECT e.stream, e.seq, p_incident FROM feed.event e WHERE e.event_id = ANY (v_ids) ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT 'held'::text, v_hold,
    (SELECT count(*) FROM feed.event e WHERE e.event_id = ANY (v_ids)) + (SELECT count(*) FROM feed.held k WHERE k.incident_id = p_incident),
    (SELECT count(*) FROM intake.report r WHERE r.event_id = ANY (v_ids));
END $$;

-- `jukwaa admin hold release`.
CREATE FUNCTION meta.release_hold(p_hold bigint) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
BEGIN
  UPDATE meta.hold SET released_at = coalesce(released_at, clock_timestamp()) WHERE hold_id = p_hold;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  DELETE FROM feed.hold_position p WHERE NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = p.incident_id);
  RETURN NEXT 'released';
END $$;

-- Does a record about these numbers speak of a held incident?
CREATE FUNCTION meta.is_held_range(p_stream text, p_from bigint, p_to bigint) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT FROM feed.hold_position p JOIN meta.held h USING (incident_id)
                  WHERE p.stream = p_stream AND p.seq BETWEEN p_from AND p_to)
      OR EXISTS (SELECT FROM feed.held e JOIN meta.held h USING (incident_id)
                  WHERE e.stream = p_stream AND e.seq BETWEEN p_from AND p_to)
$$;

-- ---- protected groups for a copy ---------------------------------------------------------------------------------------------
-- Bit n: copies of this range may carry protected group n. Dispatch ends ranges and never changes what they say.
ALTER TABLE dispatch.disclosure ADD COLUMN groups integer NOT NULL DEFAULT 0 CHECK (groups & ~1536 = 0);
REVOKE UPDATE ON dispatch.disclosure FROM jukwaa_dispatch;
GRANT UPDATE (acked_seq, sent_seq, closed_at) ON dispatch.disclosure TO jukwaa_dispatch;

-- The only way for dispatch to protected content: asked for with a range that was written down and committed before (a transaction
-- that has written anything gets nothing), is open, covers the event in its stream, and says that its copies may carry the group.
-- One row for each event asked for, ord as in the array. refused: why nothing is given (no matter whether the event exists); '' otherwise, with what there still is. Contents come
-- until p_max_bytes are reached, at least one; what is left out has refused = 'LATER'.
CREATE FUNCTION dispatch.disclose_protected(p_disclosure_id bigint[], p_event_id uuid[], p_max_bytes bigint)
RETURNS TABLE (ord bigint, refused text, reporter_salt bytea, reporter bytea, persons_salt bytea, persons bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
  WITH asked AS (
    SELECT q.ord, q.event_id, d.groups,
           CASE WHEN d.disclosure_id IS NULL OR pg_current_xact_id_if_assigned() IS NOT NULL THEN 'NOT_RESERVED'
                WHEN d.closed_at IS NOT NULL THEN 'CLOSED'
                WHEN d.groups = 0 THEN 'NOT_GIVEN'
                WHEN NOT EXISTS (SELECT FROM feed.event e WHERE e.event_id = q.event_id AND e.stream = d.stream
                                    AND e.seq BETWEEN d.from_seq AND d.to_seq) THEN 'NOT_COVERED'
                ELSE '' END AS refused
      FROM unnest(p_disclosure_id, p_event_id) WITH ORDINALITY q(disclosure_id, event_id, ord)
      LEFT JOIN dispatch.disclosure d ON d.disclosure_id = q.disclosure_id),
  found AS (
    SELECT a.ord, a.refused, a.groups, p.*,
           sum(coalesce(CASE WHEN a.groups & 512 <> 0 THEN octet_length(p.reporter) END, 0)
             + coalesce(CASE WHEN a.groups & 1024 <> 0 THEN octet_length(p.persons) END, 0))
             OVER (ORDER BY a.ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM asked a LEFT JOIN intake.protected p ON p.event_id = a.event_id AND a.refused = '')
  SELECT f.ord, CASE WHEN f.refused = '' AND f.bytes_before >= p_max_bytes THEN 'LATER' ELSE f.refused END,
         CASE WHEN f.groups & 512 <> 0 AND coalesce(f.bytes_before, 0) < p_max_bytes THEN f.reporter_salt END,
         CASE WHEN f.groups & 512 <> 0 AND coalesce(f.bytes_before, 0) < p_max_bytes THEN f.reporter END,
         CASE WHEN f.groups & 1024 <> 0 AND coalesce(f.bytes_before, 0) < p_max_bytes THEN f.persons_salt END,
         CASE WHEN f.groups & 1024 <> 0 AND coalesce(f.bytes_before, 0) < p_max_bytes THEN f.persons END
    FROM found f ORDER BY f.ord
$$;

-- ---- erasure -----------------------------------------------------------------------------------------------------------------
-- When the bytes as received were emptied (by erasure, or because the protected groups in them passed their time).
ALTER TABLE intake.report ADD COLUMN erased_at timestamptz;

CREATE FUNCTION feed.read_varint(p_bytes bytea, p_at integer, OUT value bigint, OUT next integer) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog AS $$
DECLARE
  v_byte integer;
  v_shift integer := 0;
BEGIN
  value := 0;
  next := p_at;
  LOOP
    v_byte := get_byte(p_bytes, next);
    value := value | ((v_byte & 127)::bigint << v_shift);
    next := next + 1;
    v_shift := v_shift + 7;
    EXIT WHEN v_byte < 128;
    IF v_shift > 56 THEN
      RAISE EXCEPTION 'not a body of ours' USING ERRCODE = 'JK011';
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION feed.write_varint(p_value bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
  v_left bigint := p_value;
  ret    bytea := '';
BEGIN
  WHILE v_left > 127 LOOP
    ret := ret || set_byte('\x00'::bytea, 0, (v_left & 127)::integer | 128);
    v_left := v_left >> 7;
  END LOOP;
  RETURN ret || set_byte('\x00'::bytea, 0, v_left::integer);
END $$;

-- One length-delimited field.
CREATE FUNCTION feed.write_field(p_key integer, p_bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = pg_catalog
RETURN feed.write_varint(p_key) || feed.write_varint(length(p_bytes)) || p_bytes;

-- jukwaa.v1.Group: its tag, and the same group with nothing but its digest.
CREATE FUNCTION feed.erase_group(p_group bytea, OUT tag integer, OUT erased bytea) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog AS $$
DECLARE
  v_at     integer := 0;
  v_key    bigint;
  v_value  bigint;
  v_bytes  bytea;
  v_salt   bytea := '';
  v_content bytea := '';
  v_digest bytea := '';
BEGIN
  WHILE v_at < length(p_group) LOOP
    SELECT value, next INTO v_key, v_at FROM feed.read_varint(p_group, v_at);
    SELECT value, next INTO v_value, v_at FROM feed.read_varint(p_group, v_at);
    IF v_key = 8 THEN
      tag := v_value;
    ELSE
      v_bytes := substr(p_group, v_at + 1, v_value::integer);
      v_at := v_at + v_value::integer;
      CASE v_key WHEN 18 THEN v_salt := v_bytes; WHEN 26 THEN v_content := v_bytes; WHEN 34 THEN v_digest := v_bytes;
        ELSE RAISE EXCEPTION 'not a body of ours' USING ERRCODE = 'JK011'; END CASE;
    END IF;
  END LOOP;
  IF v_at <> length(p_group) OR tag IS NULL THEN
    RAISE EXCEPTION 'not a body of ours' USING ERRCODE = 'JK011';
  END IF;
  IF v_digest = '' THEN
    v_digest := sha256(v_salt || v_content);
  END IF;
  erased := '\x08'::bytea || feed.write_varint(tag) || feed.write_field(34, v_digest);
END $$;

-- jukwaa.v1.EventBody with the groups (bit n: group n) erased; `erased` of an ERASED event stays.
CREATE FUNCTION feed.erase_groups(p_body bytea, p_groups integer) RETURNS bytea LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog AS $$
DECLARE
  v_at    integer := 0;
  v_key   bigint;
  v_value bigint;
  v_bytes bytea;
  v_group record;
  ret     bytea := '';
BEGIN
  WHILE v_at < length(p_body) LOOP
    SELECT value, next INTO v_key, v_at FROM feed.read_varint(p_body, v_at);
    SELECT value, next INTO v_value, v_at FROM feed.read_varint(p_body, v_at);
    IF v_key = 16 THEN
      -- stored_apart: nothing is there any more for these.
      IF v_value & ~p_groups <> 0 THEN
        ret := ret || '\x10'::bytea || feed.write_varint(v_value & ~p_groups);
      END IF;
      CONTINUE;
    END IF;
    v_bytes := substr(p_body, v_at + 1, v_value::integer);
    v_at := v_at + v_value::integer;
    IF v_key = 10 THEN
      v_group := feed.erase_group(v_bytes);
      ret := ret || feed.write_field(10, CASE WHEN p_groups >> v_group.tag & 1 = 1 THEN v_group.erased ELSE v_bytes END);
    ELSIF v_key = 26 THEN
      ret := ret || feed.write_field(26, v_bytes);
    ELSE
      RAISE EXCEPTION 'not a body of ours' USING ERRCODE = 'JK011';
    END IF;
  END LOOP;
  IF v_at <> length(p_body) THEN
    RAISE EXCEPTION 'not a body of ours' USING ERRCODE = 'JK011';
  END IF;
  RETURN ret;
END $$;

-- jukwaa.v1.Erasure as field 3 of an EventBody.
CREATE FUNCTION feed.erasure_field(p_groups integer, p_superseded boolean) RETURNS bytea LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog AS $$
  SELECT feed.write_field(26, feed.write_field(10,
           (SELECT string_agg(feed.write_varint(n), '' ORDER BY n) FROM generate_series(1, 30) n WHERE p_groups >> n & 1 = 1))
         || '\x10'::bytea || feed.write_varint(CASE WHEN p_superseded THEN 2 ELSE 1 END))
$$;

-- The report whose state is the incident's: of all its events that say one, the newest revision.
CREATE FUNCTION intake.current_event(p_ids uuid[]) RETURNS feed.event LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT e FROM feed.event e WHERE e.event_id = ANY (p_ids) AND e.kind IN (1, 2, 3)
   ORDER BY e.revision DESC, e.event_id DESC LIMIT 1
$$;

-- Erases in everything the exchange keeps of these reports. p_spare: the commitment whose bodies stay as they are ('': none).
CREATE FUNCTION intake.erase_reports(p_ids uuid[], p_groups integer, p_spare bytea,
  OUT events bigint, OUT reports bigint, OUT protected bigint)
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  -- What is held apart goes with its report; what the spared body shows was told by its report.
  v_ids uuid[] := ARRAY(SELECT id FROM unnest(p_ids) id WHERE p_spare = '' OR NOT EXISTS (
    SELECT FROM feed.event e WHERE e.event_id = id AND (e.commitment = p_spare OR e.kind IN (6, 7))));
BEGIN
  UPDATE feed.event e SET body = feed.erase_groups(e.body, p_groups)
   WHERE e.event_id = ANY (v_ids) AND e.body <> feed.erase_groups(e.body, p_groups);
  GET DIAGNOSTICS events = ROW_COUNT;
  -- Their bytes hold the whole report, whichever group it is about.
  UPDATE intake.report r SET bytes = '', erased_at = clock_timestamp()
   WHERE r.event_id = ANY (v_ids) AND r.erased_at IS NULL;
  GET DIAGNOSTICS reports = ROW_COUNT;
  UPDATE intake.report r SET external_id = '' WHERE r.event_id = ANY (v_ids) AND p_groups & 2048 <> 0;
  UPDATE intake.dedup d SET warnings = NULL WHERE d.event_id = ANY (v_ids) AND d.warnings IS NOT NULL;
  UPDATE intake.protected p SET
      reporter = CASE WHEN p_groups & 512 = 0 THEN p.reporter END,
      reporter_salt = CASE WHEN p_groups & 512 = 0 THEN p.reporter_salt END,
      persons = CASE WHEN p_groups & 1024 = 0 THEN p.persons END,
      persons_salt = CASE WHEN p_groups & 1024 = 0 THEN p.persons_salt END
   WHERE p.event_id = ANY (v_ids) AND ((p_groups & 512 <> 0 AND p.reporter IS NOT NULL)
                                    OR (p_groups & 1024 <> 0 AND p.persons IS NOT NULL));
  GET DIAGNOSTICS protected = ROW_COUNT;
  DELETE FROM intake.protected p WHERE p.event_id = ANY (v_ids) AND p.reporter IS NULL AND p.persons IS NULL;
END $$;

-- A fresh UUID of version 7.
CREATE FUNCTION meta.new_event_id() RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
DECLARE v_id bytea := uuid_send(gen_random_uuid());
BEGIN
  v_id := overlay(v_id PLACING substr(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) FROM 1);
  RETURN encode(set_byte(v_id, 6, get_byte(v_id, 6) & 15 | 112), 'hex')::uuid;
END $$;

-- Bodies of version 0.1.0 have ten groups: their words stand in the groups that stay.
CREATE FUNCTION feed.is_unparted(p_body bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
  v_at     integer := 0;
  v_key    bigint;
  v_value  bigint;
  v_groups integer := 0;
BEGIN
  WHILE v_at < length(p_body) LOOP
    SELECT value, next INTO v_key, v_at FROM feed.read_varint(p_body, v_at);
    SELECT value, next INTO v_value, v_at FROM feed.read_varint(p_body, v_at);
    v_groups := v_groups + (v_key = 10)::integer;
    v_at := v_at + CASE WHEN v_key & 7 = 2 THEN v_value::integer ELSE 0 END;
  END LOOP;
  RETURN v_groups = 10;
END $$;

-- `jukwaa admin erase`: no row where the incident is unknown. An ERASED event follows in every county stream that has had an
-- event of the incident; it carries the incident's state as it is afterwards. unparted: bodies of version 0.1.0, of which the words
-- could not be erased. JK010: a legal hold stands.
CREATE FUNCTION intake.erase(p_incident uuid, p_groups integer, p_superseded boolean, p_reason text, p_by text)
RETURNS TABLE (done text, erasure_id bigint, event_id uuid, streams text[], events bigint, reports bigint, protected bigint,
  unparted bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- Identity, classification, times, place and handling stay: without them nobody could be told.
  v_allowed constant integer := 32 + 64 + 128 + 512 + 1024 + 2048 + 4096 + 8192;
  v_ids     uuid[];
  v_current feed.event;
  v_body    bytea;
  v_streams text[];
  v_event   uuid;
  v_id      bigint;
  v_done    record;
BEGIN
  IF p_groups = 0 OR p_groups & ~v_allowed <> 0 THEN
    RAISE EXCEPTION 'these groups cannot be erased' USING ERRCODE = '22023';
  END IF;
  -- One erasure after the other, so that their numbers become visible in order: see dispatch.erased_since.
  LOCK TABLE intake.erasure IN EXCLUSIVE MODE;
  PERFORM pg_advisory_xact_lock_shared('meta.hold'::regclass::oid::bigint);
  v_ids := ARRAY(SELECT intake.events_of(p_incident));
  IF cardinality(v_ids) = 0 THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM meta.held h WHERE h.incident_id = p_incident) THEN
    RAISE EXCEPTION 'HELD: a legal hold stands on this incident; see jukwaa admin hold list' USING ERRCODE = 'JK010';
  END IF;
  v_current := intake.current_event(v_ids);
  IF p_superseded AND v_current.stream IS NULL THEN
    RAISE EXCEPTION 'the feed no longer holds the newest revision, so nothing tells what it superseded' USING ERRCODE = '22023';
  END IF;
  v_done := intake.erase_reports(v_ids, p_groups, CASE WHEN p_superseded THEN v_current.commitment ELSE '' END);
  DELETE FROM feed.held k WHERE k.incident_id = p_incident;
  IF v_current.stream IS NOT NULL THEN
    v_streams := ARRAY(SELECT DISTINCT e.stream FROM feed.event e WHERE e.event_id = ANY (v_ids) ORDER BY 1);
    v_event := meta.new_event_id();
    v_body := feed.erase_groups(v_current.body, CASE WHEN p_superseded THEN 1536 ELSE p_groups | 1536 END)
      || feed.erasure_field(p_groups, p_superseded);
  END IF;
  INSERT INTO intake.erasure AS e (incident_id, by, reason, groups, superseded, event_id, events, reports, protected)
    VALUES (p_incident, p_by, p_reason, p_groups, p_superseded, v_event, v_done.events, v_done.reports, v_done.protected)
    RETURNING e.erasure_id INTO v_id;
  IF v_event IS NOT NULL THEN
    PERFORM count(*) FROM feed.append(v_streams, array_fill(v_event, ARRAY[cardinality(v_streams)]),
      array_fill(8::smallint, ARRAY[cardinality(v_streams)]), array_fill(p_incident, ARRAY[cardinality(v_streams)]),
      array_fill(v_current.revision, ARRAY[cardinality(v_streams)]), array_fill(v_current.tlp, ARRAY[cardinality(v_streams)]),
      array_fill(v_current.category, ARRAY[cardinality(v_streams)]),
      array_fill(v_current.commitment, ARRAY[cardinality(v_streams)]), array_fill(v_body, ARRAY[cardinality(v_streams)]));
  END IF;
  RETURN QUERY SELECT 'erased'::text, v_id, v_event, coalesce(v_streams, '{}'), v_done.events, v_done.reports, v_done.protected,
    (SELECT count(*) FROM feed.event e WHERE e.event_id = ANY (v_ids) AND p_groups & 8192 <> 0 AND feed.is_unparted(e.body));
END $$;

-- Erasures after a number, for dispatch to drop what it has in memory; p_after < 0: only the number of the newest, or 0.
CREATE FUNCTION dispatch.erased_since(p_after bigint) RETURNS TABLE (erasure_id bigint, incident_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  IF p_after < 0 THEN
    -- A row in any case: who has seen that there is none will be told of the first.
    RETURN QUERY SELECT coalesce(max(e.erasure_id), 0), '00000000-0000-0000-0000-000000000000'::uuid FROM intake.erasure e;
  ELSE
    RETURN QUERY SELECT e.erasure_id, e.incident_id FROM intake.erasure e WHERE e.erasure_id > p_after
      ORDER BY e.erasure_id LIMIT 1000;
  END IF;
END $$;

-- ---- removal by age ----------------------------------------------------------------------------------------------------------
-- Protected groups have a time of their own, shorter than their reports'. What goes with it are the bytes as received, which hold
-- them too.
ALTER TABLE meta.retention ADD COLUMN protected interval DEFAULT '90 days' CHECK (protected > interval '0');
INSERT INTO meta.removal (kind) VALUES ('protected');

-- A kind is a column of meta.retention that holds an interval.
CREATE FUNCTION meta.is_retention_kind(p_kind text) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'meta.retention'::regclass AND a.attname = p_kind
                    AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'interval'::regtype)
$$;

CREATE OR REPLACE FUNCTION meta.retention_cutoff(p_kind text) RETURNS timestamptz LANGUAGE plpgsql
SET search_path = pg_catalog SET intervalstyle = 'postgres' AS $$
DECLARE v_clock timestamptz := meta.retention_clock();
BEGIN
  RETURN (SELECT v_clock - (to_jsonb(r) ->> p_kind)::interval FROM meta.retention r WHERE meta.is_retention_kind(p_kind));
END $$;

CREATE OR REPLACE FUNCTION meta.set_retention(p_kind text, p_days integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE v_keep interval := make_interval(days => p_days);
BEGIN
  IF p_kind IS NULL OR NOT meta.is_retention_kind(p_kind) THEN
    RETURN;
  END IF;
  IF p_kind = 'spool' AND v_keep IS NULL THEN
    RAISE EXCEPTION 'a spool cannot repeat for ever: give a number of days' USING ERRCODE = '22023';
  END IF;
  RETURN QUERY EXECUTE format('UPDATE meta.retention SET %I = $1 RETURNING ''set''::text', p_kind) USING v_keep;
END $$;

-- Deletes at most p_max events that count as removed; those of held incidents go to feed.held. (The sum is cast: a bound that is
-- numeric would not bound the index scan.)
CREATE OR REPLACE FUNCTION feed.delete_removed(p_max integer) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_stream text[];
  v_after  bigint[];
  v_up_to  bigint[];
  v_held   uuid[] := ARRAY(SELECT incident_id FROM meta.held);
  v_gone   bigint;
BEGIN
  SELECT array_agg(s.stream), array_agg(s.gone_seq), array_agg(s.up_to_seq) INTO v_stream, v_after, v_up_to
    FROM (SELECT r.stream, r.gone_seq,
                 r.gone_seq + least(r.seq - r.gone_seq, greatest(0, p_max - coalesce(sum(r.seq - r.gone_seq) OVER before, 0)::bigint))
                   AS up_to_seq
            FROM feed.removed r WHERE r.gone_seq < r.seq
          WINDOW before AS (ORDER BY r.stream ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) s
   WHERE s.up_to_seq > s.gone_seq;
  IF cardinality(v_held) > 0 THEN
    INSERT INTO feed.held SELECT e.* FROM unnest(v_stream, v_after, v_up_to) s(stream, after_seq, up_to_seq)
      JOIN feed.event e ON e.stream = s.stream AND e.seq > s.after_seq AND e.seq <= s.up_to_seq
     WHERE e.incident_id = ANY (v_held);
  END IF;
  UPDATE feed.removed r SET gone_seq = s.up_to_seq FROM unnest(v_stream, v_up_to) s(stream, up_to_seq) WHERE r.stream = s.stream;
  DELETE FROM feed.event e USING unnest(v_stream, v_after, v_up_to) s(stream, after_seq, up_to_seq)
   WHERE e.stream = s.stream AND e.seq > s.after_seq AND e.seq <= s.up_to_seq;
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  RETURN v_gone;
END $$;

-- As in 009; and what was held apart goes when its hold has ended.
CREATE OR REPLACE FUNCTION feed.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_cutoff   timestamptz;
  v_obstacle text := '';
BEGIN
  removed := 0;
  more := false;
  held := '';
  PERFORM FROM feed.removal FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR NOT meta.share_holds() THEN
    RETURN;
  END IF;
  DELETE FROM feed.held k WHERE k.ctid = ANY (ARRAY(
    SELECT f.ctid FROM feed.held f WHERE NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = f.incident_id) LIMIT p_max));
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

-- As in 009, but for records that speak of a held incident.
CREATE OR REPLACE FUNCTION dispatch.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET jit = off AS $$
DECLARE v_cutoff timestamptz := meta.retention_cutoff('disclosure');
BEGIN
  removed := 0;
  more := false;
  IF NOT meta.share_holds() THEN
    held := '';
    RETURN;
  END IF;
  WITH first AS MATERIALIZED (SELECT d.disclosure_id, d.reserved_at FROM dispatch.disclosure d
                               WHERE NOT meta.is_held_range(d.stream, d.from_seq, d.to_seq)
                               ORDER BY d.disclosure_id LIMIT p_max FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM dispatch.disclosure d USING first f WHERE d.disclosure_id = f.disclosure_id AND f.reserved_at < v_cutoff
           RETURNING 1)
  SELECT count(*) INTO removed FROM gone;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT d.reserved_at INTO oldest FROM dispatch.disclosure d ORDER BY d.disclosure_id LIMIT 1;
  PERFORM meta.note_removal('disclosure', removed, held);
END $$;

-- As in 009, but for held incidents.
CREATE OR REPLACE FUNCTION intake.remove_reports(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_cutoff timestamptz := meta.retention_cutoff('report');
  v_due    uuid[];
BEGIN
  IF NOT meta.share_holds() THEN
    removed := 0;
    more := false;
    held := '';
    RETURN;
  END IF;
  SELECT array_agg(n.event_id) INTO v_due
    FROM (SELECT d.event_id, coalesce(sum(d.size) OVER before, 0) AS size_before
            FROM (SELECT r.event_id, octet_length(r.bytes)::bigint AS size FROM intake.report r
                   WHERE r.event_id < meta.uuid_at(v_cutoff) AND r.received_at < v_cutoff
                     AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = r.incident_id)
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

CREATE OR REPLACE FUNCTION intake.remove_incidents(p_from tid, p_to tid, p_cutoff timestamptz) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
  v_due  tid[] := ARRAY(SELECT i.ctid FROM intake.incident i WHERE i.ctid >= p_from AND i.ctid < p_to
                           AND i.touched_at < p_cutoff - interval '2 days'
                           AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = i.incident_id) FOR UPDATE SKIP LOCKED);
  v_gone uuid[];
BEGIN
  WITH gone AS (DELETE FROM intake.incident i WHERE i.ctid = ANY (v_due) RETURNING i.incident_id)
    SELECT array_agg(incident_id) INTO v_gone FROM gone;
  DELETE FROM intake.awaited a WHERE a.incident_id = ANY (v_gone);
  RETURN coalesce(cardinality(v_gone), 0);
END $$;

CREATE OR REPLACE FUNCTION intake.remove_keys(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
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
  IF NOT FOUND OR NOT meta.share_holds() THEN
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
    DELETE FROM intake.dedup d WHERE d.ctid >= v_from AND d.ctid < v_to AND d.received_at < v_sweep.cutoff
       AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = d.incident_id);
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

CREATE OR REPLACE FUNCTION notify.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_cutoff timestamptz := meta.retention_cutoff('message');
  v_due    uuid[];
BEGIN
  IF NOT meta.share_holds() THEN
    removed := 0;
    more := false;
    held := '';
    RETURN;
  END IF;
  v_due := ARRAY(SELECT m.message_id FROM notify.message m
                            WHERE m.message_id < meta.uuid_at(v_cutoff) AND m.created_at < v_cutoff AND m.state <> 'PENDING'
                     AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = m.incident_id)
                            ORDER BY m.message_id LIMIT p_max FOR UPDATE SKIP LOCKED);
  DELETE FROM notify.attempt WHERE message_id = ANY (v_due);
  DELETE FROM notify.message WHERE message_id = ANY (v_due);
  GET DIAGNOSTICS removed = ROW_COUNT;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT m.created_at INTO oldest FROM notify.message m ORDER BY m.message_id LIMIT 1;
  PERFORM meta.note_removal('message', removed, held);
END $$;

-- Protected rows past their time, by id as remove_reports; their reports' bytes with them.
CREATE FUNCTION intake.remove_protected(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_cutoff timestamptz := meta.retention_cutoff('protected');
  v_due    uuid[];
BEGIN
  IF NOT meta.share_holds() THEN
    removed := 0;
    more := false;
    held := '';
    RETURN;
  END IF;
  v_due := ARRAY(SELECT p.event_id FROM intake.protected p LEFT JOIN intake.report r ON r.event_id = p.event_id
                  WHERE p.event_id < meta.uuid_at(v_cutoff) AND coalesce(r.received_at < v_cutoff, true)
                    AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = r.incident_id)
                  ORDER BY p.event_id LIMIT p_max FOR UPDATE OF p SKIP LOCKED);
  UPDATE intake.report SET bytes = '', erased_at = clock_timestamp() WHERE event_id = ANY (v_due) AND erased_at IS NULL;
  DELETE FROM intake.protected WHERE event_id = ANY (v_due);
  GET DIAGNOSTICS removed = ROW_COUNT;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT r.received_at INTO oldest FROM intake.protected p JOIN intake.report r ON r.event_id = p.event_id
   ORDER BY p.event_id LIMIT 1;
  PERFORM meta.note_removal('protected', removed, held);
END $$;

-- ---- grants ------------------------------------------------------------------------------------------------------------------
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA meta, feed, dispatch, intake FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dispatch.disclose_protected, dispatch.erased_since TO jukwaa_dispatch;
GRANT EXECUTE ON FUNCTION intake.remove_protected TO jukwaa_intake;
GRANT EXECUTE ON FUNCTION intake.erase, meta.add_hold, meta.release_hold TO jukwaa_admin;
GRANT SELECT ON intake.erasure, meta.hold, meta.held, feed.held TO jukwaa_admin;
RESET ROLE;
