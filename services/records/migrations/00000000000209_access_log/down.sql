DROP FUNCTION make_access_partition(timestamp);
ALTER TABLE accesses
    DROP COLUMN grounds,
    DROP COLUMN resource,
    DROP COLUMN principal_commitment,
    DROP COLUMN principal_salt;
