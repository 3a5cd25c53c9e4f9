-- Roles and the realm. Applied in one transaction by `jukwaa admin migrate`, which keeps meta.migration.
-- One login role per service with the least it needs; the owner of everything cannot log in.
DO $$
DECLARE r text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jukwaa_owner') THEN
    CREATE ROLE jukwaa_owner NOLOGIN;
  END IF;
  FOREACH r IN ARRAY ARRAY['jukwaa_intake','jukwaa_dispatch','jukwaa_cases','jukwaa_notify','jukwaa_admin'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', r);
    END IF;
  END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;

ALTER SCHEMA meta OWNER TO jukwaa_owner;
ALTER TABLE meta.migration OWNER TO jukwaa_owner;
GRANT USAGE ON SCHEMA meta TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
GRANT SELECT ON meta.migration TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;

-- One row: this database serves this realm, for good.
CREATE TABLE meta.realm (
  single  boolean PRIMARY KEY DEFAULT true CHECK (single),
  realm text NOT NULL CHECK (realm IN ('LIVE','EXERCISE'))
);
ALTER TABLE meta.realm OWNER TO jukwaa_owner;
GRANT SELECT ON meta.realm TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin;
