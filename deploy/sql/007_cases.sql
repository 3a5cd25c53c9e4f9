-- Cases: one for each incident, in the transaction that moves the cursor over the event.
CREATE SCHEMA cases AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

CREATE TABLE cases.cursor (
  stream text PRIMARY KEY,
  seq    bigint NOT NULL
) WITH (fillfactor = 30);

-- The case of an incident carries the incident's id, so that it can be opened only once.
CREATE TABLE cases."case" (
  case_id     uuid PRIMARY KEY,
  incident_id uuid,
  state       smallint NOT NULL DEFAULT 1,
  version     integer NOT NULL DEFAULT 1,
  agency      text NOT NULL,
  counties    text[] NOT NULL,
  category    smallint NOT NULL,
  severity    smallint NOT NULL,
  status      smallint NOT NULL,
  scope       smallint NOT NULL,
  tlp         smallint NOT NULL,
  revision    bigint NOT NULL,
  event_id    uuid NOT NULL,
  opened_at   timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL
) WITH (fillfactor = 90);

CREATE TABLE cases.entry (
  case_id  uuid NOT NULL,
  entry_no integer NOT NULL,
  at       timestamptz NOT NULL,
  kind     smallint NOT NULL,
  event_id uuid NOT NULL,
  revision bigint NOT NULL,
  agency   text NOT NULL,
  PRIMARY KEY (case_id, entry_no)
);

GRANT USAGE ON SCHEMA cases TO jukwaa_cases, jukwaa_admin;
GRANT SELECT, INSERT, UPDATE ON cases.cursor, cases."case" TO jukwaa_cases;
GRANT SELECT, INSERT ON cases.entry TO jukwaa_cases;
GRANT SELECT ON cases.cursor, cases."case", cases.entry TO jukwaa_admin;
RESET ROLE;
