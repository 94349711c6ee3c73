ALTER TABLE api_keys DROP COLUMN source;
DROP TABLE event_keys;
DROP TABLE events;
