-- The length of the file of an import, in bytes of UTF-8 (null: an earlier version took it). How much of it is read is known already, so that
-- clients can tell how long the rest will take.
ALTER TABLE imports ADD COLUMN bytes BIGINT;
