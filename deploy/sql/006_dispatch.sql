-- Dispatch: how far each desk is, and what may have been disclosed to whom.
CREATE SCHEMA dispatch AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

CREATE TABLE dispatch.secret (
  single     boolean PRIMARY KEY DEFAULT true CHECK (single),
  seal_key bytea NOT NULL
);
INSERT INTO dispatch.secret (seal_key)
  VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- Hot rows: written at most once a second a cursor, without waiting for the disk (a loss is a redelivery).
-- holder: the desk (D<desk_id>) or the publisher's agency (A<agency_id>).
CREATE TABLE dispatch.cursor (
  holder     text NOT NULL,
  name       text NOT NULL,
  stream     text NOT NULL,
  seq        bigint NOT NULL,
  chain8     bytea NOT NULL,
  filter     bytea NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (holder, name, stream)
) WITH (fillfactor = 30);

-- Written before anything of the range is sent. closed_at NULL: possibly disclosed up to to_seq. Closed: acknowledged up to
-- acked_seq, sent up to sent_seq (below from_seq: nothing); what lies between was possibly disclosed.
CREATE TABLE dispatch.disclosure (
  disclosure_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session        bigint NOT NULL,
  holder         text NOT NULL,
  key_id         integer NOT NULL,
  stream         text NOT NULL,
  from_seq       bigint NOT NULL,
  to_seq         bigint NOT NULL,
  policy_version bigint NOT NULL,
  filter         bytea NOT NULL,
  reserved_at    timestamptz NOT NULL DEFAULT now(),
  acked_seq      bigint,
  sent_seq       bigint,
  closed_at      timestamptz
);
CREATE INDEX disclosure_by_holder ON dispatch.disclosure (holder, stream, from_seq);

GRANT USAGE ON SCHEMA dispatch TO jukwaa_dispatch, jukwaa_admin;
GRANT SELECT ON dispatch.secret TO jukwaa_dispatch;
GRANT SELECT, INSERT, UPDATE, DELETE ON dispatch.cursor TO jukwaa_dispatch;
GRANT SELECT, INSERT, UPDATE ON dispatch.disclosure TO jukwaa_dispatch;
GRANT SELECT ON dispatch.cursor, dispatch.disclosure TO jukwaa_admin;
RESET ROLE;
