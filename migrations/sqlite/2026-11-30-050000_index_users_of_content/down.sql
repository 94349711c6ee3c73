DROP INDEX audience_lists_list;
DROP INDEX campaigns_template;
