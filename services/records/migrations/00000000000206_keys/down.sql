DROP INDEX subject_keys_epoch;
CREATE INDEX subject_keys_epoch ON subject_keys (tenant_id, tenant_key_epoch);
ALTER TABLE subject_keys
    DROP COLUMN made_epoch,
    DROP COLUMN first_epoch;
ALTER TABLE tenant_keys
    DROP COLUMN destroy_time,
    DROP COLUMN retire_time,
    DROP COLUMN keks;
DROP TABLE rotations;
DROP TABLE record_index;
DROP TABLE index_keys;
