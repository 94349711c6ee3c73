ALTER TABLE campaigns DROP COLUMN scheduled_category;
ALTER TABLE campaigns DROP COLUMN scheduled_scope;
