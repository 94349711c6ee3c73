DROP INDEX campaigns_key;
DROP TABLE callbacks;
