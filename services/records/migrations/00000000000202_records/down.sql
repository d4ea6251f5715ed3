DROP TABLE record_labels;
DROP TABLE record_versions;
DROP TABLE records;
