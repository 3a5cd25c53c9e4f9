-- What was done about incidents: dispatch follows the feed to know what is open, and cases keep what answering took.
SET LOCAL ROLE jukwaa_owner;

-- As cases.cursor and cases.move (007_cases.sql): how far dispatch has followed, for open incidents and duties.
CREATE TABLE dispatch.follow (
  stream text PRIMARY KEY,
  seq    bigint NOT NULL
) WITH (fillfactor = 30);

CREATE FUNCTION dispatch.move(p_stream text[], p_from bigint[], p_to bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE n integer;
BEGIN
  PERFORM pg_advisory_xact_lock('dispatch.follow'::regclass::oid::bigint);
  INSERT INTO dispatch.follow AS c (stream, seq)
    SELECT u.stream, u.to_seq FROM unnest(p_stream, p_from, p_to) u(stream, from_seq, to_seq)
     WHERE u.from_seq = 0 OR EXISTS (SELECT FROM dispatch.follow k WHERE k.stream = u.stream AND k.seq = u.from_seq)
    ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq
      WHERE c.seq = p_from[array_position(p_stream, excluded.stream)];
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(p_stream) THEN
    RAISE EXCEPTION 'another follower moved the cursor of dispatch' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- Fails when a statement changed another number of rows than it was made for: somebody else changed one in between.
CREATE FUNCTION dispatch.expect(p_rows bigint, p_expected bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
BEGIN
  IF p_rows IS DISTINCT FROM p_expected THEN
    RAISE EXCEPTION 'a row changed in between' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- Each incident in each county stream it is in. seq: its newest event there, of whatever kind; body_seq: the newest INCIDENT, UPDATE,
-- CANCEL or ERASED, which holds what is known of it. closed_at: cancelled, moved away, or its case closed or merged; NULL: open.
CREATE TABLE dispatch.open_incident (
  stream      text COLLATE "C" NOT NULL,
  incident_id uuid NOT NULL,
  seq         bigint NOT NULL,
  body_seq    bigint NOT NULL,
  event_id    uuid NOT NULL,
  revision    bigint NOT NULL,
  agency      text NOT NULL,
  categories  smallint NOT NULL,
  severity    smallint NOT NULL,
  urgency     smallint NOT NULL,
  status      smallint NOT NULL,
  tlp         smallint NOT NULL,
  lat         double precision,
  lon         double precision,
  -- jukwaa.v1.CaseState
  case_state  smallint NOT NULL DEFAULT 1,
  opened_at   timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  closed_at   timestamptz,
  PRIMARY KEY (incident_id, stream)
) WITH (fillfactor = 80);
CREATE INDEX open_incident_by_stream ON dispatch.open_incident (stream, opened_at) WHERE closed_at IS NULL;
CREATE INDEX open_incident_closed ON dispatch.open_incident (closed_at) WHERE closed_at IS NOT NULL;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dispatch FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON dispatch.follow TO jukwaa_dispatch;
GRANT SELECT, INSERT, UPDATE, DELETE ON dispatch.open_incident TO jukwaa_dispatch;
GRANT EXECUTE ON FUNCTION dispatch.move, dispatch.expect TO jukwaa_dispatch;
GRANT SELECT ON dispatch.follow, dispatch.open_incident TO jukwaa_admin;

-- Cases: where and when it was, and when what was reached; NULL: not (yet), or not known. since_version: the newest version that
-- changed more than the timeline: a command made for it or a later one is fresh.
ALTER TABLE cases."case"
  ADD COLUMN constituency  text,
  ADD COLUMN lat           double precision,
  ADD COLUMN lon           double precision,
  ADD COLUMN occurred_at   timestamptz,
  ADD COLUMN accepted_at   timestamptz,
  ADD COLUMN dispatched_at timestamptz,
  ADD COLUMN on_scene_at   timestamptz,
  ADD COLUMN resolved_at   timestamptz,
  ADD COLUMN closed_at     timestamptz,
  ADD COLUMN merged_into   uuid,
  ADD COLUMN since_version integer NOT NULL DEFAULT 1;
RESET ROLE;
