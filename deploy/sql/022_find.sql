-- Finding cases: what is near in place and time, what has changed, and more questions that are recorded.
SET LOCAL ROLE jukwaa_owner;

-- Cells of a fiftieth of a degree (2.2 km): those within 2 km of a point lie in nine of them.
CREATE INDEX case_by_cell ON cases."case" ((floor(lat * 50)::int), (floor(lon * 50)::int), (coalesce(occurred_at, opened_at)))
  WHERE lat IS NOT NULL;

-- The transaction that last changed the row. Whoever keeps a copy reads those at or after the oldest transaction that was still open
-- when it read before, and has missed nothing, in whatever order they were committed.
ALTER TABLE cases."case" ADD COLUMN changed xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX case_by_change ON cases."case" (changed, case_id);

CREATE FUNCTION cases.note_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END $$;
CREATE TRIGGER note_change BEFORE UPDATE ON cases."case" FOR EACH ROW EXECUTE FUNCTION cases.note_change();

ALTER TABLE cases.access DROP CONSTRAINT access_asked_check;
ALTER TABLE cases.access ADD CONSTRAINT access_asked_check CHECK (asked ~ '^[A-Z]{1,16}$');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cases FROM PUBLIC;
RESET ROLE;
