-- Units, what they are assigned to, and help that agencies ask of each other.
SET LOCAL ROLE jukwaa_owner;

-- Agencies and desks by their ids in the registry. state: jukwaa.v1.UnitState. version: of all but the position.
CREATE TABLE dispatch.unit (
  unit_id      uuid PRIMARY KEY,
  agency_id    integer NOT NULL,
  code         text COLLATE "C" NOT NULL CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{0,31}$'),
  discipline   text COLLATE "C" NOT NULL CHECK (discipline ~ '^[A-Z0-9_]{1,16}$'),
  capabilities text[] NOT NULL CHECK (cardinality(capabilities) <= 16),
  base_lat     double precision NOT NULL CHECK (base_lat BETWEEN -90 AND 90),
  base_lon     double precision NOT NULL CHECK (base_lon BETWEEN -180 AND 180),
  county       text,
  desk_id      integer,
  lat          double precision CHECK (lat BETWEEN -90 AND 90),
  lon          double precision CHECK (lon BETWEEN -180 AND 180),
  position_at  timestamptz,
  state        smallint NOT NULL CHECK (state BETWEEN 1 AND 7),
  state_at     timestamptz NOT NULL,
  version      integer NOT NULL,
  added_at     timestamptz NOT NULL,
  removed_at   timestamptz,
  CHECK ((lat IS NULL) = (lon IS NULL) AND (lat IS NULL) = (position_at IS NULL))
) WITH (fillfactor = 70);
-- A removed unit's code may be given again.
CREATE UNIQUE INDEX unit_by_code ON dispatch.unit (agency_id, code) WHERE removed_at IS NULL;
CREATE INDEX unit_by_discipline ON dispatch.unit (discipline, state) WHERE removed_at IS NULL;

-- One unit on one incident, from DISPATCHED until it has an outcome: the state that ended it. hidden: the desk may answer under a
-- term that keeps its name from the incident's owner.
CREATE TABLE dispatch.assignment (
  assignment_id   uuid PRIMARY KEY,
  unit_id         uuid NOT NULL REFERENCES dispatch.unit,
  incident_id     uuid NOT NULL,
  desk_id         integer NOT NULL,
  allowed_by      text NOT NULL,
  hidden          boolean NOT NULL,
  reason          text NOT NULL,
  dispatched_at   timestamptz NOT NULL,
  en_route_at     timestamptz,
  on_scene_at     timestamptz,
  transporting_at timestamptz,
  ended_at        timestamptz,
  outcome         smallint CHECK (outcome BETWEEN 1 AND 7),
  end_reason      text,
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX assignment_open ON dispatch.assignment (unit_id) WHERE ended_at IS NULL;
CREATE INDEX assignment_by_incident ON dispatch.assignment (incident_id);

-- What an agency asks of others. asked_id: the request that an offer answers, where that was made to all (giver_id NULL there).
-- state: jukwaa.v1.AidState.
CREATE TABLE dispatch.aid (
  aid_id      uuid PRIMARY KEY,
  asked_id    uuid REFERENCES dispatch.aid,
  incident_id uuid NOT NULL,
  agency_id   integer NOT NULL,
  giver_id    integer,
  capability  text COLLATE "C" NOT NULL CHECK (capability ~ '^[A-Z0-9_]{1,32}$'),
  count       integer NOT NULL CHECK (count BETWEEN 1 AND 1000),
  offered     integer NOT NULL CHECK (offered BETWEEN 0 AND 1000),
  needed_by   timestamptz,
  state       smallint NOT NULL CHECK (state BETWEEN 1 AND 7),
  version     integer NOT NULL,
  hidden      boolean NOT NULL,
  reason      text NOT NULL,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL
) WITH (fillfactor = 80);
-- An agency answers a request once at a time.
CREATE UNIQUE INDEX aid_offer ON dispatch.aid (asked_id, giver_id) WHERE state IN (2, 3, 4);
CREATE INDEX aid_by_agency ON dispatch.aid (agency_id, aid_id);
CREATE INDEX aid_by_giver ON dispatch.aid (giver_id, aid_id);
CREATE INDEX aid_to_all ON dispatch.aid (aid_id) WHERE asked_id IS NULL AND giver_id IS NULL AND state = 1;
CREATE INDEX aid_by_asked ON dispatch.aid (asked_id);
CREATE INDEX aid_by_incident ON dispatch.aid (incident_id);

-- What was done under which command_id, and by whom: a command that comes again within 30 days gets the first answer again.
CREATE TABLE dispatch.unit_command (
  agency_id  integer NOT NULL,
  command_id uuid NOT NULL,
  digest     bytea NOT NULL,
  desk_id    integer NOT NULL,
  action     text NOT NULL,
  thing_id   uuid NOT NULL,
  version    integer NOT NULL,
  state      text NOT NULL,
  number     text NOT NULL,
  done_at    timestamptz NOT NULL,
  PRIMARY KEY (agency_id, command_id)
);
CREATE INDEX unit_command_by_time ON dispatch.unit_command (done_at);

-- Events that say what was done carry what is known of the incident too: erasing and holding find them, also before cases has seen
-- them. Where only what was superseded is erased, those of the newest revision stay as they are.
CREATE OR REPLACE FUNCTION intake.events_of(p_incident uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT d.event_id FROM intake.dedup d WHERE d.incident_id = p_incident
  UNION SELECT n.event_id FROM cases.entry n WHERE n.case_id = p_incident
  UNION SELECT e.event_id FROM intake.erasure e WHERE e.incident_id = p_incident AND e.event_id IS NOT NULL
  UNION SELECT e.event_id FROM feed.event e WHERE e.incident_id = p_incident AND e.kind < 16 AND e.kind IN (9, 10, 11, 12)
$$;
CREATE OR REPLACE FUNCTION intake.erase_reports(p_ids uuid[], p_groups integer, p_spare bytea,
  OUT events bigint, OUT reports bigint, OUT protected bigint)
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  -- What is held apart goes with its report; what the spared body shows was told by its report.
  v_ids uuid[] := ARRAY(SELECT id FROM unnest(p_ids) id WHERE p_spare = '' OR NOT EXISTS (
    SELECT FROM feed.event e WHERE e.event_id = id AND (e.commitment = p_spare OR e.kind IN (6, 7)
      OR e.kind IN (9, 10, 11, 12) AND e.revision = (SELECT k.revision FROM feed.event k
        WHERE k.incident_id = e.incident_id AND k.kind < 16 AND k.commitment = p_spare LIMIT 1))));
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

GRANT SELECT, INSERT, UPDATE ON dispatch.unit, dispatch.assignment, dispatch.aid TO jukwaa_dispatch;
GRANT SELECT, INSERT, DELETE ON dispatch.unit_command TO jukwaa_dispatch;
GRANT SELECT ON dispatch.unit, dispatch.assignment, dispatch.aid, dispatch.unit_command TO jukwaa_admin;
RESET ROLE;
