-- The session of the person who did it, where it was done on the operators' pages. Sessions go by age: no row needs to be there.
ALTER TABLE audit_log ADD COLUMN session_id BIGINT;
