-- The life of a case: what desks do with it, its history, tasks, numbers, links, and time targets.
SET LOCAL ROLE jukwaa_owner;

-- assigned_*: who has it. referred_*: whom it waits for. disposition: jukwaa.v1.Disposition. blocking: open tasks that keep it from
-- being resolved. *_hidden: the party has it under a term that keeps its name from others. took_in: cases merged into it. Targets are fixed when it is opened or its severity changes.
ALTER TABLE cases."case"
  ADD COLUMN assigned_agency   text NOT NULL DEFAULT '',
  ADD COLUMN assigned_desk     text NOT NULL DEFAULT '',
  ADD COLUMN referred_agency   text NOT NULL DEFAULT '',
  ADD COLUMN referred_service  text NOT NULL DEFAULT '',
  ADD COLUMN assigned_hidden   boolean NOT NULL DEFAULT false,
  ADD COLUMN referred_hidden   boolean NOT NULL DEFAULT false,
  ADD COLUMN disposition       smallint NOT NULL DEFAULT 0,
  ADD COLUMN blocking          integer NOT NULL DEFAULT 0,
  ADD COLUMN took_in           integer NOT NULL DEFAULT 0,
  ADD COLUMN triaged_at        timestamptz,
  ADD COLUMN assigned_at       timestamptz,
  ADD COLUMN started_at        timestamptz,
  ADD COLUMN target_triage_at  timestamptz,
  ADD COLUMN target_resolve_at timestamptz;
CREATE INDEX case_merged ON cases."case" (merged_into) WHERE merged_into IS NOT NULL;
-- What is late now: few.
CREATE INDEX case_to_triage ON cases."case" (target_triage_at)
  WHERE target_triage_at IS NOT NULL AND triaged_at IS NULL AND state <> 10;
CREATE INDEX case_to_resolve ON cases."case" (target_resolve_at)
  WHERE target_resolve_at IS NOT NULL AND resolved_at IS NULL AND state <> 10;

-- Lines of commands. event_id: of the CASE_STATE event where there is one, else the line's own. digest: of the command; its
-- answer, given again when it comes again: version, state, thing_id, number. detail: a packed jukwaa.v1.CaseEntry of what the
-- columns do not say. hidden: done under a term that keeps the actor's name from others.
ALTER TABLE cases.entry
  ADD COLUMN actor_agency text,
  ADD COLUMN actor_desk   text,
  ADD COLUMN actor_key    integer,
  ADD COLUMN hidden       boolean,
  ADD COLUMN command_id   uuid,
  ADD COLUMN digest       bytea,
  ADD COLUMN version      integer,
  ADD COLUMN state        smallint,
  ADD COLUMN thing_id     uuid,
  ADD COLUMN number       text,
  ADD COLUMN detail       bytea;
CREATE UNIQUE INDEX entry_by_command ON cases.entry (command_id) WHERE command_id IS NOT NULL;

CREATE TABLE cases.task (
  task_id  uuid PRIMARY KEY,
  case_id  uuid NOT NULL,
  title    text NOT NULL CHECK (octet_length(title) BETWEEN 1 AND 200),
  agency   text NOT NULL,
  desk     text NOT NULL,
  due_at   timestamptz,
  blocking boolean NOT NULL,
  -- For its own agency alone to know who is to do it.
  hidden   boolean NOT NULL,
  -- jukwaa.v1.CaseTaskState
  state    smallint NOT NULL CHECK (state IN (1, 2, 3)),
  made_at  timestamptz NOT NULL,
  ended_at timestamptz
) WITH (fillfactor = 90);
CREATE INDEX task_by_case ON cases.task (case_id);

-- Each agency's own numbers. Checked at the end of the transaction: a batch may pass a number on from case to case.
CREATE TABLE cases.number (
  case_id   uuid NOT NULL,
  agency    text NOT NULL,
  number    text CHECK (octet_length(number) BETWEEN 1 AND 64),
  ob_number text CHECK (octet_length(ob_number) BETWEEN 1 AND 64),
  at        timestamptz NOT NULL,
  PRIMARY KEY (case_id, agency),
  CHECK (number IS NOT NULL OR ob_number IS NOT NULL),
  CONSTRAINT number_is_given_once UNIQUE (agency, number) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX number_by_ob ON cases.number (ob_number) WHERE ob_number IS NOT NULL;
CREATE INDEX number_by_number ON cases.number (number) WHERE number IS NOT NULL;

-- Both ways: two rows a link.
CREATE TABLE cases.link (
  case_id  uuid NOT NULL,
  other_id uuid NOT NULL,
  -- jukwaa.v1.CaseRelation: how case_id stands to other_id.
  relation smallint NOT NULL,
  at       timestamptz NOT NULL,
  PRIMARY KEY (case_id, other_id, relation)
);

-- How soon cases are to be triaged and resolved. 0: any category, any severity; the narrowest row counts, category first.
CREATE TABLE cases.target (
  target_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  category  smallint NOT NULL CHECK (category BETWEEN 0 AND 12),
  severity  smallint NOT NULL CHECK (severity BETWEEN 0 AND 5),
  triage_s  integer CHECK (triage_s BETWEEN 1 AND 31536000),
  resolve_s integer CHECK (resolve_s BETWEEN 1 AND 315360000),
  UNIQUE (category, severity),
  CHECK (triage_s IS NOT NULL OR resolve_s IS NOT NULL)
);

GRANT SELECT, INSERT, UPDATE ON cases.task, cases.number TO jukwaa_cases;
GRANT SELECT, INSERT ON cases.link TO jukwaa_cases;
GRANT SELECT ON cases.target TO jukwaa_cases;
GRANT SELECT ON cases.task, cases.number, cases.link TO jukwaa_admin;
GRANT SELECT, INSERT, DELETE ON cases.target TO jukwaa_admin;
GRANT UPDATE (triage_s, resolve_s) ON cases.target TO jukwaa_admin;
-- What is done with a case is an event of its incident.
GRANT EXECUTE ON FUNCTION feed.append TO jukwaa_cases;
RESET ROLE;
