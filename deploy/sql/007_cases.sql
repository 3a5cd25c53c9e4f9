-- Cases: one for each incident, in the transaction that moves the cursor over the event.
CREATE SCHEMA cases AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

CREATE TABLE cases.cursor (
  stream text PRIMARY KEY,
  seq    bigint NOT NULL
) WITH (fillfactor = 30);

-- First statement of the transaction that applies a batch: moves each stream's position from what the follower believes it to
-- be. Anything else than that belief is another follower's doing: serialization_failure, and the batch starts again. The lock
-- makes followers one after another, also when their batches share incidents but no stream.
CREATE FUNCTION cases.move(p_stream text[], p_from bigint[], p_to bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE n integer;
BEGIN
  PERFORM pg_advisory_xact_lock('cases.cursor'::regclass::oid::bigint);
  INSERT INTO cases.cursor AS c (stream, seq)
    SELECT u.stream, u.to_seq FROM unnest(p_stream, p_from, p_to) u(stream, from_seq, to_seq)
     WHERE u.from_seq = 0 OR EXISTS (SELECT FROM cases.cursor k WHERE k.stream = u.stream AND k.seq = u.from_seq)
    ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq
      WHERE c.seq = p_from[array_position(p_stream, excluded.stream)];
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(p_stream) THEN
    RAISE EXCEPTION 'another follower moved the cursor of cases' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- The case of an incident carries the incident's id, so that it can be opened only once. From agency to tlp: the labels that
-- the decision function asks for, as of the newest revision.
CREATE TABLE cases."case" (
  case_id     uuid PRIMARY KEY,
  incident_id uuid,
  state       smallint NOT NULL DEFAULT 1,
  -- 1 when opened, one more with every change applied.
  version     integer NOT NULL DEFAULT 1,
  -- Lines of the timeline.
  entries     integer NOT NULL DEFAULT 0,
  agency      text NOT NULL,
  -- The county streams that have it now.
  counties    text[] NOT NULL,
  -- The first category, and all of them: bit n is category n.
  category    smallint NOT NULL,
  categories  smallint NOT NULL,
  severity    smallint NOT NULL,
  status      smallint NOT NULL,
  scope       smallint NOT NULL,
  tlp         smallint NOT NULL,
  revision    bigint NOT NULL,
  event_id    uuid NOT NULL,
  opened_at   timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL
) WITH (fillfactor = 90);
-- Newest first, page by page.
CREATE INDEX case_by_age ON cases."case" (opened_at, case_id);

-- A report that concerns several counties is one event in several streams, and one line here.
CREATE TABLE cases.entry (
  case_id  uuid NOT NULL,
  event_id uuid NOT NULL,
  entry_no integer NOT NULL,
  at       timestamptz NOT NULL,
  kind     smallint NOT NULL,
  revision bigint NOT NULL,
  agency   text NOT NULL,
  PRIMARY KEY (case_id, event_id)
);

-- Fails when a statement changed another number of rows than the batch was made for: somebody else changed a case in between.
CREATE FUNCTION cases.expect(p_rows bigint, p_expected bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  IF p_rows IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'a case changed in between' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cases FROM PUBLIC;
GRANT USAGE ON SCHEMA cases TO jukwaa_cases, jukwaa_admin;
GRANT SELECT, INSERT, UPDATE ON cases.cursor, cases."case" TO jukwaa_cases;
GRANT SELECT, INSERT ON cases.entry TO jukwaa_cases;
GRANT EXECUTE ON FUNCTION cases.move, cases.expect TO jukwaa_cases;
GRANT SELECT ON cases.cursor, cases."case", cases.entry TO jukwaa_admin;
RESET ROLE;
