DROP TABLE pool_paces;
