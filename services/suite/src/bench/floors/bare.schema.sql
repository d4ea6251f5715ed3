-- The floor "bare": the smallest honest schema of a double-entry ledger, frozen, so that ratios to
-- it can be compared over the years. Amounts are bigint; there are no tenants, policies, request
-- ids, triggers or foreign keys. What stays: a balance that cannot fall below its bound, a row for
-- each transfer, two entries with the balance after each, and each account's history in an index.
CREATE TABLE floors.bare_accounts (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL,
    overdraft_limit bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE floors.bare_transfers (
    id bigint PRIMARY KEY,
    record_time timestamptz NOT NULL
);

CREATE TABLE floors.bare_entries (
    account_id bigint NOT NULL,
    transfer_id bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    PRIMARY KEY (account_id, transfer_id)
);

-- Ids come in order, as UUIDv7 do, and a session takes many at once.
CREATE SEQUENCE floors.bare_ids CACHE 64;

-- A transfer in one round trip: a function is faster than one statement after the other. The
-- updates lock the rows, in the order of the ids, and the bound is checked under the locks.
CREATE FUNCTION floors.bare(debit bigint, credit bigint, amount bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    transfer bigint := nextval('floors.bare_ids');
    low bigint := least(debit, credit);
    high bigint := greatest(debit, credit);
    low_amount bigint := CASE WHEN low = debit THEN -amount ELSE amount END;
    low_balance bigint;
    low_limit bigint;
    high_balance bigint;
    high_limit bigint;
BEGIN
    UPDATE floors.bare_accounts SET balance = balance + low_amount WHERE id = low
        RETURNING balance, overdraft_limit INTO STRICT low_balance, low_limit;
    UPDATE floors.bare_accounts SET balance = balance - low_amount WHERE id = high
        RETURNING balance, overdraft_limit INTO STRICT high_balance, high_limit;
    IF (CASE WHEN low = debit THEN low_balance + low_limit ELSE high_balance + high_limit END) < 0
    THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO floors.bare_transfers VALUES (transfer, now());
    INSERT INTO floors.bare_entries VALUES
        (low, transfer, low_amount, low_balance), (high, transfer, -low_amount, high_balance);
END $$;

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA floors TO strongroom_transactions;
GRANT USAGE ON SEQUENCE floors.bare_ids TO strongroom_transactions;
