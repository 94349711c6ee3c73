-- How the file of an import is written: CSV, or a JSON object on each line. Earlier versions took CSV alone.
ALTER TABLE imports ADD COLUMN format TEXT NOT NULL DEFAULT 'csv' CHECK (format IN ('csv', 'jsonl'));
