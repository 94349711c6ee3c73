ALTER TABLE audit_log DROP COLUMN session_id;
