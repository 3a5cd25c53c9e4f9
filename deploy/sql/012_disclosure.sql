-- What was disclosed, event by event; and the events of one incident.
SET LOCAL ROLE jukwaa_owner;

-- record: one byte for each number from from_seq on: 0 not sent, else the place in `terms` (from 1) of what the copy went out
-- under: "owner", "allow ID PROFILE", "agreement CODE VERSION PROFILE", "recalled" (ids only); "+reporter", "+persons" where
-- protected groups were in it. Written some seconds after the sending and when the row is closed; noted_at says when. Numbers
-- past the record's end: not sent in a closed row, possibly sent in an open one (a dispatch that was killed leaves it open).
-- A closed row with sent_seq >= from_seq and no record is from before there were records: possibly sent up to sent_seq.
ALTER TABLE dispatch.disclosure
  ADD COLUMN record bytea,
  ADD COLUMN terms text[],
  ADD COLUMN noted_at timestamptz;

-- Ids grow with time: the index grows at its end. Messages of mailboxes have no incident.
CREATE INDEX event_by_incident ON feed.event (incident_id) WHERE kind < 16;

-- What the row says of one number: NULL not sent; '?' possibly sent; else the term.
CREATE FUNCTION dispatch.sent_under(d dispatch.disclosure, p_seq bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog AS $$
  SELECT CASE
    WHEN p_seq NOT BETWEEN d.from_seq AND d.to_seq THEN NULL
    WHEN p_seq - d.from_seq < octet_length(d.record)
      THEN d.terms[nullif(get_byte(d.record, (p_seq - d.from_seq)::integer), 0)]
    WHEN d.closed_at IS NULL THEN '?'
    WHEN d.record IS NULL AND p_seq <= d.sent_seq THEN '?'
  END
$$;
REVOKE ALL ON FUNCTION dispatch.sent_under FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dispatch.sent_under TO jukwaa_dispatch, jukwaa_admin;
-- 011 leaves dispatch the columns that close a row.
GRANT UPDATE (record, terms, noted_at) ON dispatch.disclosure TO jukwaa_dispatch;
RESET ROLE;
