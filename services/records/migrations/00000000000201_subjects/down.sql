DROP TABLE subject_keys;
DROP TABLE subjects;
DROP TABLE tenant_keys;
