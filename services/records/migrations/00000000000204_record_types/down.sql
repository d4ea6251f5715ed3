DROP TABLE record_types;
