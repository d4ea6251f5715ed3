DROP TABLE evidence;
DROP TABLE link_totals;
DROP TABLE links;
DROP FUNCTION links_within;
DROP TABLE external_ids;
CREATE INDEX labels_by_value ON labels (tenant_id, key, value, transaction_id);
ALTER TABLE labels DROP COLUMN record_time, DROP COLUMN commitment, DROP COLUMN salt;
-- Why something was forced has no place in the schema before.
ALTER TABLE texts NO FORCE ROW LEVEL SECURITY;
DELETE FROM texts WHERE entry_index < -1;
ALTER TABLE texts FORCE ROW LEVEL SECURITY;
ALTER TABLE texts
    DROP CONSTRAINT texts_entry_index_check,
    ADD CONSTRAINT texts_entry_index_check CHECK (entry_index >= -1),
    DROP COLUMN commitment,
    DROP COLUMN salt;
ALTER TABLE entries DROP COLUMN value_date;
DROP INDEX transactions_by_time;
ALTER TABLE transactions
    DROP COLUMN group_id,
    DROP COLUMN hold_id,
    DROP COLUMN reverses,
    DROP COLUMN overrides,
    ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
