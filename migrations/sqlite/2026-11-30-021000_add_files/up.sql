-- Files that emails have attached or show in their HTML. One that is there twice is stored once. A file goes when somebody deletes it, which is
-- refused while a template or a campaign names it; each has at most http.max_body_bytes.
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    -- In bytes.
    size BIGINT NOT NULL,
    -- SHA-256 of the bytes, in hex.
    sha256 TEXT NOT NULL,
    bytes BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (sha256, name, content_type)
);
