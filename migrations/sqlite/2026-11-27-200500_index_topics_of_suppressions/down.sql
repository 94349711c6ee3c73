DROP INDEX suppressions_topic;
