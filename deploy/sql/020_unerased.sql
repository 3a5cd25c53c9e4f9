-- Whoever appends what was done about an incident (kinds 9 to 12) copies a body that it has read before. What was erased in between
-- must not come back by it.
SET LOCAL ROLE jukwaa_owner;

-- The body less what has been erased since the event of its revision was recorded; of a correction only where a newer revision has
-- come. The commitment stays as it is.
CREATE FUNCTION feed.unerased(p_incident uuid, p_revision bigint, p_body bytea) RETURNS bytea LANGUAGE plpgsql STABLE
SET search_path = pg_catalog AS $$
DECLARE
  v_groups integer := (
    SELECT bit_or(x.groups) FROM intake.erasure x WHERE x.incident_id = p_incident
       AND (NOT x.superseded OR p_revision < (SELECT max(k.revision) FROM feed.event k WHERE k.incident_id = p_incident
                                               AND k.kind IN (1, 2, 3)))
       AND x.at > coalesce((SELECT max(k.recorded_at) FROM feed.event k WHERE k.incident_id = p_incident
                             AND k.revision = p_revision AND k.kind IN (1, 2, 3)), '-infinity'));
BEGIN
  RETURN CASE WHEN v_groups IS NULL THEN p_body ELSE feed.erase_groups(p_body, v_groups) END;
END $$;
REVOKE ALL ON FUNCTION feed.unerased FROM PUBLIC;

-- As in 004, but for the two places that say so.
CREATE OR REPLACE FUNCTION feed.append(
  p_stream text[], p_event_id uuid[], p_kind smallint[], p_incident_id uuid[], p_revision bigint[],
  p_tlp smallint[], p_category smallint[], p_commitment bytea[], p_body bytea[])
RETURNS TABLE (ord integer, seq bigint, chain bytea, recorded_at timestamptz, epoch integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
  n         integer := cardinality(p_stream);
  v_epoch   integer := feed.current_epoch();
  v_streams text[];
  v_stream  text;
  v_ords    integer[];
  o         integer;
  v_seq     bigint;
  v_chain   bytea;
  v_at      timestamptz;
  -- The hashed bytes that stand between the previous chain and the number, and between the number and the event's id.
  v_left    bytea;
  v_right   bytea;
  -- One element an event, stream by stream.
  a_ord     integer[] := '{}';
  a_seq     bigint[] := '{}';
  a_chain   bytea[] := '{}';
  a_at      timestamptz[] := '{}';
  -- One element a stream.
  h_stream  text[] := '{}';
  h_seq     bigint[] := '{}';
  h_chain   bytea[] := '{}';
  h_at      timestamptz[] := '{}';
BEGIN
  IF n = 0 OR n IS NULL THEN RETURN; END IF;
  IF v_epoch IS NULL THEN
    RAISE EXCEPTION 'this database has not been confirmed as the feed''s: run jukwaa admin epoch confirm'
      USING ERRCODE = 'JK001';
  END IF;
  IF p_kind && '{9,10,11,12}'::smallint[] THEN
    -- Before the heads, as an erasure does: neither waits for the other while it holds what the other wants.
    LOCK TABLE intake.erasure IN ROW SHARE MODE;
  END IF;
  v_streams := ARRAY(SELECT DISTINCT s FROM unnest(p_stream) s);
  INSERT INTO feed.head (stream, last_seq, last_chain, last_recorded_at)
    SELECT s, 0, ''::bytea, '-infinity'::timestamptz FROM unnest(v_streams) s
     WHERE NOT EXISTS (SELECT FROM feed.head h WHERE h.stream = s) ORDER BY s COLLATE "C"
    ON CONFLICT DO NOTHING;

  FOR v_stream, v_seq, v_chain, v_at IN
    SELECT h.stream, h.last_seq, h.last_chain, h.last_recorded_at FROM feed.head h
     WHERE h.stream = ANY (v_streams) ORDER BY h.stream COLLATE "C" FOR UPDATE
  LOOP
    v_at := greatest(v_at, clock_timestamp());
    v_left := feed.field(convert_to(v_stream, 'UTF8')) || '\x00000008'::bytea;
    v_right := feed.field(int8send(v_epoch)) || feed.field(int8send((extract(epoch FROM v_at) * 1000000)::bigint))
      || '\x00000010'::bytea;
    v_ords := array_positions(p_stream, v_stream);
    FOREACH o IN ARRAY v_ords LOOP
      v_seq := v_seq + 1;
      v_chain := sha256('\x000000036a6b31'::bytea || int4send(length(v_chain)) || v_chain || v_left || int8send(v_seq) || v_right
        || uuid_send(p_event_id[o]) || '\x00000008'::bytea || int8send(p_kind[o])
        || '\x00000010'::bytea || uuid_send(p_incident_id[o]) || '\x00000008'::bytea || int8send(p_revision[o])
        || '\x00000008'::bytea || int8send(p_tlp[o]) || '\x00000008'::bytea || int8send(p_category[o])
        || int4send(length(p_commitment[o])) || p_commitment[o]);
      a_seq := a_seq || v_seq;
      a_chain := a_chain || v_chain;
    END LOOP;
    a_ord := a_ord || v_ords;
    a_at := a_at || array_fill(v_at, ARRAY[cardinality(v_ords)]);
    h_stream := h_stream || v_stream;
    h_seq := h_seq || v_seq;
    h_chain := h_chain || v_chain;
    h_at := h_at || v_at;
  END LOOP;
  IF cardinality(a_ord) <> n THEN
    RAISE EXCEPTION 'the head of a stream is missing' USING ERRCODE = 'JK002';
  END IF;
  UPDATE feed.head h SET last_seq = u.s, last_chain = u.c, last_recorded_at = u.t
    FROM unnest(h_stream, h_seq, h_chain, h_at) u(stream, s, c, t) WHERE h.stream = u.stream;

  INSERT INTO feed.event (stream, seq, epoch, event_id, kind, recorded_at, incident_id, revision, tlp, category,
                          commitment, chain, body)
    SELECT p_stream[o], a_seq[j], v_epoch, p_event_id[o], p_kind[o], a_at[j], p_incident_id[o], p_revision[o], p_tlp[o],
           p_category[o], p_commitment[o], a_chain[j],
           CASE WHEN p_kind[o] BETWEEN 9 AND 12 THEN feed.unerased(p_incident_id[o], p_revision[o], p_body[o]) ELSE p_body[o] END
      FROM unnest(a_ord) WITH ORDINALITY u(o, j);
  RETURN QUERY SELECT o, a_seq[j], a_chain[j], a_at[j], v_epoch FROM unnest(a_ord) WITH ORDINALITY u(o, j);
END $$;
RESET ROLE;
