ALTER TABLE imports DROP COLUMN dropped;
ALTER TABLE imports DROP COLUMN dropped_cells;
