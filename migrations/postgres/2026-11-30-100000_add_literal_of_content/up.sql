-- Texts that go out as they are written, though they look like placeholders: a JSON list.
ALTER TABLE template_versions ADD COLUMN literal TEXT NOT NULL DEFAULT '[]';
