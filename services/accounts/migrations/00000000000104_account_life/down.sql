DROP TABLE freezes;
DROP TABLE account_holders;
DROP TABLE account_external_ids;
DROP INDEX account_labels_value;
ALTER TABLE account_labels DROP COLUMN create_time;
ALTER TABLE accounts
    DROP COLUMN close_time,
    DROP COLUMN disposition_id,
    DROP COLUMN acknowledged_version,
    DROP COLUMN controls_version,
    DROP COLUMN limits,
    DROP COLUMN parent_id;
