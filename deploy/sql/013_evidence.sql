-- Evidence: finding the signed head that came next after an event, however many are kept; what publishers sign themselves.
SET LOCAL ROLE jukwaa_owner;

CREATE INDEX head_by_stored_at ON evidence.head (stored_at, head_no);

-- Policy of an agency: reports without its own signature are refused.
ALTER TABLE registry.agency ADD COLUMN require_signature boolean NOT NULL DEFAULT false;
-- The publisher's signature as verified, and the salt under which it stands: with bytes, what a dispute needs.
ALTER TABLE intake.report
  ADD COLUMN origin_salt bytea CHECK (octet_length(origin_salt) = 16),
  ADD COLUMN origin_key bytea CHECK (octet_length(origin_key) = 32),
  ADD COLUMN origin_signature bytea CHECK (octet_length(origin_signature) = 64),
  ADD CONSTRAINT report_origin_check CHECK (num_nulls(origin_salt, origin_key, origin_signature) IN (0, 3));

RESET ROLE;
