DROP INDEX api_keys_lower_name;
DROP INDEX templates_lower_name;
DROP INDEX segments_lower_name;
DROP INDEX lists_lower_name;
DROP INDEX campaigns_lower_name;
