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
  stream           text COLLATE "C" PRIMARY KEY CHECK (stream ~ '^([0-9]{3}|@[A-Z0-9][A-Z0-9_-]{0,31})$'),
  last_seq         bigint NOT NULL,
  last_chain       bytea NOT NULL,
  last_recorded_at timestamptz NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE feed.event (
  stream      text COLLATE "C" NOT NULL,
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
-- Returns one row per element: ord (1-based) and what it was given; rows come in no particular order.
-- Errors: JK001 epoch not confirmed; 55P03 lock_timeout (repeat the transaction).
--
-- What is hashed is listed in proto/jukwaa/v1/feed.proto; common/feed/feed_chain.c computes the same. The loop is written for
-- speed: what is equal for a stream is concatenated once, arrays only grow at their end, and elements are taken out of the
-- arguments by subscript (measured: unnest with a sort, and rows fetched one by one, cost as much as the hash itself).
CREATE FUNCTION feed.append(
  p_stream text[], p_event_id uuid[], p_kind smallint[], p_incident_id uuid[], p_revision bigint[],
  p_tlp smallint[], p_category smallint[], p_commitment bytea[], p_body bytea[])
RETURNS TABLE (ord integer, seq bigint, chain bytea, recorded_at timestamptz, epoch integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
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
           p_category[o], p_commitment[o], a_chain[j], p_body[o]
      FROM unnest(a_ord) WITH ORDINALITY u(o, j);
  RETURN QUERY SELECT o, a_seq[j], a_chain[j], a_at[j], v_epoch FROM unnest(a_ord) WITH ORDINALITY u(o, j);
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
