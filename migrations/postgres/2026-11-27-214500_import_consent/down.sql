ALTER TABLE imports DROP COLUMN stay_refused;
ALTER TABLE imports DROP COLUMN resubscribed;
ALTER TABLE imports DROP COLUMN resubscribe_reason;
ALTER TABLE imports DROP COLUMN confirmed;
