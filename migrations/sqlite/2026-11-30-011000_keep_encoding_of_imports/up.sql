-- The encoding that the file of an import came in, as `windows-1252`. Null: an instance that does not know of this took it.
ALTER TABLE imports ADD COLUMN encoding TEXT;
