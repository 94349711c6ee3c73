ALTER TABLE deliveries DROP COLUMN put_offs;
