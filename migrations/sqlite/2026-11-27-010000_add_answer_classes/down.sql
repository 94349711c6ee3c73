ALTER TABLE campaigns DROP COLUMN refusal_doubt;
ALTER TABLE packings DROP COLUMN sweep_class;
ALTER TABLE deliveries DROP COLUMN answer_class;
