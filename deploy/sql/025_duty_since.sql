-- From when on incidents open duties: those that were recorded before this database knew duties are history, which is followed and
-- not offered. What was recorded since is offered, however long no dispatch ran in between.
SET LOCAL ROLE jukwaa_owner;
CREATE TABLE dispatch.duty_since (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  at  timestamptz NOT NULL
);
INSERT INTO dispatch.duty_since (at) VALUES (now() - interval '1 hour');
GRANT SELECT ON dispatch.duty_since TO jukwaa_dispatch, jukwaa_admin;
RESET ROLE;
