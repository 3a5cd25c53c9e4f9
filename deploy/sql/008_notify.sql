-- Notify: who is told, by which channel, and what came of it.
CREATE SCHEMA notify AUTHORIZATION jukwaa_owner;
SET LOCAL ROLE jukwaa_owner;

CREATE TABLE notify.cursor (
  stream text PRIMARY KEY,
  seq    bigint NOT NULL
) WITH (fillfactor = 30);

-- As cases.move: the first statement of the transaction that stores what a batch of events gives rise to.
CREATE FUNCTION notify.move(p_stream text[], p_from bigint[], p_to bigint[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE n integer;
BEGIN
  PERFORM pg_advisory_xact_lock('notify.cursor'::regclass::oid::bigint);
  INSERT INTO notify.cursor AS c (stream, seq)
    SELECT u.stream, u.to_seq FROM unnest(p_stream, p_from, p_to) u(stream, from_seq, to_seq)
     WHERE u.from_seq = 0 OR EXISTS (SELECT FROM notify.cursor k WHERE k.stream = u.stream AND k.seq = u.from_seq)
    ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq
      WHERE c.seq = p_from[array_position(p_stream, excluded.stream)];
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(p_stream) THEN
    RAISE EXCEPTION 'another follower moved the cursor of notify' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- A rule speaks for a desk: it never tells what that desk may not see.
CREATE TABLE notify.rule (
  rule_id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name             text NOT NULL UNIQUE,
  desk_id          integer NOT NULL REFERENCES registry.desk,
  -- NULL is any.
  county           text REFERENCES registry.county,
  category         smallint CHECK (category BETWEEN 1 AND 12),
  minimum_severity smallint CHECK (minimum_severity BETWEEN 1 AND 4),
  include_test     boolean NOT NULL DEFAULT false,
  url              text NOT NULL CHECK (url ~ '^https?://'),
  -- File that holds "whsec_" + base64, mode 0600, readable by the notify service.
  secret_file      text NOT NULL,
  added_at         timestamptz NOT NULL DEFAULT now(),
  revoked_at       timestamptz
);

CREATE TABLE notify.message (
  -- Also the webhook-id and the CloudEvents id: the same in every attempt.
  message_id      uuid PRIMARY KEY,
  rule_id         integer NOT NULL REFERENCES notify.rule,
  event_id        uuid NOT NULL,
  incident_id     uuid NOT NULL,
  county          text NOT NULL,
  category        smallint NOT NULL,
  severity        smallint NOT NULL,
  state           text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING','ACCEPTED','DEAD')),
  attempts        integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL DEFAULT now(),
  -- While an attempt is under way: when it counts as lost, and the message is due again.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  last_error      text NOT NULL DEFAULT '',
  -- An incident is told once for each rule and county, by the first of its reports that the rule matches.
  UNIQUE (rule_id, incident_id, county)
);
CREATE INDEX message_due ON notify.message (rule_id, next_attempt_at) WHERE state = 'PENDING';

-- Written before anything is sent, and completed with what came of it: a row that never was completed is an attempt of which
-- nobody knows the end. Numbered on over a requeue, which sets message.attempts back.
CREATE TABLE notify.attempt (
  message_id  uuid NOT NULL REFERENCES notify.message,
  attempt_no  integer NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  -- NULL: no answer.
  http_status integer,
  error       text NOT NULL DEFAULT 'no outcome recorded',
  -- The receiver may have taken it although we saw no answer.
  uncertain   boolean NOT NULL DEFAULT true,
  PRIMARY KEY (message_id, attempt_no)
);

GRANT USAGE ON SCHEMA notify TO jukwaa_notify, jukwaa_admin;
GRANT SELECT ON notify.rule TO jukwaa_notify;
GRANT SELECT, INSERT, UPDATE ON notify.cursor, notify.message TO jukwaa_notify;
GRANT SELECT, INSERT ON notify.attempt TO jukwaa_notify;
GRANT UPDATE (http_status, error, uncertain) ON notify.attempt TO jukwaa_notify;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA notify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION notify.move TO jukwaa_notify;
GRANT SELECT ON notify.cursor, notify.message, notify.attempt TO jukwaa_admin;
GRANT SELECT, INSERT, UPDATE ON notify.rule TO jukwaa_admin;
-- Requeue of a dead letter.
GRANT UPDATE (state, attempts, next_attempt_at, last_error) ON notify.message TO jukwaa_admin;
RESET ROLE;
