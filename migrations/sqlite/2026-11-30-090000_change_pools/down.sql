DROP TABLE former_pools;
DROP INDEX packings_moving;
ALTER TABLE packings DROP COLUMN move_provider;
ALTER TABLE packings DROP COLUMN move_page_id;
