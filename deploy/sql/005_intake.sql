-- Intake: reports as received, what makes them known again, and the state of incidents it must know to place the next one.
CREATE SCHEMA intake AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

-- Key of the content hashes below, so that they tell nothing to whoever reads only the table.
CREATE TABLE intake.secret (
  single        boolean PRIMARY KEY DEFAULT true CHECK (single),
  content_key bytea NOT NULL
);
INSERT INTO intake.secret (content_key)
  VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- key = first 16 bytes of SHA-256 over (agency, format, external id); content = first 16 bytes of a keyed hash of the
-- format's canonical content. Narrow, and kept longer than any spool can replay.
CREATE TABLE intake.dedup (
  key         bytea NOT NULL CHECK (octet_length(key) = 16),
  revision    bigint NOT NULL,
  content     bytea NOT NULL CHECK (octet_length(content) = 16),
  incident_id uuid NOT NULL,
  event_id    uuid NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  -- The first report of its key. One per key: two intakes cannot open two incidents for one external id.
  first       boolean NOT NULL,
  -- Packed warnings of the first answer (jukwaa.v1.Receipt with warnings only); NULL when there were none.
  warnings    bytea,
  PRIMARY KEY (key, revision)
);
CREATE UNIQUE INDEX dedup_first ON intake.dedup (key) WHERE first;

-- event_id is the report's own id too: one report, one event (in one or more streams).
CREATE TABLE intake.report (
  event_id    uuid PRIMARY KEY,
  incident_id uuid NOT NULL,
  agency_id   integer NOT NULL,
  key_id      integer NOT NULL,
  format      smallint NOT NULL,
  external_id text NOT NULL,
  revision    bigint NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  bytes       bytea NOT NULL
);
ALTER TABLE intake.report ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Groups 9 and 10, packed, with the salts their digests were made with. Only where a report has them.
CREATE TABLE intake.protected (
  event_id      uuid PRIMARY KEY,
  reporter      bytea,
  reporter_salt bytea,
  persons       bytea,
  persons_salt  bytea
);

-- current_revision is the lowest bigint while only an Ack or Error has come. Categories (jukwaa.v1.Category, the first one
-- first) and severity are kept for updates and cancellations that leave them out.
CREATE TABLE intake.incident (
  incident_id      uuid PRIMARY KEY,
  agency_id        integer NOT NULL,
  current_revision bigint NOT NULL,
  current_event_id uuid NOT NULL,
  counties         text[] NOT NULL,
  category         smallint NOT NULL,
  -- Bit n: category n.
  categories       smallint NOT NULL,
  severity         smallint NOT NULL,
  orphan           boolean NOT NULL DEFAULT false,
  cancelled        boolean NOT NULL DEFAULT false
) WITH (fillfactor = 90);

-- Keys that orphans wait for: the incident that a report with this key belongs to.
CREATE TABLE intake.awaited (
  key         bytea NOT NULL,
  incident_id uuid NOT NULL,
  PRIMARY KEY (key, incident_id)
);

-- Raises serialization_failure (repeat the transaction) when another intake changed an incident since this one read it.
CREATE FUNCTION intake.require_rows(expected bigint, got bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF got <> expected THEN
    RAISE EXCEPTION '% of % incidents were changed meanwhile', expected - got, expected USING ERRCODE = '40001';
  END IF;
END $$;
REVOKE ALL ON FUNCTION intake.require_rows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION intake.require_rows TO jukwaa_intake;

GRANT USAGE ON SCHEMA intake TO jukwaa_intake, jukwaa_admin;
GRANT SELECT ON intake.secret TO jukwaa_intake;
GRANT SELECT, INSERT ON intake.dedup, intake.report, intake.protected TO jukwaa_intake;
GRANT SELECT, INSERT, UPDATE ON intake.incident TO jukwaa_intake;
GRANT SELECT, INSERT, DELETE ON intake.awaited TO jukwaa_intake;
GRANT SELECT ON intake.incident TO jukwaa_admin;
RESET ROLE;

-- Intake finds everything by primary key, in tables that grow by thousands of rows a second: plans must not rest on statistics
-- that are minutes old. (Switched-off plans look dear, which would start the JIT compiler.)
ALTER ROLE jukwaa_intake SET enable_seqscan = off;
ALTER ROLE jukwaa_intake SET enable_hashjoin = off;
ALTER ROLE jukwaa_intake SET enable_mergejoin = off;
ALTER ROLE jukwaa_intake SET enable_bitmapscan = off;
ALTER ROLE jukwaa_intake SET jit = off;
-- Arrays of one element would be planned anew each time.
ALTER ROLE jukwaa_intake SET plan_cache_mode = force_generic_plan;
