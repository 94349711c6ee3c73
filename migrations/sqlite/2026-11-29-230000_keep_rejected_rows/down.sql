DROP TABLE import_rejections;
