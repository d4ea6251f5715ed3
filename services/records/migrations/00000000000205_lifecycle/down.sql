DROP TABLE uploads;
DROP TABLE object_deletes;
ALTER TABLE record_versions DROP COLUMN segments;
DROP INDEX records_expire;
DROP INDEX records_kind;
ALTER TABLE records
    DROP COLUMN expire_time,
    DROP COLUMN purge_time,
    DROP COLUMN delete_time,
    DROP COLUMN state;
