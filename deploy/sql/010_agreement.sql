-- Who may have what, because two agencies have agreed: documents and signed acts, never changed once written. What is in force
-- follows from them (common/agreement); every service verifies the signatures itself when it loads the registry.
SET LOCAL ROLE jukwaa_owner;

-- This key may sign for its agency: propose, accept, suspend.
ALTER TABLE registry.key ADD COLUMN may_sign boolean NOT NULL DEFAULT false;
-- Policy of an owner: its incidents go out under agreements alone; the operator's rows of registry.allow do not count for them.
ALTER TABLE registry.agency ADD COLUMN agreements_only boolean NOT NULL DEFAULT false;

-- What acts are about: an agreement or a task force, with one identity over all its versions.
CREATE TABLE registry.pact (
  pact_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind     text NOT NULL CHECK (kind IN ('AGREEMENT','TASK_FORCE')),
  code     text NOT NULL CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{0,31}$'),
  UNIQUE (kind, code)
);
-- document: canonical JSON (proto/jukwaa/v1/agreement.proto says which form). digest: SHA-256 of its bytes.
CREATE TABLE registry.pact_version (
  pact_id  integer NOT NULL REFERENCES registry.pact,
  version  integer NOT NULL CHECK (version > 0),
  document text NOT NULL CHECK (octet_length(document) <= 65536),
  digest   bytea NOT NULL CHECK (octet_length(digest) = 32),
  added_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pact_id, version)
);
-- statement: the text that was signed; it names pact, version, act, agency, time and the act before, so that it serves once.
CREATE TABLE registry.act (
  act_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pact_id    integer NOT NULL,
  version    integer NOT NULL,
  act_no     integer NOT NULL CHECK (act_no > 0),
  act        text NOT NULL CHECK (act IN ('PROPOSE','ACCEPT','SUSPEND','RESUME','LEAVE','WITHDRAW')),
  agency_id  integer NOT NULL REFERENCES registry.agency,
  at         timestamptz NOT NULL,
  statement  text NOT NULL CHECK (octet_length(statement) <= 4096),
  sign_key   bytea NOT NULL CHECK (octet_length(sign_key) = 32),
  signature  bytea NOT NULL CHECK (octet_length(signature) = 64),
  added_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (pact_id, act_no),
  FOREIGN KEY (pact_id, version) REFERENCES registry.pact_version
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['pact','pact_version','act'] LOOP
    EXECUTE format('CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION registry.bump()', t);
  END LOOP;
END $$;

GRANT SELECT ON registry.pact, registry.pact_version, registry.act
  TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT INSERT ON registry.pact, registry.pact_version, registry.act TO jukwaa_admin;
RESET ROLE;
