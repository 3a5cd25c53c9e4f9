-- What was done about an incident (kinds 9 to 12) is appended with the body of its newest report. A service that has not read the
-- newest yet must not append an older one behind it: desks that the newest is not meant for would be shown the old one once more.
SET LOCAL ROLE jukwaa_owner;

-- feed.append holds the heads by then, and each statement here sees what was committed while it waited for them. Class 40: worth
-- the whole transaction again, when the newest report has been read.
CREATE FUNCTION feed.refuse_stale() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF EXISTS (SELECT FROM intake.incident i WHERE i.incident_id = NEW.incident_id AND i.current_revision > NEW.revision) THEN
    RAISE EXCEPTION 'a newer report of % has come in between', NEW.incident_id USING ERRCODE = '40J01';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION feed.refuse_stale FROM PUBLIC;
CREATE TRIGGER refuse_stale BEFORE INSERT ON feed.event FOR EACH ROW WHEN (NEW.kind BETWEEN 9 AND 12)
  EXECUTE FUNCTION feed.refuse_stale();
RESET ROLE;
