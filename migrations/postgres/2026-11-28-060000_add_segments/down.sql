ALTER TABLE events RESET (autovacuum_vacuum_insert_scale_factor);
DROP TABLE segment_ranges;
DROP TABLE segment_transitions;
DROP TABLE segment_members;
DROP TABLE segment_shards;
DROP TABLE contact_timers;
DROP TABLE touches;
DROP TABLE segments;
