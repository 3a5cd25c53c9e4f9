-- Who answers for an incident: duties, to whom they were offered, who had them, who was told that nobody has.
SET LOCAL ROLE jukwaa_owner;

-- What decisions need of an incident beside what is there. closed_why: bits 1 cancelled, 2 moved away, 4 its case is closed or merged;
-- closed_at is NULL where it is 0. body_at: when the event body_seq was recorded. named: codes, separated by commas.
ALTER TABLE dispatch.open_incident
  ADD COLUMN category   smallint NOT NULL DEFAULT 0,
  ADD COLUMN scope      smallint NOT NULL DEFAULT 0,
  ADD COLUMN named      text NOT NULL DEFAULT '',
  ADD COLUMN body_at    timestamptz NOT NULL DEFAULT '-infinity',
  ADD COLUMN closed_why smallint NOT NULL DEFAULT 0,
  ADD CHECK ((closed_why = 0) = (closed_at IS NULL));

-- Those who follow all county streams must have taken what goes: dispatch too.
CREATE OR REPLACE FUNCTION feed.obstacle(p_stream text[], p_seq bigint[], p_chain bytea[], p_cutoff timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off AS $$
  SELECT CASE WHEN bool_or(e.chain IS DISTINCT FROM u.chain) THEN 'unfit'
              WHEN bool_or(e.recorded_at >= p_cutoff) THEN NULL
              WHEN bool_or(u.stream ~ '^[0-9]' AND coalesce(c.seq, 0) < u.seq) THEN 'cases'
              WHEN bool_or(u.stream ~ '^[0-9]' AND coalesce(n.seq, 0) < u.seq) THEN 'notify'
              WHEN bool_or(u.stream ~ '^[0-9]' AND coalesce(d.seq, 0) < u.seq) THEN 'dispatch'
              ELSE '' END
    FROM unnest(p_stream, p_seq, p_chain) u(stream, seq, chain)
    LEFT JOIN feed.event e ON e.stream = u.stream AND e.seq = u.seq
    LEFT JOIN cases.cursor c ON c.stream = u.stream
    LEFT JOIN notify.cursor n ON n.stream = u.stream
    LEFT JOIN dispatch.follow d ON d.stream = u.stream
$$;

-- As in 011; held names dispatch too.
CREATE OR REPLACE FUNCTION feed.remove(p_max integer, OUT removed bigint, OUT more boolean, OUT held text, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_cutoff   timestamptz;
  v_obstacle text := '';
BEGIN
  removed := 0;
  more := false;
  held := '';
  PERFORM FROM feed.removal FOR UPDATE SKIP LOCKED;
  IF NOT FOUND OR NOT meta.share_holds() THEN
    RETURN;
  END IF;
  DELETE FROM feed.held k WHERE k.ctid = ANY (ARRAY(
    SELECT f.ctid FROM feed.held f WHERE NOT EXISTS (SELECT FROM meta.held h WHERE h.incident_id = f.incident_id) LIMIT p_max));
  v_cutoff := meta.retention_cutoff('event');
  IF NOT EXISTS (SELECT FROM feed.removed r WHERE r.gone_seq < r.seq) THEN
    v_obstacle := CASE WHEN v_cutoff IS NOT NULL THEN feed.remove_up_to_head(p_max, v_cutoff) END;
  END IF;
  IF v_obstacle = '' THEN
    removed := feed.delete_removed(p_max);
  END IF;
  more := coalesce(v_obstacle IN ('', 'unfit'), false);
  held := CASE WHEN v_cutoff IS NULL THEN meta.retention_held()
               WHEN v_obstacle IN ('cases', 'notify', 'dispatch') THEN v_obstacle ELSE '' END;
  SELECT min(e.recorded_at) INTO oldest FROM feed.head h LEFT JOIN feed.removed r ON r.stream = h.stream
    CROSS JOIN LATERAL (SELECT k.recorded_at FROM feed.event k WHERE k.stream = h.stream AND k.seq > coalesce(r.seq, 0)
                         ORDER BY k.seq LIMIT 1) e;
  PERFORM meta.note_removal('event', removed, held);
END $$;

-- state and the steps between them: services/dispatch/dispatch_duty_rules.c. 0: the follower has put it here, and the next tick
-- opens it; only then somebody learns of it. version moves with every change; each change is guarded by it.
-- holder, asked, shift_to: desks. asked: to whom it is offered now (of one that has a holder: by the holder). shift_to: to whom
-- it is to be handed over with all that the holder has.
-- severity: as when it was made or changed last, so that life in danger comes first.
-- due_at: when the next desk is asked; say_at: when the publisher is told (again); escalate_at: when a role is told. A clock that
-- jumps brings them early or late, and nothing else: who is the holder depends on no clock.
CREATE TABLE dispatch.duty (
  duty_id      uuid PRIMARY KEY,
  incident_id  uuid NOT NULL,
  county       text COLLATE "C" NOT NULL,
  discipline   text COLLATE "C" NOT NULL,
  version      integer NOT NULL DEFAULT 0,
  state        smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 6),
  severity     smallint NOT NULL DEFAULT 0,
  answer_s     integer NOT NULL CHECK (answer_s > 0),
  again_s      integer NOT NULL CHECK (again_s > 0),
  holder       integer,
  asked        integer,
  shift_to     integer,
  shift_reason text NOT NULL DEFAULT '',
  offer_no     integer NOT NULL DEFAULT 0,
  round        integer NOT NULL DEFAULT 0,
  times        integer NOT NULL DEFAULT 0,
  entries      integer NOT NULL DEFAULT 0,
  opened_at    timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at       timestamptz,
  say_at       timestamptz,
  escalate_at  timestamptz,
  next_at      timestamptz GENERATED ALWAYS AS (least(due_at, say_at, escalate_at)) STORED,
  UNIQUE (incident_id, county, discipline),
  CHECK ((state = 3) = (holder IS NOT NULL)),
  CHECK (state <> 2 OR asked IS NOT NULL),
  CHECK (asked IS NULL OR state IN (2, 3))
) WITH (fillfactor = 70);
CREATE INDEX duty_next ON dispatch.duty (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX duty_by_holder ON dispatch.duty (holder, duty_id) WHERE holder IS NOT NULL;

-- Each offer, and each desk that was passed over. by_desk: the holder that hands over; NULL: the exchange. ending: 1 accepted,
-- 2 declined, 3 not answered in time, 4 passed over, 5 somebody else took it, or nobody has to any more. One is open at most.
CREATE TABLE dispatch.duty_offer (
  duty_id  uuid NOT NULL REFERENCES dispatch.duty,
  offer_no integer NOT NULL CHECK (offer_no > 0),
  round    integer NOT NULL,
  desk_id  integer NOT NULL,
  by_desk  integer,
  at       timestamptz NOT NULL,
  due_at   timestamptz,
  ended_at timestamptz,
  ending   smallint CHECK (ending BETWEEN 1 AND 5),
  reason   text NOT NULL DEFAULT '',
  PRIMARY KEY (duty_id, offer_no),
  CHECK ((ended_at IS NULL) = (ending IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX duty_offer_open ON dispatch.duty_offer (duty_id) WHERE ended_at IS NULL;
CREATE INDEX duty_offer_open_by_desk ON dispatch.duty_offer (desk_id, at) WHERE ended_at IS NULL;
CREATE INDEX duty_offer_by_desk ON dispatch.duty_offer (desk_id, at DESC, duty_id);

-- Who had it, from when to when. That it is one at most at every moment is held up here, whoever writes.
CREATE TABLE dispatch.duty_holding (
  duty_id    uuid NOT NULL REFERENCES dispatch.duty,
  holding_no integer NOT NULL CHECK (holding_no > 0),
  desk_id    integer NOT NULL,
  since      timestamptz NOT NULL,
  until      timestamptz CHECK (until >= since),
  PRIMARY KEY (duty_id, holding_no)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX duty_holding_one ON dispatch.duty_holding (duty_id) WHERE until IS NULL;
CREATE FUNCTION dispatch.hold_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF EXISTS (SELECT FROM dispatch.duty_holding h WHERE h.duty_id = NEW.duty_id AND h.holding_no <> NEW.holding_no
              AND (h.until IS NULL OR h.until > NEW.since) AND (NEW.until IS NULL OR NEW.until > h.since)) THEN
    RAISE EXCEPTION 'two holders at one time' USING ERRCODE = 'exclusion_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER hold_once BEFORE INSERT ON dispatch.duty_holding FOR EACH ROW EXECUTE FUNCTION dispatch.hold_once();

-- Roles that were told that nobody has it: how often, and when again; acknowledged: not any more.
CREATE TABLE dispatch.duty_telling (
  duty_id         uuid NOT NULL REFERENCES dispatch.duty,
  escalation_id   integer NOT NULL,
  role            smallint NOT NULL,
  desk_id         integer NOT NULL,
  times           integer NOT NULL,
  told_at         timestamptz NOT NULL,
  acknowledged_at timestamptz,
  PRIMARY KEY (duty_id, escalation_id)
) WITH (fillfactor = 80);
CREATE INDEX duty_telling_open ON dispatch.duty_telling (desk_id) WHERE acknowledged_at IS NULL;

-- All that ever happened to a duty. action: jukwaa.v1.DutyAction; 0: a command that is no step of it (an acknowledgement).
-- by_desk: who did it; NULL: the exchange. desk_id: whom it is about.
CREATE TABLE dispatch.duty_entry (
  duty_id     uuid NOT NULL REFERENCES dispatch.duty,
  entry_no    integer NOT NULL CHECK (entry_no > 0),
  at          timestamptz NOT NULL,
  version     integer NOT NULL,
  action      smallint NOT NULL,
  by_desk     integer,
  desk_id     integer,
  reason      text NOT NULL DEFAULT '',
  disposition smallint NOT NULL DEFAULT 0,
  role        smallint NOT NULL DEFAULT 0,
  command_id  uuid,
  event_id    uuid,
  PRIMARY KEY (duty_id, entry_no)
);

-- Commands that were done, with their answers: the same again changes nothing.
CREATE TABLE dispatch.duty_command (
  command_id uuid PRIMARY KEY,
  digest     bytea NOT NULL CHECK (octet_length(digest) = 32),
  desk_id    integer NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  thing_id   uuid NOT NULL,
  version    integer NOT NULL,
  state      text NOT NULL,
  number     text NOT NULL
);

-- Incidents closed for longer than p_grace_s, at most p_max of them.
CREATE FUNCTION dispatch.forget_closed(p_grace_s bigint, p_max bigint) RETURNS bigint LANGUAGE sql
SET search_path = pg_catalog AS $$
  WITH gone AS (DELETE FROM dispatch.open_incident o WHERE o.ctid = ANY (ARRAY(
      SELECT k.ctid FROM dispatch.open_incident k WHERE k.closed_at < clock_timestamp() - make_interval(secs => p_grace_s)
       ORDER BY k.closed_at LIMIT p_max FOR UPDATE SKIP LOCKED))
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dispatch, feed FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON dispatch.duty, dispatch.duty_offer, dispatch.duty_holding, dispatch.duty_telling TO jukwaa_dispatch;
GRANT SELECT, INSERT ON dispatch.duty_entry, dispatch.duty_command TO jukwaa_dispatch;
GRANT EXECUTE ON FUNCTION dispatch.forget_closed TO jukwaa_dispatch;
GRANT SELECT ON dispatch.duty, dispatch.duty_offer, dispatch.duty_holding, dispatch.duty_telling, dispatch.duty_entry TO jukwaa_admin;
RESET ROLE;
