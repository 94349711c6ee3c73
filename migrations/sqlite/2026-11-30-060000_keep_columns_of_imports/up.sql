-- What the columns of an import's file became, as JSON. NULL: an earlier version took the file.
ALTER TABLE imports ADD COLUMN file_columns TEXT;
