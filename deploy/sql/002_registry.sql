-- Who takes part, and who may have what. Written by `jukwaa admin`, read by every service into a snapshot that is
-- replaced whole when registry.version moves.
CREATE SCHEMA registry AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

CREATE TABLE registry.version (
  single    boolean PRIMARY KEY DEFAULT true CHECK (single),
  version bigint NOT NULL
);
INSERT INTO registry.version VALUES (true, 1);

CREATE FUNCTION registry.bump() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  UPDATE registry.version SET version = version + 1;
  RETURN NULL;
END $$;

CREATE TABLE registry.county (
  county     text PRIMARY KEY CHECK (county ~ '^[0-9]{3}$'),
  name       text NOT NULL,
  iso_3166_2 text NOT NULL UNIQUE
);
-- Both directions are stored.
CREATE TABLE registry.neighbour (
  county    text NOT NULL REFERENCES registry.county,
  neighbour text NOT NULL REFERENCES registry.county,
  PRIMARY KEY (county, neighbour)
);
CREATE TABLE registry.constituency (
  constituency text PRIMARY KEY CHECK (constituency ~ '^[0-9]{3}$'),
  name         text NOT NULL,
  county       text NOT NULL REFERENCES registry.county
);
-- Spellings, folded to lower case with everything but letters removed: "murang'a" and "Murang’a" are both "muranga".
CREATE TABLE registry.county_alias (
  alias  text PRIMARY KEY CHECK (alias ~ '^[a-z]+$'),
  county text NOT NULL REFERENCES registry.county
);

CREATE TABLE registry.agency (
  agency_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code           text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{0,31}$'),
  name           text NOT NULL,
  -- Policy for what this agency publishes: refuse what would only be warned of; refuse what has expired.
  strict         boolean NOT NULL DEFAULT false,
  refuse_expired boolean NOT NULL DEFAULT false,
  added_at       timestamptz NOT NULL DEFAULT now(),
  revoked_at     timestamptz
);
CREATE TABLE registry.desk (
  desk_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code       text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{0,31}$'),
  agency_id  integer NOT NULL REFERENCES registry.agency,
  name       text NOT NULL,
  added_at   timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);
CREATE TABLE registry.key (
  key_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- CURVE (X25519) and Ed25519 public keys.
  curve_key   bytea NOT NULL UNIQUE CHECK (octet_length(curve_key) = 32),
  sign_key    bytea NOT NULL CHECK (octet_length(sign_key) = 32),
  role        text NOT NULL CHECK (role IN ('PUBLISHER','DESK','OPERATOR')),
  realm       text NOT NULL CHECK (realm IN ('LIVE','EXERCISE')),
  agency_id   integer NOT NULL REFERENCES registry.agency,
  desk_id     integer REFERENCES registry.desk,
  -- CAP senders this key may speak for; '*' is any; empty is none.
  cap_senders text[] NOT NULL DEFAULT '{}',
  -- Most reports a second, averaged over ten; 0 is no limit.
  rate_limit  integer NOT NULL DEFAULT 0 CHECK (rate_limit >= 0),
  note        text NOT NULL DEFAULT '',
  added_at    timestamptz NOT NULL DEFAULT now(),
  revoked_at  timestamptz,
  CHECK ((role = 'DESK') = (desk_id IS NOT NULL))
);
-- The decision function's explicit ALLOW rows. NULL means any. No row, no copy (but an owner's own).
CREATE TABLE registry.allow (
  allow_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  desk_id     integer NOT NULL REFERENCES registry.desk,
  agency_id   integer REFERENCES registry.agency,
  county      text REFERENCES registry.county,
  -- jukwaa.v1.Category
  category    smallint CHECK (category BETWEEN 1 AND 12),
  -- jukwaa.v1.Tlp; the highest label this row reaches. RED (5) is never reached by a row.
  tlp_ceiling smallint NOT NULL DEFAULT 3 CHECK (tlp_ceiling BETWEEN 1 AND 4),
  valid_from  timestamptz NOT NULL DEFAULT now(),
  valid_until timestamptz,
  added_at    timestamptz NOT NULL DEFAULT now(),
  revoked_at  timestamptz
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['county','neighbour','constituency','county_alias','agency','desk','key','allow'] LOOP
    EXECUTE format('CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION registry.bump()', t);
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA registry TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT SELECT ON ALL TABLES IN SCHEMA registry TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT INSERT, UPDATE ON registry.agency, registry.desk, registry.key, registry.allow TO jukwaa_admin;
RESET ROLE;
