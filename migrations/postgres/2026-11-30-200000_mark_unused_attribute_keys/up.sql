-- Since when no contact has had an attribute of this name, in milliseconds since 1970. NULL: one has, or nobody has looked. A name that stays
-- unused goes; one that is written again loses the mark in the same transaction.
ALTER TABLE attribute_keys ADD COLUMN unused_since BIGINT;
