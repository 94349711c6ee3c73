DROP INDEX pages_uncertain;
DROP TABLE sessions;
