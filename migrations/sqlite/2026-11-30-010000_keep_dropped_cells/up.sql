-- Cells of imported rows that nothing was made of: keys of other contacts, keys that cannot be read beside a stronger one, and what stands
-- below no column's name. An older instance goes on beside this: it counts none.
ALTER TABLE imports ADD COLUMN dropped_cells BIGINT NOT NULL DEFAULT 0;
-- The first hundred of them with the reasons, as JSON.
ALTER TABLE imports ADD COLUMN dropped TEXT NOT NULL DEFAULT '[]';
