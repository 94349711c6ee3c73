-- How often in a row a delivery was put off without an attempt: it waits longer each time.
ALTER TABLE deliveries ADD COLUMN put_offs INTEGER NOT NULL DEFAULT 0;
