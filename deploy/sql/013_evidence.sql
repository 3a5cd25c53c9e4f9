-- Evidence: finding the signed head that came next after an event, however many are kept.
SET LOCAL ROLE jukwaa_owner;

CREATE INDEX head_by_stored_at ON evidence.head (stored_at, head_no);

RESET ROLE;
