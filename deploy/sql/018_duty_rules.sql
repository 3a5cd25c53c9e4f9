-- Who has to answer for what: the operator's rules, the desks asked in order, the roles told when nobody acts. Part of every
-- service's snapshot; what was removed stays, revoked.
SET LOCAL ROLE jukwaa_owner;

-- An incident of these categories, this bad and this urgent or more, needs the discipline.
CREATE TABLE registry.duty_rule (
  rule_id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Of several rules for one discipline the lowest is the one that counts.
  rank           integer NOT NULL DEFAULT 100 CHECK (rank BETWEEN 0 AND 9999),
  discipline     text COLLATE "C" NOT NULL CHECK (discipline ~ '^[A-Z][A-Z0-9_]{0,15}$'),
  -- Bit n: jukwaa.v1.Category n, 1 to 12.
  categories     smallint NOT NULL CHECK (categories BETWEEN 2 AND 8190 AND categories % 2 = 0),
  -- jukwaa.v1.Severity and Urgency: this or a smaller number; 0: any, UNKNOWN too.
  severity_floor smallint NOT NULL DEFAULT 0 CHECK (severity_floor BETWEEN 0 AND 4),
  urgency_floor  smallint NOT NULL DEFAULT 0 CHECK (urgency_floor BETWEEN 0 AND 4),
  -- NULL: every county.
  county         text REFERENCES registry.county,
  -- Seconds a desk has to answer; seconds between two sayings that nobody has it.
  answer_s       integer NOT NULL CHECK (answer_s BETWEEN 5 AND 86400),
  again_s        integer NOT NULL CHECK (again_s BETWEEN 5 AND 86400),
  added_at       timestamptz NOT NULL DEFAULT now(),
  revoked_at     timestamptz
);
CREATE UNIQUE INDEX duty_rule_once ON registry.duty_rule
  (discipline, categories, severity_floor, urgency_floor, coalesce(county, '')) WHERE revoked_at IS NULL;

-- The desks of a county that a discipline asks, one after the other.
CREATE TABLE registry.duty_desk (
  duty_desk_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  county       text NOT NULL REFERENCES registry.county,
  discipline   text COLLATE "C" NOT NULL CHECK (discipline ~ '^[A-Z][A-Z0-9_]{0,15}$'),
  rank         integer NOT NULL DEFAULT 100 CHECK (rank BETWEEN 0 AND 9999),
  desk_id      integer NOT NULL REFERENCES registry.desk,
  added_at     timestamptz NOT NULL DEFAULT now(),
  revoked_at   timestamptz
);
CREATE UNIQUE INDEX duty_desk_once ON registry.duty_desk (county, discipline, desk_id) WHERE revoked_at IS NULL;

-- Who is told when a duty has had no holder for after_s, and every again_s from then on.
CREATE TABLE registry.escalation (
  escalation_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role           text NOT NULL CHECK (role IN ('COUNTY_COMMISSIONER', 'REGIONAL', 'NATIONAL')),
  severity_floor smallint NOT NULL DEFAULT 0 CHECK (severity_floor BETWEEN 0 AND 4),
  county         text REFERENCES registry.county,
  after_s        integer NOT NULL CHECK (after_s BETWEEN 5 AND 86400),
  again_s        integer NOT NULL CHECK (again_s BETWEEN 5 AND 86400),
  desk_id        integer NOT NULL REFERENCES registry.desk,
  added_at       timestamptz NOT NULL DEFAULT now(),
  revoked_at     timestamptz
);
CREATE UNIQUE INDEX escalation_once ON registry.escalation
  (role, severity_floor, coalesce(county, ''), desk_id) WHERE revoked_at IS NULL;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['duty_rule','duty_desk','escalation'] LOOP
    EXECUTE format('CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION registry.bump()', t);
  END LOOP;
END $$;

GRANT SELECT ON registry.duty_rule, registry.duty_desk, registry.escalation
  TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT INSERT, UPDATE (rank, answer_s, again_s, revoked_at) ON registry.duty_rule TO jukwaa_admin;
GRANT INSERT, UPDATE (rank, revoked_at) ON registry.duty_desk TO jukwaa_admin;
GRANT INSERT, UPDATE (after_s, again_s, revoked_at) ON registry.escalation TO jukwaa_admin;

-- That a person at a desk opened an incident, once for each desk; its publisher was told in the same transaction.
CREATE TABLE dispatch.opened (
  incident_id uuid NOT NULL,
  desk_id     integer NOT NULL REFERENCES registry.desk,
  -- The command that said it first, and what it was made of.
  command_id  uuid NOT NULL UNIQUE,
  digest      bytea NOT NULL CHECK (octet_length(digest) = 32),
  opened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (incident_id, desk_id)
);
CREATE INDEX opened_by_age ON dispatch.opened (opened_at);

-- Kept as long as disclosures, and while the incident is under legal hold.
CREATE FUNCTION dispatch.forget_opened(p_max bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE n bigint;
BEGIN
  IF NOT meta.share_holds() THEN
    RETURN 0;
  END IF;
  DELETE FROM dispatch.opened o WHERE o.ctid = ANY (ARRAY(
    SELECT k.ctid FROM dispatch.opened k WHERE k.opened_at < meta.retention_cutoff('disclosure')
       AND NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = k.incident_id)
     ORDER BY k.opened_at LIMIT p_max FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dispatch FROM PUBLIC;
GRANT SELECT, INSERT ON dispatch.opened TO jukwaa_dispatch;
GRANT EXECUTE ON FUNCTION dispatch.forget_opened TO jukwaa_dispatch;
GRANT SELECT ON dispatch.opened TO jukwaa_admin;
RESET ROLE;
