-- Ordered events, and the only way to append them.
CREATE SCHEMA feed AUTHORIZATION jukwaa_owner;
CREATE SCHEMA evidence AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

-- Databases this feed has lived on: a promoted standby has another timeline. Appending on one that is not confirmed
-- here is refused, because numbers could be given twice.
CREATE TABLE feed.epoch (
  epoch        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  system_id    bigint NOT NULL,
  timeline     integer NOT NULL,
  confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (system_id, timeline)
);

CREATE TABLE feed.head (
  stream           text PRIMARY KEY CHECK (stream ~ '^([0-9]{3}|@[A-Z0-9][A-Z0-9_-]{0,31})$'),
  last_seq         bigint NOT NULL,
  last_chain       bytea NOT NULL,
  last_recorded_at timestamptz NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE feed.event (
  stream      text NOT NULL,
  seq         bigint NOT NULL CHECK (seq > 0),
  epoch       integer NOT NULL,
  event_id    uuid NOT NULL,
  kind        smallint NOT NULL,
  recorded_at timestamptz NOT NULL,
  incident_id uuid NOT NULL,
  revision    bigint NOT NULL,
  tlp         smallint NOT NULL,
  category    smallint NOT NULL,
  commitment  bytea NOT NULL,
  chain       bytea NOT NULL,
  body        bytea NOT NULL,
  PRIMARY KEY (stream, seq)
);
CREATE INDEX event_by_event_id ON feed.event (event_id);
CREATE INDEX event_by_incident ON feed.event (incident_id);

-- This database's (system identifier, timeline). On a standby it raises an error, and nothing can be appended there anyway.
CREATE FUNCTION feed.here(OUT system_id bigint, OUT timeline integer) LANGUAGE sql STABLE
SET search_path = pg_catalog AS $$
  SELECT system_identifier,
         ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer
    FROM pg_control_system()
$$;

-- `jukwaa admin epoch confirm`, and the first migration.
CREATE FUNCTION feed.confirm_epoch() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE ret integer;
BEGIN
  INSERT INTO feed.epoch (system_id, timeline) SELECT h.system_id, h.timeline FROM feed.here() h
    ON CONFLICT (system_id, timeline) DO NOTHING;
  SELECT e.epoch INTO ret FROM feed.epoch e JOIN feed.here() h USING (system_id, timeline);
  RETURN ret;
END $$;

CREATE FUNCTION feed.current_epoch() RETURNS integer LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT e.epoch FROM feed.epoch e JOIN feed.here() h USING (system_id, timeline)
$$;

CREATE FUNCTION feed.field(b bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int4send(length(b)) || b;

-- feed.append: the last statement of a transaction, once. Arrays of equal length, element i is one event; the order of
-- elements is kept within a stream. Locks the streams' heads in sorted order, numbers, stamps, chains, inserts.
-- Returns one row per element: ord (1-based) and what it was given.
-- Errors: JK001 epoch not confirmed; 55P03 lock_timeout (repeat the transaction).
CREATE FUNCTION feed.append(
  p_stream text[], p_event_id uuid[], p_kind smallint[], p_incident_id uuid[], p_revision bigint[],
  p_tlp smallint[], p_category smallint[], p_commitment bytea[], p_body bytea[])
RETURNS TABLE (ord integer, seq bigint, chain bytea, recorded_at timestamptz, epoch integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
  n          integer := coalesce(array_length(p_stream, 1), 0);
  v_epoch    integer := feed.current_epoch();
  v_epoch_f  bytea;
  v_at_f     bytea;
  v_stream   text := NULL;
  v_stream_f bytea;
  v_seq      bigint;
  v_chain    bytea;
  v_at       timestamptz;
  a_ord      integer[] := '{}';
  a_seq      bigint[] := '{}';
  a_chain    bytea[] := '{}';
  a_at       timestamptz[] := '{}';
  r          record;
BEGIN
  IF n = 0 THEN RETURN; END IF;
  IF v_epoch IS NULL THEN
    RAISE EXCEPTION 'this database has not been confirmed as the feed''s: run jukwaa admin epoch confirm'
      USING ERRCODE = 'JK001';
  END IF;
  INSERT INTO feed.head (stream, last_seq, last_chain, last_recorded_at)
    SELECT DISTINCT s, 0, ''::bytea, '-infinity'::timestamptz FROM unnest(p_stream) s
     WHERE NOT EXISTS (SELECT FROM feed.head h WHERE h.stream = s) ORDER BY 1
    ON CONFLICT DO NOTHING;
  PERFORM FROM feed.head h WHERE h.stream = ANY (p_stream) ORDER BY h.stream FOR UPDATE;
  v_epoch_f := feed.field(int8send(v_epoch));

  FOR r IN SELECT s, i::integer AS i FROM unnest(p_stream) WITH ORDINALITY u(s, i) ORDER BY s COLLATE "C", i LOOP
    IF v_stream IS DISTINCT FROM r.s THEN
      IF v_stream IS NOT NULL THEN
        UPDATE feed.head h SET last_seq = v_seq, last_chain = v_chain, last_recorded_at = v_at WHERE h.stream = v_stream;
      END IF;
      v_stream := r.s;
      SELECT h.last_seq, h.last_chain, greatest(h.last_recorded_at, clock_timestamp())
        INTO v_seq, v_chain, v_at FROM feed.head h WHERE h.stream = v_stream;
      v_stream_f := feed.field(convert_to(v_stream, 'UTF8'));
      v_at_f := feed.field(int8send((extract(epoch FROM v_at) * 1000000)::bigint));
    END IF;
    v_seq := v_seq + 1;
    v_chain := sha256('\x000000036a6b31'::bytea || int4send(length(v_chain)) || v_chain || v_stream_f
      || '\x00000008'::bytea || int8send(v_seq) || v_epoch_f || v_at_f
      || '\x00000010'::bytea || uuid_send(p_event_id[r.i]) || '\x00000008'::bytea || int8send(p_kind[r.i])
      || '\x00000010'::bytea || uuid_send(p_incident_id[r.i]) || '\x00000008'::bytea || int8send(p_revision[r.i])
      || '\x00000008'::bytea || int8send(p_tlp[r.i]) || '\x00000008'::bytea || int8send(p_category[r.i])
      || '\x00000020'::bytea || p_commitment[r.i]);
    a_ord := a_ord || r.i;
    a_seq := a_seq || v_seq;
    a_chain := a_chain || v_chain;
    a_at := a_at || v_at;
  END LOOP;
  UPDATE feed.head h SET last_seq = v_seq, last_chain = v_chain, last_recorded_at = v_at WHERE h.stream = v_stream;

  INSERT INTO feed.event (stream, seq, epoch, event_id, kind, recorded_at, incident_id, revision, tlp, category,
                          commitment, chain, body)
    SELECT p_stream[o], s, v_epoch, p_event_id[o], p_kind[o], t, p_incident_id[o], p_revision[o], p_tlp[o], p_category[o],
           p_commitment[o], c, p_body[o]
      FROM unnest(a_ord, a_seq, a_chain, a_at) u(o, s, c, t);
  RETURN QUERY SELECT o, s, c, t, v_epoch FROM unnest(a_ord, a_seq, a_chain, a_at) u(o, s, c, t);
END $$;

-- Signed heads: one Merkle root over all streams.
CREATE TABLE evidence.head (
  head_no    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  signed_at  timestamptz NOT NULL,
  root       bytea NOT NULL CHECK (octet_length(root) = 32),
  streams    text[] NOT NULL,
  seqs       bigint[] NOT NULL,
  chains     bytea[] NOT NULL,
  public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
  signature  bytea NOT NULL CHECK (octet_length(signature) = 64)
);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA feed FROM PUBLIC;
GRANT USAGE ON SCHEMA feed, evidence TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT SELECT ON feed.event, feed.head, feed.epoch TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT EXECUTE ON FUNCTION feed.append TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases;
GRANT EXECUTE ON FUNCTION feed.current_epoch TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT EXECUTE ON FUNCTION feed.confirm_epoch TO jukwaa_admin;
GRANT INSERT, SELECT ON evidence.head TO jukwaa_dispatch;
GRANT SELECT ON evidence.head TO jukwaa_intake, jukwaa_cases, jukwaa_notify, jukwaa_admin;
RESET ROLE;
SELECT feed.confirm_epoch();
