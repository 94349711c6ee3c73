DROP TABLE deliverability_news;
DROP TABLE deliverability;
