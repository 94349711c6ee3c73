-- What an instance does (all, api or sender), and what keeps its pools from going on: an instance that only takes requests shows it.
ALTER TABLE instances ADD COLUMN role TEXT NOT NULL DEFAULT 'all' CHECK (role IN ('all', 'api', 'sender'));
ALTER TABLE instances ADD COLUMN troubles TEXT NOT NULL DEFAULT '{}';
