DROP TABLE hold_texts;
DROP TABLE hold_events;
DROP TABLE holds;
