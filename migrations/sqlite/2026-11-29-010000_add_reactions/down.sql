DROP TABLE known_targets;
DROP TABLE reactions_due;
DROP TABLE reaction_shards;
ALTER TABLE segment_transitions DROP COLUMN depth;
ALTER TABLE touches DROP COLUMN depth;
ALTER TABLE segments DROP COLUMN reactions;
