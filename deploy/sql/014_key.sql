-- Keys that end by themselves, and keys that take over from others; and the grants as they are after all migrations before.
SET LOCAL ROLE jukwaa_owner;

-- From when and until when a key may be used (until: exclusive); NULL is no bound. Services compare with their own clock whenever
-- they receive something from a key or make something for it; nothing sweeps. replaces: the key it has taken over from, which
-- goes on being good until its own expires_at, so that both work meanwhile.
ALTER TABLE registry.key
  ADD COLUMN valid_from timestamptz,
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN replaces integer REFERENCES registry.key,
  -- A time before 2000 would be a mistake, and an end without end is written as none.
  ADD CONSTRAINT key_expires_at_check CHECK (expires_at > '2000-01-01 00:00+00' AND isfinite(expires_at)),
  ADD CONSTRAINT key_valid_from_check CHECK (valid_from > '2000-01-01 00:00+00' AND isfinite(valid_from)),
  ADD CONSTRAINT key_replaces_check CHECK (replaces <> key_id);

-- `jukwaa admin key rotate`: the new key (CURVE, Ed25519) takes over what the old one may do; the old one ends after p_overlap, or
-- earlier where its end is set already. No row: there is no such old key. Otherwise: 'rotated'; 'unchanged' when that was done
-- before; 'revoked' when the old key is; 'taken' when the new key is registered for something else.
CREATE FUNCTION registry.rotate_key(p_old bytea, p_new bytea, p_sign bytea, p_overlap interval, p_expires timestamptz)
RETURNS TABLE (done text, old_expires_at timestamptz) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  v_old registry.key;
  v_new registry.key;
BEGIN
  SELECT * INTO v_old FROM registry.key WHERE curve_key = p_old FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT * INTO v_new FROM registry.key WHERE curve_key = p_new;
  IF FOUND THEN
    RETURN QUERY SELECT CASE WHEN v_new.replaces = v_old.key_id AND v_new.revoked_at IS NULL THEN 'unchanged' ELSE 'taken' END,
                        v_old.expires_at;
    RETURN;
  END IF;
  IF v_old.revoked_at IS NOT NULL THEN
    RETURN QUERY SELECT 'revoked', v_old.expires_at;
    RETURN;
  END IF;
  INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, desk_id, cap_senders, rate_limit, note, may_sign,
                            expires_at, replaces)
    VALUES (p_new, p_sign, v_old.role, v_old.realm, v_old.agency_id, v_old.desk_id, v_old.cap_senders, v_old.rate_limit,
            v_old.note, v_old.may_sign, p_expires, v_old.key_id);
  UPDATE registry.key SET expires_at = least(expires_at, clock_timestamp() + p_overlap) WHERE key_id = v_old.key_id
    RETURNING expires_at INTO v_old.expires_at;
  RETURN QUERY SELECT 'rotated', v_old.expires_at;
END $$;
REVOKE ALL ON FUNCTION registry.rotate_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION registry.rotate_key TO jukwaa_admin;

-- ---- least grants: tests/store/rights_test.py holds what is left ------------------------------------------------------------
-- A service reads of the feed what it follows or joins, of the registry what its snapshot is made of, and of the rest its own.
REVOKE SELECT ON feed.epoch, evidence.head FROM jukwaa_intake, jukwaa_cases, jukwaa_notify;
REVOKE SELECT ON feed.epoch FROM jukwaa_dispatch;
REVOKE SELECT ON feed.head FROM jukwaa_intake;
REVOKE SELECT ON feed.removed FROM jukwaa_intake, jukwaa_cases, jukwaa_notify;
REVOKE SELECT ON meta.retention, meta.removal FROM jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify;
REVOKE EXECUTE ON FUNCTION feed.append FROM jukwaa_cases;
REVOKE EXECUTE ON FUNCTION feed.current_epoch FROM jukwaa_cases, jukwaa_notify;
REVOKE USAGE ON SCHEMA evidence FROM jukwaa_intake, jukwaa_cases, jukwaa_notify;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA registry FROM PUBLIC;

-- The operator changes what a row says, not which row it is: a key that is another key would have the other's history.
DO $$
DECLARE
  t    record;
  cols text;
BEGIN
  FOR t IN SELECT * FROM (VALUES ('registry.agency', '{agency_id,code,added_at}'::text[]), ('registry.desk', '{desk_id,code,added_at}'),
      ('registry.key', '{key_id,curve_key,replaces,added_at}'), ('notify.rule', '{rule_id,name,added_at}'),
      ('registry.allow', '{allow_id,desk_id,agency_id,county,category,tlp_ceiling,valid_from,added_at}')) v (name, fixed) LOOP
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO cols FROM pg_attribute
     WHERE attrelid = t.name::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL (t.fixed);
    EXECUTE format('REVOKE UPDATE ON %s FROM jukwaa_admin', t.name);
    EXECUTE format('GRANT UPDATE (%s) ON %s TO jukwaa_admin', cols, t.name);
  END LOOP;
END $$;

-- A temporary table's type comes before pg_catalog's of the same name, unless the path says otherwise.
DO $$
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT oid FROM pg_proc
            WHERE pronamespace IN ('meta'::regnamespace, 'registry'::regnamespace, 'feed'::regnamespace, 'evidence'::regnamespace,
                                   'intake'::regnamespace, 'dispatch'::regnamespace, 'cases'::regnamespace, 'notify'::regnamespace)
              AND 'search_path=pg_catalog' = ANY (proconfig) LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', f);
  END LOOP;
END $$;
RESET ROLE;

-- Nobody but the services and whoever the database's owner lets in; and nobody needs temporary tables.
DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO jukwaa_intake, jukwaa_dispatch, jukwaa_cases, jukwaa_notify, jukwaa_admin',
                 current_database());
END $$;
