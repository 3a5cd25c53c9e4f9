-- What was done about an incident (kinds 9 to 12) is appended with the body of its newest report. A service that has not read the
-- newest yet must not append an older one behind it: desks that the newest is not meant for would be shown the old one once more.
SET LOCAL ROLE jukwaa_owner;

-- Class 40: worth the whole transaction again, when the newest report has been read.
CREATE FUNCTION feed.refuse_stale(p_incident_id uuid) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'a newer report of % has come in between', p_incident_id USING ERRCODE = '40J01';
END $$;
REVOKE ALL ON FUNCTION feed.refuse_stale FROM PUBLIC;

-- As in 023, but for the two places that call it or join with it.
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
  v_erased  boolean;
  v_body    bytea;
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
    -- Before the heads, as an erasure does: neither waits for the other while it holds what the other wants. What was erased
    -- before is seen by every statement after this one.
    LOCK TABLE intake.erasure IN ROW SHARE MODE;
  END IF;

  IF n <= 4 THEN
    v_ords := CASE WHEN n = 1 THEN '{1}' ELSE ARRAY(SELECT i FROM generate_series(1, n) i ORDER BY p_stream[i] COLLATE "C", i) END;
    FOREACH o IN ARRAY v_ords LOOP
      v_seq := NULL;
      WHILE v_seq IS NULL LOOP
        SELECT h.last_seq + 1, h.last_chain, h.last_recorded_at,
               p_kind[o] BETWEEN 9 AND 12 AND EXISTS (SELECT FROM intake.erasure x WHERE x.incident_id = p_incident_id[o])
          INTO v_seq, v_chain, v_at, v_erased FROM feed.head h WHERE h.stream = p_stream[o] FOR UPDATE OF h;
        IF v_seq IS NULL THEN
          INSERT INTO feed.head (stream, last_seq, last_chain, last_recorded_at)
            VALUES (p_stream[o], 0, ''::bytea, '-infinity'::timestamptz) ON CONFLICT DO NOTHING;
        END IF;
      END LOOP;
      -- A statement of its own: it sees what was committed while the head was waited for.
      IF p_kind[o] BETWEEN 9 AND 12 AND EXISTS (SELECT FROM intake.incident i WHERE i.incident_id = p_incident_id[o]
                                                   AND i.current_revision > p_revision[o]) THEN
        PERFORM feed.refuse_stale(p_incident_id[o]);
      END IF;
      v_at := greatest(v_at, clock_timestamp());
      v_chain := feed.chain_next(v_chain, feed.chain_left(p_stream[o]), v_seq, feed.chain_right(v_epoch, v_at), p_event_id[o],
                                 p_kind[o], p_incident_id[o], p_revision[o], p_tlp[o], p_category[o], p_commitment[o]);
      v_body := p_body[o];
      IF v_erased THEN
        v_body := feed.unerased(p_incident_id[o], p_revision[o], v_body);
      END IF;
      UPDATE feed.head h SET last_seq = v_seq, last_chain = v_chain, last_recorded_at = v_at WHERE h.stream = p_stream[o];
      INSERT INTO feed.event (stream, seq, epoch, event_id, kind, recorded_at, incident_id, revision, tlp, category, commitment,
                              chain, body)
        VALUES (p_stream[o], v_seq, v_epoch, p_event_id[o], p_kind[o], v_at, p_incident_id[o], p_revision[o], p_tlp[o],
                p_category[o], p_commitment[o], v_chain, v_body);
      ord := o; seq := v_seq; chain := v_chain; recorded_at := v_at; epoch := v_epoch;
      RETURN NEXT;
    END LOOP;
    RETURN;
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
    v_left := feed.chain_left(v_stream);
    v_right := feed.chain_right(v_epoch, v_at);
    v_ords := array_positions(p_stream, v_stream);
    FOREACH o IN ARRAY v_ords LOOP
      v_seq := v_seq + 1;
      v_chain := feed.chain_next(v_chain, v_left, v_seq, v_right, p_event_id[o], p_kind[o], p_incident_id[o], p_revision[o],
                                 p_tlp[o], p_category[o], p_commitment[o]);
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
  IF p_kind && '{9,10,11,12}'::smallint[] THEN
    PERFORM feed.refuse_stale(u.incident_id)
      FROM unnest(p_kind, p_incident_id, p_revision) AS u (kind, incident_id, revision)
     CROSS JOIN LATERAL (SELECT FROM intake.incident i WHERE i.incident_id = u.incident_id
                            AND i.current_revision > u.revision OFFSET 0) newer
     WHERE u.kind BETWEEN 9 AND 12;
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
