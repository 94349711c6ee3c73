-- All rejected rows of an import, to correct them and to upload them again. A row for each batch of the import that rejects something,
-- written in the transaction that stores the batch, so that a batch that comes a second time keeps nothing twice. They hold personal data:
-- removed seven days after the import has ended.
CREATE TABLE import_rejections (
    import_id BIGINT NOT NULL REFERENCES imports (id),
    -- Where the batch ends in the file, in bytes; 0: the header.
    byte_offset BIGINT NOT NULL,
    -- Whole lines of CSV.
    text TEXT NOT NULL,
    PRIMARY KEY (import_id, byte_offset)
);
