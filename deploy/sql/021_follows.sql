-- Follows.
SELECT 1;
