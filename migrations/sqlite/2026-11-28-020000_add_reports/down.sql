DROP TABLE page_reports;
ALTER TABLE deliveries DROP COLUMN reported;
