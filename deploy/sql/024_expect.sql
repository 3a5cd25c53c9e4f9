-- What each command checks in the database, without a function call where all is well: it took a third of the time of changing a row.
SET LOCAL ROLE jukwaa_owner;

-- As in 007 and 016, but a part of the statement that asks; the function that fails is called only then.
DROP FUNCTION cases.expect;
DROP FUNCTION dispatch.expect;
CREATE FUNCTION cases.refuse_changed() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'a case changed in between' USING ERRCODE = 'serialization_failure';
END $$;
CREATE FUNCTION dispatch.refuse_changed() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'a row changed in between' USING ERRCODE = 'serialization_failure';
END $$;
CREATE FUNCTION cases.expect(p_rows bigint, p_expected bigint) RETURNS boolean LANGUAGE sql
RETURN CASE WHEN p_rows IS NOT DISTINCT FROM p_expected THEN true ELSE cases.refuse_changed() END;
CREATE FUNCTION dispatch.expect(p_rows bigint, p_expected bigint) RETURNS boolean LANGUAGE sql
RETURN CASE WHEN p_rows IS NOT DISTINCT FROM p_expected THEN true ELSE dispatch.refuse_changed() END;
REVOKE ALL ON FUNCTION cases.expect, cases.refuse_changed, dispatch.expect, dispatch.refuse_changed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cases.expect, cases.refuse_changed TO jukwaa_cases;
GRANT EXECUTE ON FUNCTION dispatch.expect, dispatch.refuse_changed TO jukwaa_dispatch;

-- As in 022; a statement that notes the change itself needs no trigger for it.
DROP TRIGGER note_change ON cases."case";
CREATE TRIGGER note_change BEFORE UPDATE ON cases."case" FOR EACH ROW WHEN (NEW.changed IS DISTINCT FROM pg_current_xact_id())
  EXECUTE FUNCTION cases.note_change();
RESET ROLE;
