ALTER TABLE campaigns DROP COLUMN rewound_at;
DROP TABLE database_history;
