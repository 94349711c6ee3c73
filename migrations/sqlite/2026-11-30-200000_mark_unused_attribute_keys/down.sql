ALTER TABLE attribute_keys DROP COLUMN unused_since;
