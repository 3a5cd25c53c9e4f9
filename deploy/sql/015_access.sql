-- Reading a case: what for, by whom, under which agreement. Written before the answer leaves.
SET LOCAL ROLE jukwaa_owner;

-- Two more things that the decision function asks for. event_at: when the event that the case stands at was recorded; NULL:
-- unknown. named: whom a PRIVATE, RESTRICTED or RED incident names by code; of cases opened before this, nobody.
ALTER TABLE cases."case" ADD COLUMN event_at timestamptz, ADD COLUMN named text[] NOT NULL DEFAULT '{}';
UPDATE cases."case" c SET event_at = e.at FROM cases.entry e WHERE e.case_id = c.case_id AND e.event_id = c.event_id;

-- One row for each question that was well-formed. It says what may have been shown: an answer can still be lost on its way.
CREATE TABLE cases.access (
  access_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  key_id         integer NOT NULL,
  agency_id      integer NOT NULL,
  -- NULL: a key without a desk.
  desk_id        integer,
  asked          text NOT NULL CHECK (asked IN ('LIST', 'SHOW')),
  -- A word of CasePurpose.
  purpose        text NOT NULL CHECK (purpose <> ''),
  note           text NOT NULL CHECK (octet_length(note) <= 200),
  -- False: a case that does not exist, or that this key may not see.
  granted        boolean NOT NULL,
  policy_version bigint NOT NULL,
  -- Of a list: its filter.
  query          text NOT NULL,
  -- Those that the answer shows; what was asked for where nothing was granted. under: owner, allow:12, agreement:KPS-KRCS@2.
  case_ids       uuid[] NOT NULL,
  under          text[] NOT NULL CHECK (cardinality(under) = cardinality(case_ids))
);
CREATE INDEX access_by_case ON cases.access USING gin (case_ids);
ALTER TABLE cases.access SET (autovacuum_vacuum_scale_factor = 0.05);

-- ---- kept for its own time -------------------------------------------------------------------------------------------------
ALTER TABLE meta.retention ADD COLUMN access interval DEFAULT '1100 days' CHECK (access > interval '0');
INSERT INTO meta.removal (kind) VALUES ('access');

CREATE FUNCTION cases.remove_access(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE v_cutoff timestamptz := meta.retention_cutoff('access');
BEGIN
  WITH first AS MATERIALIZED (SELECT a.access_id, a.at FROM cases.access a
                               ORDER BY a.access_id LIMIT p_max FOR UPDATE SKIP LOCKED),
  gone AS (DELETE FROM cases.access a USING first f WHERE a.access_id = f.access_id AND f.at < v_cutoff RETURNING 1)
  SELECT count(*) INTO removed FROM gone;
  more := removed = p_max;
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held() ELSE '' END;
  SELECT a.at INTO oldest FROM cases.access a ORDER BY a.access_id LIMIT 1;
  PERFORM meta.note_removal('access', removed, held);
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA meta, cases FROM PUBLIC;
-- The service adds, and neither reads, changes nor removes.
GRANT INSERT ON cases.access TO jukwaa_cases;
GRANT EXECUTE ON FUNCTION cases.remove_access TO jukwaa_cases;
GRANT SELECT ON cases.access TO jukwaa_admin;
RESET ROLE;
